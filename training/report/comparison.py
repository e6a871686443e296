"""The table of P2's settings, as `python -m training compare` has left it in a folder."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from inference import UserError


class Setting(NamedTuple):
    """A setting's accuracy in [0, 1], its standard deviation where it has several seeds, and 95 %
    of what other images would give.
    """

    letter: str
    recipe: str
    pretraining: str
    trained: str
    accuracy: float
    deviation: float | None
    seeds: str
    low: float
    high: float


class Difference(NamedTuple):
    """By how much one recipe's accuracy is above another's, with its interval of 95 %."""

    better: str
    than: str
    by: float
    low: float
    high: float
    clear: str


class Comparison(NamedTuple):
    """What a folder's tables say; `note` is what table.md says below them."""

    name: str
    settings: list[Setting]
    differences: list[Difference]
    note: str


def read_comparison(folder: Path) -> Comparison:
    """Return what the tables in a folder say.

    Raises:
        UserError: one of them cannot be read.
    """
    differing = folder / "differences.csv"
    try:
        settings = [
            Setting(
                *(row[key] for key in ("setting", "recipe", "pre-training", "fine-tuning")),
                float(row["accuracy"]),
                float(row["sd"]) if row["sd"] else None,
                row["seeds"],
                float(row["low"]),
                float(row["high"]),
            )
            for row in _rows(folder / "table.csv")
        ]
        differences = [
            Difference(
                row["better"],
                row["than"],
                *(float(row[key]) for key in ("by", "low", "high")),
                row["clear"],
            )
            for row in (_rows(differing) if differing.exists() else ())
        ]
        text = folder / "table.md"
        lines = text.read_text(encoding="utf-8").splitlines() if text.exists() else []
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        said = f"no column {error}" if isinstance(error, KeyError) else error
        raise UserError(f"cannot read the table in {folder}: {said}") from error
    note = " ".join(line for line in lines if line and not line.startswith("|"))
    return Comparison(folder.name, settings, differences, note)


def _rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a csv, of which it has one at least."""
    with file.open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text, strict=True))
    if not rows:
        raise ValueError(f"{file.name} has no row")
    return rows
