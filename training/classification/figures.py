"""Figures of a classifier's run, and figures.json with the numbers in them.

    pca.png               the validation set's features at the best epoch, by PCA
    tsne.png              the same by t-SNE, at the first, the middle and the best epoch
    learning_curve.png    loss and accuracy, epoch by epoch
    confusion.png         the confusion matrix, and the pairs most often confused
    mistakes.png          the most confident mistakes

Above the features stand two numbers that say what the eye cannot, measured in all dimensions on the
validation set: the k-NN accuracy, leave-one-out (each image's vote is that of the k others nearest
by cosine, arXiv 1805.01978; k is 20, or one less than the median class has images, if that is
fewer), and the silhouette of the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from inference import UserError
from inference.zoo.provenance import class_names_of
from training.classification import features
from training.classification.data import Read, words_of
from training.engine.knn import TEMPERATURE, knn_accuracy
from training.engine.run_folder import Run
from training.plots import confusion, curves, mistakes, scatter, style


def draw(read: Read, run: Run, data: Path | None, out: Path, names: Sequence[str] = ()) -> dict:
    """Draw every figure that the run's files allow, into `out`.

    Args:
        read: lists the images of the validation set.
        data: None draws the learning curve alone.
        names: not needed: the figures choose the images that they show.

    Returns:
        What figures.json holds, `style.save`'s. Epochs count from 1; shares are in [0, 1].

    Raises:
        UserError: the run or its data is incomplete; a file cannot be written.
    """
    figures: dict[str, Figure] = {}
    numbers: dict = {"run": run.name, "recipe": run.recipe.name, "best_epoch": run.best_epoch}
    notes = []
    if data is None:
        notes.append(f"the data of {run.folder} is not here: no figure but the learning curve")
    else:
        run.expect_weights()
        val = read_validation(read, run, data)
        figures, about_features = _draw_features(run, val)
        more, about_predictions = _draw_predictions(run, val)
        figures |= more
        numbers |= {"images": len(val.labels), **about_predictions, **about_features}
        drawn = [shown["file"] for shown in about_features["epochs"]]
        others = {file.name for n, file in run.checkpoints.items() if n != run.best_epoch}
        if len(drawn) < min(3, run.recipe.epochs) and others <= set(drawn):
            only = " and ".join(drawn)
            notes.append(f"{run.folder} keeps no other epoch-NNNN.pth: t-SNE shows {only} alone")
    curve = _draw_curve(run)
    if curve is None:
        columns = [name for name in ("accuracy", "loss") if name not in run.metrics]
        wanted = f"epoch {run.best_epoch}" if run.best_epoch else "epoch"
        if run.metrics and columns:
            wanted = columns[0]
        notes.append(f"no {wanted} in {run.folder / 'metrics.csv'}: no learning curve")
    else:
        figures["learning_curve"] = curve
    return style.save(out, figures, numbers, notes)


# ---- the validation set


class Validation(NamedTuple):
    """The images of val.

    Attributes:
        pixels: uint8 (N, S, S, 3) as the network sees them.
        labels: int64 (N,).
        names: of the classes.
    """

    paths: list[Path]
    pixels: np.ndarray
    labels: np.ndarray
    names: list[str]


def read_validation(read: Read, run: Run, data: Path) -> Validation:
    """Return the validation set.

    Raises:
        UserError: its layout is not the course's, an image is broken, or it has other classes.
    """
    paths, labels = read(data, "val")
    if labels.max() >= run.recipe.classes:
        raise UserError(
            f"labels of val in {data} reach {labels.max()}, {run.folder} knows "
            f"{run.recipe.classes} classes: give the run's own --data"
        )
    if len(labels) < 4:
        raise UserError(f"only {len(labels)} images in val of {data}: too few for figures")
    names, size = class_names(paths, labels, run.recipe.classes), run.recipe.input_size
    noted = class_names_of(run.problem.name, data)
    if len(noted) == len(names):
        names = [f"{label} {name}" for label, name in enumerate(noted)]
    assert size is not None  # every classifier's is fixed
    return Validation(paths, features.read(paths, size), labels, names)


def class_names(paths: Sequence[Path], labels: np.ndarray, classes: int) -> list[str]:
    """Return the names of classes: the number, and the word that its files alone begin with.

    `Couch00024.jpg` of class 4 makes `4 Couch`; P1's names have no word.
    """
    words = words_of(paths, labels)
    return [f"{label} {words.get(label, '')}".rstrip() for label in range(classes)]


# ---- the figures


def _draw_features(run: Run, val: Validation) -> tuple[dict[str, Figure], dict]:
    """Draw PCA of the best epoch and t-SNE of several; return the figures and their numbers."""
    k = features.neighbours(val.labels)
    epochs, panels, labels = [], [], torch.from_numpy(val.labels)
    chosen = "best" if run.recipe.select_epoch_by.chooses else "last"
    for epoch, weights in _shown_epochs(run):
        points = features.features(run, weights, val.pixels)
        knn = knn_accuracy(torch.from_numpy(points), labels, neighbours=k)
        apart = features.silhouette(points, val.labels)
        title = f"epoch {epoch or 'unknown'}" + f" ({chosen})" * (weights == run.best)
        title += f": {k}-NN {knn:.1%}"
        if apart is not None:
            title += f", silhouette {apart:.3f}".replace("-", "\N{MINUS SIGN}")
            apart = round(apart, 6)
        if weights == run.best:
            flat, variance = features.pca(points)
            x, y = (f"PC {i}: {share:.1%} of the variance" for i, share in enumerate(variance, 1))
            pca = scatter.Panel(title, flat, (x, y))
        panels.append(scatter.Panel(title, features.tsne(points)))
        about = {"knn_accuracy": round(knn, 6), "silhouette": apart}
        epochs.append({"epoch": epoch, "file": weights.name, **about})
    width = points.shape[1]
    said = (
        f"of {width} features of {len(val.labels):,} val images\n"
        f"{k}-NN accuracy on val (leave-one-out) and silhouette: by cosine, in all {width} "
        "dimensions"
    )
    figures = {
        name: scatter.draw(f"{run.name}: {title} {said}", shown, val.labels, val.names)
        for name, title, shown in (("pca", "PCA", [pca]), ("tsne", "t-SNE", panels))
    }
    vote = {"vote": "exp(cosine / temperature)", "temperature": TEMPERATURE}
    numbers = {
        "features": width,
        "knn": {"k": k, "distance": "cosine", **vote, "protocol": "leave one out", "split": "val"},
        "silhouette_distance": "cosine",
        "epochs": epochs,
        "pca_variance": [round(float(share), 6) for share in variance],
    }
    return figures, numbers


def _shown_epochs(run: Run) -> list[tuple[int | None, Path]]:
    """Return the first, the middle and the best epoch of what the run has kept, in this order.

    The middle is that of the planned epochs, so it comes after an early best.
    """
    kept = {epoch: file for epoch, file in run.checkpoints.items() if epoch != run.best_epoch}
    first = min(kept, default=None) if run.best_epoch != 1 else None
    rest = [epoch for epoch in kept if epoch != first]
    middle = min(rest, key=lambda epoch: abs(epoch - run.recipe.epochs / 2), default=None)
    chosen = [(epoch, kept[epoch]) for epoch in (first, middle) if epoch is not None]
    best = (run.best_epoch, run.best)
    return sorted([*chosen, best], key=lambda shown: shown[0] or run.recipe.epochs)


def _draw_predictions(run: Run, val: Validation) -> tuple[dict[str, Figure], dict]:
    """Draw the confusion matrix and the mistakes; return the figures and their numbers."""
    probabilities = features.probabilities(run, val.pixels)
    predicted = probabilities.argmax(1)
    matrix = confusion_matrix(val.labels, predicted, labels=range(run.recipe.classes))
    pairs = confusion.most_confused(matrix)
    worst = mistakes.most_confident(val.labels, probabilities)
    numbers = {
        "accuracy": round(float((predicted == val.labels).mean()), 6),
        "confused": [{**asdict(pair), "share": round(pair.share, 6)} for pair in pairs],
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
    figures = {
        "confusion": confusion.draw(run.name, matrix, val.names, pairs),
        "mistakes": mistakes.draw(run.name, val.pixels, val.names, worst),
    }
    return figures, numbers


def _draw_curve(run: Run) -> Figure | None:
    """Draw the learning curve; None where the best epoch was not measured, or no loss was."""
    epochs = [int(epoch) for epoch in run.metrics.get("epoch", ())]
    score = curves.Curve("accuracy", run.metrics.get("accuracy", ()))
    best, loss = run.best_epoch, run.metrics.get("loss")
    if (
        not loss
        or not score.values
        or best not in epochs
        or not curves.value_at(best, epochs, score) >= 0
    ):
        return None  # nan is no number from 0 up
    split = "held-out" if run.recipe.select_epoch_by.held_out else "val"
    name = f"{run.name}, {run.recipe.network}: learning curve"
    return curves.draw_learning(name, epochs, loss, score, split, best, run.score)
