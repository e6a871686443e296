#!/usr/bin/env bash
# Problem 3: bash hw1_3.sh <folder of test images> <output folder>
here=${BASH_SOURCE[0]%/*}
[ "$here" = "${BASH_SOURCE[0]}" ] && here=.
exec python3 "$here/inference" segment --fill "$@"
