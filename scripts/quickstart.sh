#!/usr/bin/env bash
# Everything once, on generated data: bash scripts/quickstart.sh [small|full]
#
# Makes .venv and installs into it, generates sample data in the course's layout, fetches what
# checkpoints are missing, runs the three graded scripts, grades them, draws what they predicted
# (quickstart/index.html), trains two networks for a moment and makes the report of these runs
# (quickstart/report/index.html). Can be run again; offline, once installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scale=${1:-small}
if [ $# -gt 1 ] || { [ "$scale" != small ] && [ "$scale" != full ]; }; then
    echo "error: bash scripts/quickstart.sh [small|full], and not: $*" >&2
    exit 2
fi
out=quickstart

source scripts/install.sh
install_extra train

echo "== Generating sample data ($scale) in $out/hw1_data-$scale"
mkdir -p "$out"
data=$out/hw1_data-$scale
python3 -m training sample-data "$data" --scale "$scale"

echo "== Checkpoints"
bash hw1_download.sh

echo "== Problem 1: labelling images"
bash hw1_1.sh "$data/p1_data/val_50" "$out/p1.csv"
echo "== Problem 2: labelling the images of a csv"
bash hw1_2.sh "$data/p2_data/office/val.csv" "$data/p2_data/office/val" "$out/p2.csv"
echo "== Problem 3: mapping land cover"
bash hw1_3.sh "$data/p3_data/validation" "$out/p3"

echo "== Grading, as the course does"
status=0
python3 -m inference grade "$data" > "$out/grade.txt" || status=$?
cat "$out/grade.txt"

echo "== Drawing"
python3 scripts/quickstart_page.py "$data" "$out"

# Too short to learn anything from nothing, so they start from the bundled weights.
runs=$out/runs-$scale
echo "== Training: three short epochs of p1-a and of p3-lite, in $runs"
if [ ! -f "$runs/p1-a-s0/result.json" ]; then
    python3 -m training fit p1-a --data "$data/p1_data" --out "$runs/p1-a-s0" \
        epochs=3 lr=0.01 fraction=0.3 pretrained=weights/p1-a.pth
fi
if [ ! -f "$runs/p3-lite-s0/result.json" ]; then
    python3 -m training fit p3-lite --data "$data/p3_data" --out "$runs/p3-lite-s0" \
        epochs=3 lr=0.0001 tilecrop.side=192 pretrained=weights/p3-lite.pth
fi
echo "== Report"
python3 -m training report "$runs" --out "$out/report"

echo "Done. Open $out/index.html, what the networks answered, and $out/report/index.html, the runs."
echo "For the commands of README.md, first: source .venv/bin/activate"
exit "$status"
