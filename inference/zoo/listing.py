"""The zoo as a table, for `python3 -m inference list`."""

from __future__ import annotations

import math
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

from inference import zoo

HEADER = "name task network classes parameters input MB score trained_on source file".split()
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def table(file: Path | None = None) -> str:
    """Draw one line a checkpoint; `*` marks the default that would be used now.

    Args:
        file: another zoo.json.

    Returns:
        lines of aligned columns; the source says where the file can be had: by url, from git
        (bundled), or nowhere but here (no url); the last column whether it is present, missing,
        truncated or changed, by its bytes and sha256.
    """
    records = zoo.records(file).values()
    used = {_used(candidates) for candidates in zoo.defaults(file).values() if candidates}
    rows = [[title.replace("_", " ") for title in HEADER]]
    rows += [_row(record, record.name in used) for record in records]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, "* the default of its task"])


def _used(candidates: list[zoo.Record]) -> str:
    present = [record for record in candidates if os.path.isfile(zoo.path(record))]
    return (present or candidates)[0].name


def _row(record: zoo.Record, default: bool) -> list[str]:
    problem = zoo.problem_of(record)
    return [
        record.name + (" *" if default else ""),
        record.task,
        record.network,
        f"{record.classes}, named" if record.names else str(record.classes),
        "-" if problem else _parameters(zoo.path(record)),
        f"{record.size}x{record.size}" if record.size else "any size",
        f"{record.bytes / 1e6:.1f}",
        _score(record.scores),
        record.trained_on or "-",
        source(record),
        problem[0] if problem else "present",
    ]


def source(record: zoo.Record) -> str:
    """Say where a checkpoint's file can be had, in a word or two."""
    if record.urls:
        return ", ".join(url.split(":")[0] for url in record.urls)
    # .gitignore leaves weights/ out of git, but for the files that come with a clone.
    ignored = record.folder.parent / ".gitignore"
    kept = ignored.read_text("utf-8").split() if ignored.is_file() else []
    return "bundled" if f"!{record.folder.name}/{record.file}" in kept else "no url"


class _Shapes(pickle.Unpickler):
    """Reads the shapes of a checkpoint's tensors, for which it would take seconds to load torch."""

    def find_class(self, module, name):
        if name.startswith("_rebuild_tensor"):
            return lambda storage, offset, shape, *rest: shape
        return OrderedDict if name == "OrderedDict" else str  # a storage's type, of no interest

    def persistent_load(self, key):
        return None  # a storage: the values


def _parameters(file: Path) -> str:
    try:
        with zipfile.ZipFile(str(file)) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as stream:
                shapes = _Shapes(stream).load()
        learned = [shape for key, shape in shapes.items() if not key.endswith(_STATISTICS)]
        return f"{sum(map(math.prod, learned)):,}"
    except Exception:  # of what torch.save wrote otherwise, or never did
        return "-"


def _score(scores: dict) -> str:
    if "fp32" not in scores:
        return "-"
    chose = ", chosen on them" if scores.get("select") == "val" else ""
    return f"{scores['fp32']:.4f} {scores.get('metric', '')} (n={scores.get('images', '?')}{chose})"
