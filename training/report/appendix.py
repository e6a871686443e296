"""What is behind the numbers: every run, the commands that make them again, the zoo."""

from __future__ import annotations

from training.publish import zoo_page
from training.report import runs
from training.report.markup import Html, code, commands, join, paragraph, table
from training.report.runs import Entry, Found

VERSIONS = ("python", "torch", "torchvision", "lightning", "numpy")


def all_runs(found: Found) -> Html:
    """Gives a table of every run, and what could not be read."""
    entries = found.finished()
    if not entries:
        return paragraph("No run has ended yet.", class_="soft")
    head = (
        "run",
        "recipe",
        "score",
        "epochs",
        "minutes",
        "hardware",
        "precision",
        "revision",
        "ended",
    )
    rows = [_row(entry) for entry in entries]
    parts = [table(head, rows, "All runs", numbers=(3, 4)), _software(entries)]
    parts += [paragraph(f"Left out: {problem}", class_="soft") for problem in found.problems]
    return join(parts)


def _row(entry: Entry) -> list[object]:
    result = entry.result
    return [
        code(entry.name),
        code(entry.recipe.name),
        "–" if entry.score is None else runs.point(entry.score),
        result.get("epochs", "–"),
        f"{result['minutes']:.1f}" if result.get("minutes") else "–",
        entry.hardware,
        result.get("precision", "–"),
        code(result.get("revision") or "unknown"),
        str(result.get("finished", "–"))[:10],
    ]


def _software(entries: list[Entry]) -> Html:
    used = {
        ", ".join(f"{name} {entry.result[name]}" for name in VERSIONS if name in entry.result)
        for entry in entries
    } - {""}
    return paragraph("Software: ", join(sorted(used), "; or "), ".", class_="soft")


def again(found: Found, command: str) -> Html:
    """Gives the commands of every run as they were typed, and the one that made this page."""
    lines = [entry.result["command"] for entry in found.finished() if entry.result.get("command")]
    intro = "Each run’s command as it was typed; its data has to lie where the command says."
    made = join([paragraph("This page:"), commands(command)])
    if not lines:
        return made
    return join([paragraph(intro), commands(*dict.fromkeys(lines)), made])


def zoo() -> Html:
    """Gives the zoo's table."""
    rows = [[code(name), *cells] for name, *cells in zoo_page.rows()]
    return table(zoo_page.HEAD, rows, "The zoo")
