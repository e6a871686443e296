#!/usr/bin/env bash
# All that only a GPU can show, in at most 8 minutes: bash scripts/gpu.sh [--dry] [OUT]
#
# The tests marked `gpu`, then scripts/bench/gpu.py. Leaves OUT/gpu.json and OUT/gpu.md, a table for
# docs/results.md, and OUT/tests.txt (OUT is gpu-results). --dry tries every part with the least
# there is, without a GPU too. Needs what the dev extra installs: .venv, or python3's own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dry=()
if [ "${1:-}" = --dry ]; then
    dry=(--dry)
    shift
fi
if [ $# -gt 1 ] || [[ ${1:-} == -* ]]; then
    echo "error: bash scripts/gpu.sh [--dry] [OUT], and not: $*" >&2
    exit 2
fi
out=${1:-gpu-results}
limit=${SECONDS_IN_ALL:-470}
if [ -x .venv/bin/python3 ]; then
    export PATH=$PWD/.venv/bin:$PATH
fi
mkdir -p "$out"
rm -f "$out/tests.xml" "$out/gpu.json" "$out/gpu.md"

# The tests' own default is no GPU at all.
[ ${#dry[@]} -gt 0 ] || export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0}
status=0
SECONDS=0
echo "== Tests"
timeout "$((limit / 2))" python3 -m pytest tests/gpu -m gpu -q -rs --durations=5 \
    --junitxml="$out/tests.xml" 2>&1 | tee "$out/tests.txt" || status=$?
echo "== Benchmark (the tests took $SECONDS s)"
left=$((limit - SECONDS))
timeout "$((left + 20))" python3 scripts/bench/gpu.py "$out" --seconds "$left" \
    --tests "$out/tests.xml" "${dry[@]}"
echo "Done in $SECONDS s: $out/gpu.json, $out/gpu.md"
exit "$status"
