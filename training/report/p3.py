"""The answers of P3: land-cover segmentation."""

from __future__ import annotations

from training.report import parts, scores
from training.report.markup import Html, join, paragraph, table, tag
from training.report.parts import Sources

A, B = ("p3-a", "p3-a-report"), ("p3-b", "p3-b-report")
LITE = "p3-lite"
SHOWN = (
    ("A", "p3-a"),
    ("B", "p3-b"),
    ("A, original", "p3-a-report"),
    ("B, original", "p3-b-report"),
)
SMALL = ("for a CPU", LITE)


def answers(sources: Sources) -> dict[str, Html]:
    """Gives the answers by the questions' numbers."""
    found = sources.found
    one, other = parts.chosen(found, *A), parts.chosen(found, *B)
    small = [SMALL] if LITE in found.groups else []
    return {
        "P3.1": join(
            [
                parts.drawn(one, "Model A"),
                tag("h4", "How it is trained"),
                parts.recipes(found, [SHOWN[0], SHOWN[2]], "How model A is trained"),
            ]
        ),
        "P3.2": join(
            [
                parts.drawn(other, "Model B"),
                tag("h4", "The difference, in numbers"),
                parts.versus(("A", one), ("B", other), "Models A and B of P3"),
                tag("h4", "How it is trained"),
                parts.recipes(found, [SHOWN[1], SHOWN[3], *small], "How B is trained"),
            ]
        ),
        "P3.3": scores.overview(found, [*SHOWN, *small], "mIoU of P3's models"),
        "P3.4": _stages(sources),
        "P3.5": _beyond(sources),
    }


def _stages(sources: Sources) -> Html:
    """Shows the tiles through the epochs: of model B, or of the small one where B has no run."""
    said = "validation tiles as the network segments them from its first to its last epoch."
    parts_ = []
    names = B
    if not sources.found.first(*B) and sources.found.first(LITE):
        parts_ = [
            scores.no_run(sources.found, B[0]),
            paragraph("In its place the small network for a CPU:"),
        ]
        names = (LITE,)
    parts_.append(parts.picture(sources, names, "stages", "predicted masks by epoch", said))
    return join([*parts_, parts.notes(sources, names)])


def _beyond(sources: Sources) -> Html:
    shown = [("Model A", A), ("Model B", B)]
    if LITE in sources.found.groups:
        shown.append(("The small network", (LITE,)))
    return join(_of(sources, called, names) for called, names in shown)


def _of(sources: Sources, called: str, names: tuple[str, ...]) -> Html:
    title = tag("h4", called)
    group = sources.found.first(*names)
    if not group:
        return join([title, scores.no_run(sources.found, names[0])])
    made = sources.gallery.of(group.shown)
    pictures = [
        ("learning_curves", "learning curves", "training loss and the IoU of each class."),
        ("learning_curve", "learning curves", "training loss and the IoU of each class."),
        ("confusion", "confusion matrix", "pixels of the validation set, true classes in rows."),
        ("worst", "tiles of the lowest IoU", "the validation tiles that it does worst on."),
    ]
    shown = [parts.picture(sources, names, *p) for p in pictures if p[0] in made.files]
    if made.numbers:
        rows = [
            (name, "absent" if value is None else f"{value:.4f}")
            for name, value in made.numbers["iou"].items()
        ]
        shown.insert(0, table(("class", "IoU on val"), rows, f"IoU by class, {called}", (1,)))
    else:
        shown += [paragraph(note, class_="soft") for note in made.notes]
    return join([title, *shown])
