"""The batches of a classifier, and its score on the validation set.

A run keeps what it predicts of that set in predictions.csv (filename,label,predicted): all that the
comparison of settings needs of it, so that weights need not be carried along.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from inference import UserError, predict
from inference.zoo import Record
from training.classification.recipe import ClassificationRecipe
from training.data import cache
from training.data.batches import Batches
from training.data.labels import Labelled, check_classes
from training.data.splits import hold_out, subsample_per_class
from training.engine.checkpoint import to_csv
from training.engine.problem import Evaluation, Files

Read = Callable[[Path, str], Labelled]  # (data, "train" or "val") -> images
MEASURED_TOGETHER = 250
PREDICTIONS = "predictions.csv"


def batches(read: Read, recipe: ClassificationRecipe, data: Path) -> tuple[Batches, Batches]:
    """Return the training batches and those that are measured after every epoch.

    Both hold uint8 images and int64 labels. Where nothing is held out of train the course's
    validation set is measured: it draws the curve, and chooses the epoch only with `BestOnVal`.
    """
    paths, labels = read(data, "train")
    check_classes(labels, recipe.classes, data)
    train, held = hold_out(labels, recipe.select_epoch_by.held_out, recipe.seed)
    train = subsample_per_class(labels, train, recipe.fraction, recipe.seed)
    arrays = cache.images(paths, recipe.cache_size), labels
    training = Batches(
        arrays, train, recipe.batch_size, shuffle=True, seed=recipe.seed, repeat=recipe.repeat
    )
    if len(held):
        paths, labels = [paths[i] for i in held], labels[held]
    else:
        paths, labels = read(data, "val")
    # Resized as they will be in inference, not cropped from the cache.
    arrays = cache.images(paths, recipe.size), labels
    measured = Batches(arrays, range(len(paths)), MEASURED_TOGETHER, shuffle=False)
    return training, measured


def files(read: Read, recipe: ClassificationRecipe, data: Path) -> list[Files]:
    """Return what a run trains on; with `BestOnVal` val too, since it chooses the epoch."""
    parts = ("train", "val") if recipe.select_epoch_by.word == "val" else ("train",)
    return [Files(*read(data, part)) for part in parts]


def words(read: Read, data: Path) -> list[str]:
    """Return the names of the classes, by the words that their files' names alone begin with.

    Of train's files, or else of val's, whichever tell them; none where neither do.
    """
    for part in ("train", "val"):
        try:
            paths, labels = read(data, part)
        except UserError:  # another machine's data may hold val alone
            continue
        found = words_of(paths, labels)
        if found and sorted(found) == list(range(len(found))):
            return [found[label] for label in range(len(found))]
    return []


def words_of(paths: Sequence[Path], labels: np.ndarray) -> dict[int, str]:
    """Return the word that a class's files alone begin with, by label: `Couch00024.jpg`, `Couch`.

    Nothing where a file has none, or a word does not tell the classes apart.
    """
    found: dict[int, set[str]] = {}
    for path, label in zip(paths, labels.tolist(), strict=True):
        found.setdefault(label, set()).add(re.split(r"[^A-Za-z]", path.stem)[0])
    every = set().union(*found.values())
    if "" in every or not len(every) == len(found) == sum(map(len, found.values())):
        return {}
    return {label: word for label, (word,) in found.items()}


def evaluate(
    read: Read, record: Record, data: Path, weights: Path, precision: str, device: str
) -> Evaluation:
    """Return what weights predict of val, as the scripts would, and the accuracy."""
    settings = predict.Settings(weights=weights, precision=precision, device=device)
    paths, labels = read(data, "val")
    predicted = np.array(predict.labels(paths, record, settings))
    accuracy = float((predicted == labels).mean())
    names = [path.name for path in paths]
    columns = ("filename", "label", "predicted")
    rows = zip(names, labels.tolist(), predicted.tolist(), strict=True)
    table = to_csv(columns, (dict(zip(columns, row, strict=True)) for row in rows))
    return Evaluation(predicted, labels, accuracy, names, table)


def read_predictions(file: Path, names: list[str], labels: np.ndarray) -> np.ndarray | None:
    """Return a file's predictions, int64 (N,); None where it is not of these images, or damaged."""
    try:
        with file.open(newline="", encoding="utf-8", errors="surrogateescape") as text:
            rows = list(csv.DictReader(text))
        said = [(row["filename"], int(row["label"])) for row in rows]
        predicted = np.array([int(row["predicted"]) for row in rows])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, csv.Error):
        return None
    return predicted if said == list(zip(names, labels.tolist(), strict=True)) else None
