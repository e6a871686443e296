"""Data that is not the course's own carries a note of where it came from."""

from __future__ import annotations

import json
from pathlib import Path

GENERATED = "SAMPLE_DATA.json"  # in hw1_data, by python -m training sample-data
IMPORTED = "DATA.json"  # in a part of hw1_data, by python -m training import-data
_PARTS = {"p1": ".", "p2": "office", "p3": "."}  # of a problem's folder: where its labels are


def provenance_of(task: str, data: Path) -> str | None:
    """Say in words where a problem's labelled data came from; None where no note says it.

    Args:
        task: p1, p2 or p3; of anything else only that it was generated is known.
        data: `hw1_data/p1_data`, `p2_data` or `p3_data`.
    """
    if is_sample_data(data):
        return "sample data"
    return source_of(data / _PARTS[task]) if task in _PARTS else None


def is_sample_data(data: Path) -> bool:
    """Whether a problem's folder, or a whole hw1_data, is generated."""
    return any((folder / GENERATED).is_file() for folder in (data, data.resolve().parent))


def source_of(part: Path) -> str | None:
    """Say in words which dataset a part of hw1_data was imported from; None if it was not."""
    found = _noted(part, "source")
    return None if found is None else str(found)


def class_names_of(task: str, data: Path) -> list[str]:
    """Return the names of a problem's classes, in the labels' order; none where no note has them.

    Args:
        task, data: as `provenance_of`.
    """
    found = _noted(data / _PARTS[task], "classes") if task in _PARTS else None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        return []
    return found


def _noted(part: Path, key: str):
    try:
        return json.loads((part / IMPORTED).read_text("utf-8"))[key]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
