"""The answers of P1: image classification."""

from __future__ import annotations

from training.report import parts, scores
from training.report.markup import Html, join, paragraph, tag
from training.report.parts import Sources

A, B = ("p1-a", "p1-a-report"), ("p1-b", "p1-b-report")
SHOWN = (
    ("A", "p1-a"),
    ("B", "p1-b"),
    ("A, original", "p1-a-report"),
    ("B, original", "p1-b-report"),
)


def answers(sources: Sources) -> dict[str, Html]:
    """Gives the answers by the questions' numbers."""
    found = sources.found
    one, other = parts.chosen(found, *A), parts.chosen(found, *B)
    return {
        "P1.1": parts.drawn(one, "Model A"),
        "P1.2": scores.overview(found, SHOWN, "Accuracy of P1's models"),
        "P1.3": parts.recipes(found, [SHOWN[0], SHOWN[2]], "How model A is trained"),
        "P1.4": join(
            [
                parts.drawn(other, "Model B"),
                tag("h4", "The difference, in numbers"),
                parts.versus(("A", one), ("B", other), "Models A and B of P1"),
                tag("h4", "How it is trained"),
                parts.recipes(found, [SHOWN[1], SHOWN[3]], "How model B is trained"),
            ]
        ),
        "P1.5": _pca(sources),
        "P1.6": _tsne(sources),
        "P1.7": join(beyond(sources, called, names) for called, names in (("A", A), ("B", B))),
    }


def _pca(sources: Sources) -> Html:
    found = parts.numbers(sources, *A)
    said = "the validation set’s features at the chosen epoch, coloured by class."
    if found:
        shares = " and ".join(f"{share:.1%}" for share in found["pca_variance"])
        said += f" The two axes hold {shares} of the variance of {found['features']} dimensions."
    return parts.picture(sources, A, "pca", "PCA of the second-last layer", said)


def _tsne(sources: Sources) -> Html:
    found = parts.numbers(sources, *A)
    said = "the same features by t-SNE."
    if found:
        k = found["knn"]["k"]
        each = (f"epoch {e['epoch']}: {e['knn_accuracy']:.1%}" for e in found["epochs"])
        said += f" Classes that the {k} nearest neighbours tell, in all dimensions: "
        said += f"{', '.join(each)}."
    picture = parts.picture(sources, A, "tsne", "t-SNE of the second-last layer", said)
    return join([picture, parts.notes(sources, A)])


def beyond(sources: Sources, called: str, names: tuple[str, ...]) -> Html:
    """Gives learning curve, confusion matrix and mistakes of a model's run."""
    title = tag("h4", f"Model {called}")
    if not sources.found.first(*names):
        return join([title, scores.no_run(sources.found, names[0])])
    pictures = [
        ("learning_curve", "learning curve", "training loss and accuracy, epoch by epoch."),
        ("confusion", "confusion matrix", _confused(sources, names)),
        ("mistakes", "most confident mistakes", "the wrong answers that it was surest of."),
    ]
    made = sources.gallery.of(sources.found.first(*names).shown)
    there = [p for p in pictures if p[0] in made.files]
    shown = [parts.picture(sources, names, *given) for given in there]
    missing = [paragraph(note, class_="soft") for note in made.notes] if not made.numbers else []
    return join([title, *shown, *missing])


def _confused(sources: Sources, names: tuple[str, ...]) -> str:
    pairs = parts.numbers(sources, *names).get("confused", [])
    said = "true classes in rows."
    if pairs:
        worst = pairs[0]
        said += f" Most often class {worst['true']} is taken for {worst['predicted']}: "
        said += f"{worst['share']:.0%} of its images."
    return said
