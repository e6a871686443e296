"""The answers of P2: pre-training without labels, and what it is worth."""

from __future__ import annotations

from training.classification.table_text import SETTINGS
from training.report import p1, parts, scores
from training.report.markup import Html, code, figure, join, missing, paragraph, table, tag
from training.report.parts import Sources
from training.report.runs import Table

PRETRAINED = (("BYOL", "p2-byol"), ("original", "p2-byol-report"))
TABLE = (
    "python -m training.byol p2-byol --data hw1_data/p2_data",
    "python -m training.classification p2-table --data hw1_data/p2_data --seeds 0 1 2 \\",
    "    --backbone-ssl runs/p2-byol-s0/best.pth "
    "--backbone-sl hw1_data/p2_data/pretrain_model_SL.pt",
)


def answers(sources: Sources) -> dict[str, Html]:
    """Gives the answers by the questions' numbers."""
    found = sources.found
    ran = [pair for pair in PRETRAINED if pair[1] in found.groups]
    lacking = [] if ran else [scores.no_run(found, "p2-byol")]
    how = parts.recipes(found, PRETRAINED, "How the backbone is pre-trained")
    return {
        "P2.1": join([how, *lacking]),
        "P2.2": join(
            [
                _tables(sources),
                tag("h4", "How all five are trained"),
                parts.recipes(
                    found,
                    [("A", "p2-a"), ("B, C", "p2-c"), ("D, E", "p2-e")],
                    "How P2's settings are trained",
                ),
            ]
        ),
        "P2.3": join([_pretraining(sources), _supervised(sources), _beyond(sources)])
        or scores.no_run(found, "p2-byol"),
    }


def _tables(sources: Sources) -> Html:
    tables = [_table(found) for found in sources.found.tables]
    if tables:
        return join(tables)
    letters = [(letter.upper(), f"p2-{letter}") for letter in SETTINGS]
    rows = []
    for called, name in letters:
        pretraining, trained = SETTINGS[called.lower()]
        score = scores.said(sources.found.first(name))
        rows.append((called, code(name), pretraining, trained, score))
    head = ("setting", "recipe", "pre-training", "fine-tuning", "accuracy on val")
    said = "The table with its intervals, and which differences are larger than chance allows:"
    return join([table(head, rows, "P2's settings"), missing(said, *TABLE)])


def _table(found: Table) -> Html:
    """Show a table that `p2-table` has written, with the differences that it found."""
    lines = [
        (
            row["setting"],
            code(row["recipe"]),
            row["pre-training"],
            row["fine-tuning"],
            _accuracy(row),
            f"{_point(row['low'])} to {_point(row['high'])}",
        )
        for row in found.rows
    ]
    head = ("setting", "recipe", "pre-training", "fine-tuning", "accuracy on val", "95 %")
    parts = [table(head, lines, f"P2's settings, {found.name}")]
    if found.differences:
        parts.append(_differences(found.differences, found.name))
    return join([*parts, paragraph(found.words, class_="soft")])


def _accuracy(row: dict[str, str]) -> str:
    spread = f" ± {_point(row['sd'])}" if row["sd"] else ""
    return f"{_point(row['accuracy'])}{spread} (n = {row['seeds']})"


def _differences(rows: list[dict[str, str]], name: str) -> Html:
    lines = [
        (
            join([code(row["better"]), " − ", code(row["than"])]),
            _points(row["by"]),
            f"{_points(row['low'])} to {_points(row['high'])}",
            row["clear"],
        )
        for row in rows
    ]
    head = ("difference", "points", "95 %", "more than chance")
    return table(head, lines, f"Differences between P2's settings, {name}", numbers=(1,))


def _point(number: str) -> str:
    return f"{float(number):.3f}".removeprefix("0")


def _points(number: str) -> str:
    return f"{100 * float(number):+.1f}".replace("-", "\N{MINUS SIGN}")


def _pretraining(sources: Sources) -> Html:
    """Shows how the pre-trainings went, those that are still going on too."""
    shown = [tag("h4", "Pre-training")]
    for _, name in PRETRAINED:
        group = sources.found.first(name)
        entries = [group.shown] if group else sources.found.unfinished.get(name, [])
        for entry in entries:
            made = sources.gallery.of(entry)
            if "learning_curve" in made.files:
                said = f"{entry.epochs_done} of {entry.recipe.epochs} epochs."
                caption = join([code(entry.name), f": {said}"])
                alt = f"loss, spread and k-NN accuracy of {entry.name}"
                shown.append(figure(made.files["learning_curve"], alt, caption))
    return join(shown) if len(shown) > 1 else Html("")


def _supervised(sources: Sources) -> Html:
    groups = sources.found.groups.get("p2-supervised", [])
    if not groups:
        return Html("")
    rows = [
        scores.row("supervised backbone", group)[:3] + scores.row("", group)[4:] for group in groups
    ]
    head = ("", "recipe", "on held-out images of mini", *scores.HEAD[3:])
    return join(
        [
            tag("h4", "A backbone of our own, for B and D"),
            table(head, rows, "The supervised backbone"),
        ]
    )


def _beyond(sources: Sources) -> Html:
    names = next(
        (
            (f"p2-{letter}",)
            for letter in ("c", "b", "a", "e", "d")
            if sources.found.first(f"p2-{letter}")
        ),
        None,
    )
    return p1.beyond(sources, f"of setting {names[0][-1].upper()}", names) if names else Html("")
