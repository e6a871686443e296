"""Compare two folders of answers: p1.csv and p2.csv label by label, p3/*.png pixel by pixel.

    python scripts/compare_answers.py ONE OTHER

Exit 0: all labels equal and at most 1 mask pixel in 100,000 differs. 1: else, or an answer is on
one side only, or there is none at all.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

PIXELS_THAT_MAY_DIFFER = 1e-5


def compare_csv(one: Path, other: Path) -> bool:
    """Print in how many rows two csv files differ; return whether in none."""
    rows = [path.read_text(encoding="utf-8").splitlines() for path in (one, other)]
    if len(rows[0]) != len(rows[1]):
        print(f"{one.name}: {len(rows[0]) - 1} and {len(rows[1]) - 1} rows")
        return False
    pairs = list(zip(csv.reader(rows[0]), csv.reader(rows[1]), strict=True))
    differing = sum(a != b for a, b in pairs)
    print(f"{one.name}: {differing} of {len(pairs) - 1} rows differ")
    return differing == 0


def compare_masks(one: Path, other: Path) -> bool:
    """Print in how many pixels two folders of masks differ; return whether few enough."""
    names = [sorted(path.name for path in folder.glob("*.png")) for folder in (one, other)]
    if names[0] != names[1]:
        print(f"{one.name}: {len(names[0])} and {len(names[1])} masks, or of other names")
        return False
    differing = pixels = 0
    for name in names[0]:
        with Image.open(one / name) as a, Image.open(other / name) as b:
            if a.size != b.size:
                print(f"{one.name}/{name}: {a.size} and {b.size} pixels")
                return False
            unequal = (np.asarray(a.convert("RGB")) != np.asarray(b.convert("RGB"))).any(2)
        differing, pixels = differing + int(unequal.sum()), pixels + unequal.size
    print(f"{one.name}: {differing} of {pixels} pixels differ in {len(names[0])} masks")
    return differing <= PIXELS_THAT_MAY_DIFFER * pixels


def main(one: Path, other: Path) -> int:
    """Compare what is there and return the exit code."""
    verdicts = []
    for name in ("p1.csv", "p2.csv"):
        present = [(folder / name).exists() for folder in (one, other)]
        if all(present):
            verdicts.append(compare_csv(one / name, other / name))
        elif any(present):
            print(f"{name}: only in {one if present[0] else other}")
            verdicts.append(False)
    if any((one / "p3").glob("*.png")) or any((other / "p3").glob("*.png")):
        verdicts.append(compare_masks(one / "p3", other / "p3"))
    if not verdicts:
        print(f"no answers in {one} and {other}")
    return 0 if verdicts and all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
