"""Which checkpoint of the zoo answers each problem, so that no score is taken for another's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Mapping, Sequence

from inference import UserError, zoo


def answering(root: Path, scripts: Mapping[str, str]) -> dict[str, zoo.Record]:
    """Return the checkpoint that answers each problem: the first default whose file is there.

    Args:
        root: a repository's folder; without a zoo, or with a malformed one, nothing is known.
        scripts: of each problem ("P1", "P2", "P3"); one that chooses a model by itself is left out.
    """
    found = {}
    for problem, script in scripts.items():
        try:
            text = (root / script).read_text(encoding="utf-8", errors="replace")
            if not re.search(r"--(model|weights)\b", re.sub(r"(?m)(^|\s)#.*", "", text)):
                found[problem] = zoo.default(problem.lower(), _zoo(root))
        except (UserError, OSError):
            continue
    return found


def first_defaults(root: Path) -> dict[str, zoo.Record]:
    """Return the checkpoint that is to answer each problem, whether its file is there or not."""
    try:
        named = zoo.defaults(_zoo(root))
    except UserError:
        return {}
    return {task.upper(): records[0] for task, records in named.items() if records}


def answers_otherwise(one: zoo.Record, other: zoo.Record) -> bool:
    """Whether two records are of other weights, another network, or hosted elsewhere."""
    fields = ("network", "arguments", "classes", "input", "tta", "file", "bytes", "sha256", "urls")
    return any(getattr(one, field) != getattr(other, field) for field in ("name", *fields))


def describe(
    labels: Mapping[str, str], answered: Mapping[str, zoo.Record], *wanted: Mapping[str, zoo.Record]
) -> list[str]:
    """Return one line or none: which checkpoint answered each problem, and which should have.

    Args:
        labels: what an edition calls each problem; the others are left out.
        answered: of `answering`.
        wanted: of `first_defaults`: of the same folder, and of the user's own.
    """
    parts = []
    for problem, label in labels.items():
        if problem in answered:
            name = answered[problem].name
            meant = [records[problem].name for records in wanted if problem in records]
            others = [other for other in dict.fromkeys(meant) if other != name]
            parts.append(f"{label} {name}" + (f" (NOT {' or '.join(others)})" if others else ""))
    return [f"answered by: {', '.join(parts)}"] if parts else []


def paths_of(records: Sequence[zoo.Record]) -> list[str]:
    """Return where the files of records without a url lie, seen from the repository's root."""
    return [f"{record.folder.name}/{record.file}" for record in records if not record.urls]


def _zoo(root: Path) -> Path:
    return root / "inference" / "zoo.json"
