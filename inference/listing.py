"""The zoo as a table, for `python3 -m inference list`."""

from __future__ import annotations

from pathlib import Path

from inference import zoo

HEADER = "name task network input MB score trained_on source file".split()


def table(file: Path | None = None) -> str:
    """Draws one line a checkpoint; `*` marks the default that would be used now.

    Args:
        file: another zoo.json.

    Returns:
        lines of aligned columns; the last column says whether the file is present, missing,
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
    present = [record for record in candidates if zoo.path(record).is_file()]
    return (present or candidates)[0].name


def _row(record: zoo.Record, default: bool) -> list[str]:
    problem = zoo.problem_of(record)
    return [
        record.name + (" *" if default else ""),
        record.task,
        record.network,
        f"{record.size}x{record.size}" if record.size else "any size",
        f"{record.bytes / 1e6:.1f}",
        _score(record.scores),
        record.trained_on or "-",
        ", ".join(url.split(":")[0] for url in record.urls) or "bundled",
        problem[0] if problem else "present",
    ]


def _score(scores: dict) -> str:
    if "fp32" not in scores:
        return "-"
    chose = ", chosen on them" if scores.get("select") == "val" else ""
    return f"{scores['fp32']:.4f} {scores.get('metric', '')} (n={scores.get('images', '?')}{chose})"
