#!/usr/bin/env bash
# The name by which the autumn 2023 grader calls hw1_download.sh
here=${BASH_SOURCE[0]%/*}
[ "$here" = "${BASH_SOURCE[0]}" ] && here=.
. "$here/hw1_download.sh"
