"""predictions.csv: filename,label,predicted of every image of val, beside a run's `result.json`.

It is all that a table needs of a run: weights need not be carried along.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from training.keep import write_whole

NAME = "predictions.csv"
HEADER = ("filename", "label", "predicted")


def read(file: Path, names: list[str], labels: np.ndarray) -> np.ndarray | None:
    """Gives a file's labels, int64 (N,); None where it is not of these images, or not there."""
    try:
        with file.open(newline="", encoding="utf-8", errors="surrogateescape") as text:
            rows = list(csv.DictReader(text))
        said = [(row["filename"], int(row["label"])) for row in rows]
        predicted = np.array([int(row["predicted"]) for row in rows], np.int64)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, csv.Error):
        return None
    return predicted if said == list(zip(names, labels.tolist(), strict=True)) else None


def write(file: Path, names: list[str], labels: np.ndarray, predicted: np.ndarray) -> None:
    """Writes a file, whole or not at all; arguments as `read`, the labels int64 (N,)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(zip(names, labels.tolist(), predicted.tolist(), strict=True))
    write_whole(file, text.getvalue().encode("utf-8", "surrogateescape"))
