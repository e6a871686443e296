#!/usr/bin/env bash
# Sourced by quickstart.sh and test.sh: makes .venv and installs an extra of this project into it,
# unless that is done already. Needs Python 3.10 or newer; PYTHON names another one than python3.

install_extra() {
    local extra=$1 python=${PYTHON:-python3} stamp=.venv/installed-$1
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        echo "error: $python is not Python 3.10 or newer; name one: PYTHON=python3.12 bash $0" >&2
        exit 2
    fi
    if ! .venv/bin/python3 -m pip --version >/dev/null 2>&1; then # none, or half of one
        echo "== Making .venv"
        "$python" -m venv .venv || {
            echo "error: cannot make .venv; on Debian and Ubuntu: apt install python3-venv" >&2
            exit 2
        }
    fi
    export PATH=$PWD/.venv/bin:$PATH VIRTUAL_ENV=$PWD/.venv
    if cmp -s pyproject.toml "$stamp"; then
        return
    fi
    echo "== Installing the '$extra' extra into .venv (PyTorch is large: a few minutes, once)"
    python3 -m pip install --quiet --disable-pip-version-check --editable ".[$extra]" || {
        echo "error: pip could not install the '$extra' extra (see above); it needs the network and" \
            "about 7 GB of disk with CUDA's libraries, $(df -Ph . | awk 'NR == 2 {print $4}') are" \
            "free here; mend that and run $0 again" >&2
        exit 2
    }
    cp pyproject.toml "$stamp"
}
