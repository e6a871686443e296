"""The zoo in print: docs/zoo.md, and the README's table between `<!-- zoo -->` and `<!-- /zoo -->`.

Both come from inference/zoo.json alone, so that they can be checked wherever the repository is.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch

from inference import UserError, zoo
from inference.files import write_whole
from inference.networks import build
from inference.zoo.listing import source
from inference.zoo.manifest import Record
from training.engine.claim import table

ROOT = Path(__file__).resolve().parents[2]
HEAD = ("name", "task", "network", "input", "parameters", "size", "score", "trained on", "from")
SHORT = (0, 1, 2, 4, 5, 6, 7)  # what the README has of it
MARKED = re.compile(r"(<!-- zoo -->\n).*?(<!-- /zoo -->)", re.DOTALL)
INTRO = """# The zoo

Printed from `inference/zoo.json` by `python -m training report`; do not edit. The scripts answer
with the first default of their task whose file is present; `python3 -m inference list` says which
files are. `docs/hosting.md` says how to add one.
"""


def rows(file: Path | None = None) -> list[list[str]]:
    """Return a row of `HEAD` for every checkpoint, in the zoo's order.

    Args:
        file: another zoo.json.

    Raises:
        UserError: it is malformed, or names a network that there is not.
    """
    return [
        [
            record.name,
            record.task,
            record.network,
            f"{record.size}×{record.size}" if record.size else "any size",
            f"{parameters(record) / 1e6:.1f} M",
            f"{record.bytes / 1e6:.1f} MB",
            score(record),
            record.trained_on or "–",
            source(record),
        ]
        for record in zoo.records(file).values()
    ]


def parameters(record: Record) -> int:
    """Return the number of parameters of a checkpoint's network."""
    with torch.device("meta"):
        network = build(record.network, record.classes, **record.arguments)
    return sum(parameter.numel() for parameter in network.parameters())


def score(record: Record) -> str:
    """Return a record's score in words, and how many images it is of."""
    scores = record.scores
    if "fp32" not in scores:
        return "–"
    chose = ", which chose the epoch" if scores.get("select") == "val" else ""
    images = scores.get("images", "?")
    count = f"{images:,}" if isinstance(images, int) else images
    return f"{scores.get('metric', 'score')} {scores['fp32']:.4f} ({count} images{chose})"


def stale() -> list[str]:
    """Return the files that do not say what the zoo says; seen from the repository's root.

    Raises:
        UserError: the README has no markers, or zoo.json is malformed.
    """
    return [name for name, print_ in _PRINTED.items() if _read(ROOT / name) != print_()]


def refresh() -> list[str]:
    """Print the tables anew, and return the files that changed.

    Raises:
        UserError: as `stale`; a file cannot be written. The others are printed all the same.
    """
    changed, problems = [], []
    for name, print_ in _PRINTED.items():
        try:
            text = print_()
            if _read(ROOT / name) != text:
                write_whole(ROOT / name, text.encode())
                changed.append(name)
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("; ".join(dict.fromkeys(problems)))
    return changed


def _print_page() -> str:
    file = _zoo()
    defaults = "; ".join(
        f"{task} {', '.join(f'`{name}`' for name in names)}"
        for task, names in sorted(zoo.read(file)["defaults"].items())
    )
    parts = [
        INTRO,
        markdown(list(HEAD), rows(file)),
        f"Defaults, the first one present: {defaults}.",
        *map(section, zoo.records(file).values()),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _print_readme() -> str:
    readme = _read(ROOT / "README.md")
    if not MARKED.search(readme):
        raise UserError(
            f"{ROOT / 'README.md'} has no lines <!-- zoo --> and <!-- /zoo -->: put them where the "
            "zoo's table belongs"
        )
    short = markdown([HEAD[i] for i in SHORT], [[row[i] for i in SHORT] for row in rows(_zoo())])
    return MARKED.sub(lambda match: f"{match[1]}{short}{match[2]}", readme)


_PRINTED = {"docs/zoo.md": _print_page, "README.md": _print_readme}


def _zoo() -> Path:
    return ROOT / "inference" / "zoo.json"


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table; the first column is code."""
    return table([head, *([f"`{first}`", *rest] for first, *rest in lines)])


def section(record: Record) -> str:
    """Return what a record says, in Markdown: a heading and a list."""
    fast = record.scores.get("fast") or {}
    lines = [
        f"## {record.name}",
        "",
        f"- file: `{record.file}`, {record.bytes:,} bytes, sha256 `{record.sha256}`",
        f"- recipe: `{record.recipe}`, trained on {record.trained_on or 'unknown data'}",
        f"- network: `{record.network}`, {record.classes} classes"
        + "".join(f", {key} {value}" for key, value in record.arguments.items()),
        f"- prediction: {_prediction(record)}",
        f"- scored on: {record.scores.get('data', 'nothing')}",
    ]
    lines += [
        f"- in {name}: {found['score']:.4f}, {found['agreement']:.2%} of answers equal to fp32’s"
        for name, found in sorted(fast.items())
        if {"score", "agreement"} <= set(found)
    ]
    if record.names:
        lines.append(f"- classes, from 0: {', '.join(map(_escaped, record.names))}")
    lines += [f"- from: `{url}`" for url in record.urls]
    return "\n".join(lines)


def _escaped(name: str) -> str:
    """Return a name as Markdown that shows it: `aquarium_fish` has no emphasis in it."""
    return re.sub(r"([\\`*_{}\[\]<>#|&~])", r"\\\1", name)


def _prediction(record: Record) -> str:
    if not record.tta:
        return "one image, once"
    return (
        "the mean with the mirror image’s" if record.size else "the mean over eight flips and turns"
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UserError(f"cannot read {file}: {reason}; mend it") from error
