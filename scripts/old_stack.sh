#!/usr/bin/env bash
# Runs the graded scripts and the evaluator on an old stack, and compares with a current one.
#
#   bash scripts/old_stack.sh DATA_DIR        DATA_DIR: a hw1_data folder, or one problem of it
#
# OLD is the old stack's interpreter: by default the system's /usr/bin/python3, which on Debian 12
# has torch 1.13.1 and torchvision 0.14.1, the packaged ones closest to a grader's machine. PYTHON
# is the current one (python3). Takes the first 50 / 50 / 8 validation images (IMAGES="50 50 8"), in
# fp32. Prints what each stack said, then the labels and mask pixels in which they differ.
# Exit 0: equal labels, at most 1 pixel in 100,000 differs. 1: something failed or differs.
# 2: a stack or the data is not there.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
old=${OLD:-/usr/bin/python3}
new=${PYTHON:-python3}
read -r count1 count2 count3 <<<"${IMAGES:-50 50 8}"

stop() {
    echo "error: $1" >&2
    exit 2
}

[ $# -eq 1 ] || stop "give one folder: bash scripts/old_stack.sh DATA_DIR"
[ -d "$1" ] || stop "no folder $1; give a hw1_data folder"
data=$(cd "$1" && pwd)
versions='import platform, torch, numpy, PIL
print("Python", platform.python_version(), "torch", torch.__version__, end=" ")
print("numpy", numpy.__version__, "Pillow", PIL.__version__)'
"$old" -c "import torchvision, imageio; $versions" ||
    stop "$old lacks the old stack; apt-get install python3-torch python3-torchvision python3-imageio, or set OLD"
"$new" -c "$versions" || stop "$new lacks torch, numpy or Pillow; set PYTHON to a python that has them"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/p1" "$work/p3"

# The interpreters as `python3`; a link to a virtual environment's would lose its packages.
for stack in old new; do
    mkdir -p "$work/$stack/bin" "$work/$stack/p3"
    found=$(command -v "${!stack}")
    case $found in /*) ;; *) found=$PWD/$found ;; esac
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$found" >"$work/$stack/bin/python3"
    chmod +x "$work/$stack/bin/python3"
done

shopt -s nullglob
p1=("$data"/p1_data/val_50/*.png "$data"/val_50/*.png)
for image in "${p1[@]:0:count1}"; do cp "$image" "$work/p1"; done
for office in "$data/p2_data/office" "$data/office" "$data"; do
    [ -f "$office/val.csv" ] && break
done
[ -f "$office/val.csv" ] && head -n $((count2 + 1)) "$office/val.csv" >"$work/p2.csv"
p3=("$data"/p3_data/validation/*_sat.jpg "$data"/validation/*_sat.jpg)
for image in "${p3[@]:0:count3}"; do
    cp "$image" "${image%_sat.jpg}_mask.png" "$work/p3"
done
[ ${#p1[@]} -gt 0 ] || [ -f "$work/p2.csv" ] || [ ${#p3[@]} -gt 0 ] ||
    stop "no validation images under $data; give a hw1_data folder"

failed=0
# answer STACK NAME COMMAND...: run it from another folder with that stack's python3
answer() {
    local stack=$1 name=$2 start=$SECONDS status=0
    (cd "$work" && PATH="$work/$stack/bin:$PATH" "${@:3}") >"$work/said" 2>&1 || status=$?
    echo "-- $name, $stack stack: exit $status, $((SECONDS - start)) s"
    sed 's/^/   /' "$work/said"
    [ "$status" -eq 0 ] || failed=1
}

for stack in old new; do
    out=$work/$stack
    [ ${#p1[@]} -eq 0 ] || answer $stack hw1_1.sh \
        bash "$root/hw1_1.sh" "$work/p1" "$out/p1.csv" --precision fp32
    [ ! -f "$work/p2.csv" ] || answer $stack hw1_2.sh \
        bash "$root/hw1_2.sh" "$work/p2.csv" "$office/val" "$out/p2.csv" --precision fp32
    [ ${#p3[@]} -eq 0 ] || answer $stack hw1_3.sh \
        bash "$root/hw1_3.sh" "$work/p3" "$out/p3" --precision fp32
    [ ${#p3[@]} -eq 0 ] || answer $stack mean_iou_evaluate.py \
        python3 "$root/mean_iou_evaluate.py" -g "$work/p3" -p "$out/p3"
done
echo "-- old against new"
"$new" "$root/scripts/compare_answers.py" "$work/old" "$work/new" || failed=1
exit $failed
