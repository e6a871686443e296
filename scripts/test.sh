#!/usr/bin/env bash
# Lint, types and tests: bash scripts/test.sh [pytest's arguments]
# Installs the dev extra into .venv first, if that is not done; works offline from then on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source scripts/install.sh
install_extra dev

echo "== Lint"
ruff format --check .
ruff check .
echo "== Types"
mypy
echo "== Printed tables"
python3 -m training report --check
echo "== Tests"
exec python3 -m pytest -n auto --dist loadfile --durations=10 "$@"
