"""The table of P2's settings, as `python -m training compare` has left it in a folder."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from inference import UserError

Row = dict[str, Any]
SETTING = ("setting", "recipe", "pre-training", "fine-tuning", "sd", "seeds")
DIFFERENCE = ("better", "than", "clear")


class Comparison(NamedTuple):
    """What a folder's tables say.

    Attributes:
        settings: rows of table.csv: words by the columns of `SETTING`, of which `sd` is a number or
            None, and an `accuracy` from `low` to `high`, in [0, 1].
        differences: rows of differences.csv: words, and `by`, from `low` to `high`.
        note: what table.md says below them.
    """

    name: str
    settings: list[Row]
    differences: list[Row]
    note: str


def read_comparison(folder: Path) -> Comparison:
    """Return what the tables in a folder say.

    Raises:
        UserError: one of them cannot be read.
    """
    differing, text = folder / "differences.csv", folder / "table.md"
    try:
        rows = _rows(folder / "table.csv", SETTING, ("accuracy", "low", "high"))
        settings = [row | {"sd": float(row["sd"]) if row["sd"] else None} for row in rows]
        differences = []
        if differing.exists():
            differences = _rows(differing, DIFFERENCE, ("by", "low", "high"))
        lines = text.read_text(encoding="utf-8").splitlines() if text.exists() else []
    except (OSError, ValueError, TypeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read the table in {folder}: {reason}") from error
    note = " ".join(line for line in lines if line and not line.startswith("|"))
    return Comparison(folder.name, settings, differences, note)


def _rows(file: Path, words: Sequence[str], numbers: Sequence[str]) -> list[Row]:
    """Return the rows of a csv, of which it has one at least."""
    with file.open(newline="", encoding="utf-8") as text:
        rows: list[Row] = list(csv.DictReader(text, strict=True))
    if not rows:
        raise ValueError(f"{file.name} has no row")
    lacking = [name for name in (*words, *numbers) if name not in rows[0]]
    if lacking:
        raise ValueError(f"{file.name} has no column {lacking[0]}")
    return [row | {name: float(row[name]) for name in numbers} for row in rows]
