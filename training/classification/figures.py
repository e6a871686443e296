"""Figures of a classifier's run, and `figures.json` with the numbers in them.

    python -m training.classification.figures runs/p1-a-s0 [--data DIR] [--out DIR]

    pca.png               the validation set's features at the best epoch, by PCA
    tsne.png              the same by t-SNE, at the first, the middle and the best epoch
    learning_curve.png    loss and held-out accuracy
    confusion.png         the confusion matrix, and the pairs most often confused
    mistakes.png          the most confident mistakes

Above the features stand two numbers that say what the eye cannot, measured in all dimensions:
how well the nearest neighbours tell an image's class, and the silhouette of the classes.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from inference import UserError, files
from training.classification import charts, features, scatter
from training.classification.finished import Validation, read_run, read_validation
from training.finished import Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws; the exit status is 2 for an error that the user can mend."""
    parser = argparse.ArgumentParser(
        prog="python -m training.classification.figures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's folder")
    parser.add_argument("--data", type=Path, help="with a validation set (the run's own data)")
    parser.add_argument("--out", type=Path, help="folder for the figures (RUN/figures)")
    options = parser.parse_args(arguments)
    out = options.out or options.run / "figures"
    return tell(lambda: draw(options.run, options.data, out), out)


def tell(draw: Callable[[], dict], out: Path) -> int:
    """Draws into `out`, and says which files were written, and on stderr what is to be noted.

    Returns:
        The exit status: 2 for an error that the user can mend.
    """
    try:
        found = draw()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for note in found["notes"]:
        print(f"note: {note}", file=sys.stderr)
    for name in [*found["figures"].values(), "figures.json"]:
        print(files.in_words(out / name))
    return 0


def draw(run: Path, data: Path | None = None, out: Path | None = None) -> dict:
    """Draws every figure that the run's files allow, into `out` (RUN/figures).

    Args:
        data: `hw1_data/p1_data` or `hw1_data/p2_data`; the run's own where none is given.

    Returns:
        What figures.json holds: names of files in `out` under `figures`, what is missing under
        `notes`, and the numbers. Epochs count from 1; shares, accuracies and confidences are in
        [0, 1].

    Raises:
        UserError: the run or its data is incomplete; a file cannot be written.
    """
    out = out or run / "figures"
    found = read_run(run, data)
    val = read_validation(found)
    figures, about_features, notes = _features(found, val)
    more, about_predictions = _predictions(found, val)
    figures.update(more)
    notes += _missing(found, about_features["epochs"])
    if _has_curve(found):
        name = f"{files.in_words(run.name)}, {found.recipe.network}"
        split = "held-out" if found.recipe.holds_out() else "val"
        learning = charts.draw_learning(name, found.columns, found.best, found.val, split)
        figures["learning_curve"] = learning
    numbers = {"images": len(val.labels), **about_predictions, **about_features}
    return write(out, found, figures, numbers, notes)


def write(out: Path, run: Run, figures: dict[str, Figure], numbers: dict, notes: list[str]) -> dict:
    """Writes figures and figures.json; gives what the latter holds.

    Args:
        figures: by the names of their files.
        numbers: to be noted beside them.

    Raises:
        UserError: a file cannot be written.
    """
    for name, figure in figures.items():
        files.write_whole(out / f"{name}.png", png(figure))
    summary = {
        "run": run.folder.name,
        "recipe": run.recipe.name,
        "best_epoch": run.best,
        **numbers,
        "figures": {name: f"{name}.png" for name in figures},
        "notes": notes,
    }
    files.write_whole(out / "figures.json", (json.dumps(summary, indent=2) + "\n").encode())
    return summary


def _features(run: Run, val: Validation) -> tuple[dict[str, Figure], dict, list[str]]:
    """Draw PCA of the best epoch and t-SNE of all; return figures, numbers, what is left out."""
    k = features.neighbours(val.labels)
    epochs, panels, notes = [], [], []
    for epoch, weights in _shown(run):
        try:
            points = features.Classifier(run.recipe, weights).features(val.pixels)
        except UserError as error:
            if weights.name == "best.pth":
                raise
            notes.append(f"left out {error}")  # one damaged epoch of several
            continue
        knn = features.knn_accuracy(points, val.labels, k)
        apart = features.silhouette(points, val.labels)
        chosen = "last" if run.recipe.select == "last" else "best"
        title = f"epoch {epoch or 'unknown'}" + f" ({chosen})" * (weights.name == "best.pth")
        title += f": {k}-NN {knn:.1%}"
        title += "" if apart is None else f", silhouette {apart:.3f}".replace("-", "\N{MINUS SIGN}")
        if weights.name == "best.pth":
            flat, variance = features.pca(points)
            axes = [f"PC {i}: {share:.1%} of the variance" for i, share in enumerate(variance, 1)]
            pca = scatter.Panel(title, flat, tuple(axes))
        panels.append(scatter.Panel(title, features.tsne(points)))
        apart = None if apart is None else round(apart, 6)
        found = {"knn_accuracy": round(knn, 6), "silhouette": apart}
        epochs.append({"epoch": epoch, "file": weights.name, **found})
    width = points.shape[1]
    said = (
        f"of {width} features of {len(val.labels):,} val images\n"
        f"{k}-NN (leave one out) and silhouette: by cosine, in all {width} dimensions"
    )
    called = files.in_words(run.folder.name)
    figures = {
        name: scatter.draw(f"{called}: {title} {said}", shown, val.labels, val.names)
        for name, title, shown in (("pca", "PCA", [pca]), ("tsne", "t-SNE", panels))
    }
    numbers = {
        "features": width,
        "knn": {"k": k, "distance": "cosine", "vote": "majority", "protocol": "leave one out"},
        "silhouette_distance": "cosine",
        "epochs": epochs,
        "pca_variance": [round(float(share), 6) for share in variance],
    }
    return figures, numbers, notes


def _shown(run: Run) -> list[tuple[int | None, Path]]:
    """Chooses the first, the middle and the best epoch of what the run has kept, in this order.

    The middle is that of the planned epochs, so it comes after an early best.
    """
    kept = {epoch: file for epoch, file in run.kept.items() if epoch != run.best}
    best = (run.best, run.folder / "best.pth")
    first = min(kept, default=None) if run.best != 1 else None
    rest = [epoch for epoch in kept if epoch != first]
    middle = min(rest, key=lambda epoch: abs(epoch - run.recipe.epochs / 2), default=None)
    chosen = [(epoch, kept[epoch]) for epoch in (first, middle) if epoch is not None]
    return sorted([*chosen, best], key=lambda shown: shown[0] or run.recipe.epochs)


def _predictions(run: Run, val: Validation) -> tuple[dict[str, Figure], dict]:
    """Draws the confusion matrix and the mistakes; gives the figures and their numbers."""
    best = features.Classifier(run.recipe, run.folder / "best.pth")
    probabilities = best.probabilities(val.pixels)
    predicted = probabilities.argmax(1)
    matrix = charts.confusion(val.labels, predicted, run.recipe.classes)
    pairs = charts.confused(matrix)
    worst = charts.mistakes(val.labels, probabilities)
    numbers = {
        "accuracy": round(float((predicted == val.labels).mean()), 6),
        "confused": [{**pair._asdict(), "share": round(pair.share, 6)} for pair in pairs],
        "mistakes": [
            {
                "file": val.paths[mistake.index].name,
                "true": mistake.true,
                "predicted": mistake.predicted,
                "confidence": round(mistake.confidence, 6),
            }
            for mistake in worst
        ],
    }
    name = files.in_words(run.folder.name)
    figures = {
        "confusion": charts.draw_confusion(name, matrix, val.names, pairs),
        "mistakes": charts.draw_mistakes(name, val.pixels, val.names, worst),
    }
    return figures, numbers


def _has_curve(run: Run) -> bool:
    measured = run.columns.get("accuracy", ())
    return bool(run.best) and len(measured) >= run.best and measured[run.best - 1] >= 0  # not nan


def _missing(run: Run, epochs: list[dict]) -> list[str]:
    """Says in a line each what could not be drawn."""
    notes = []
    if len(epochs) < min(3, run.recipe.epochs):
        drawn = " and ".join(shown["file"] for shown in epochs)
        notes.append(f"{run.folder} keeps no other epoch-NNNN.pth: t-SNE shows {drawn} alone")
    if not _has_curve(run):
        wanted = f"epoch {run.best}" if run.best else "epoch"
        notes.append(f"no {wanted} in {run.folder / 'metrics.csv'}: no learning curve")
    return notes


def png(figure: Figure) -> bytes:
    """Gives the content of a figure's file."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


if __name__ == "__main__":
    sys.exit(main())
