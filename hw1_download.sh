#!/usr/bin/env bash
# Fetches and verifies the checkpoints: bash hw1_download.sh [name ...]
here=${BASH_SOURCE[0]%/*}
[ "$here" = "${BASH_SOURCE[0]}" ] && here=.
exec python3 "$here/inference" download "$@"
