"""What frozen backbones know: k-NN and linear probes of ResNet50's features on P2's office images.

Features are the 2,048 pooled outputs of the last stage, of train and val, resized and not varied.
k-NN: the nearest images of train by cosine vote on each of val (arXiv 1805.01978): 20, or one less
than the median class of train has images, if that is fewer. Linear: logistic regression on
standardised features, its C chosen by 5-fold cross-validation within train. Of two files or more
each is compared with the first, on the same images of val.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inference import UserError
from inference.device import batch_size, choose_device
from inference.networks import build
from inference.runner import Runner
from training.classification import features, p2, statistics
from training.engine.claim import table
from training.engine.knn import knn_predictions
from training.engine.pretrained import start_from
from training.engine.recipe import IMAGENET_MEAN, IMAGENET_STD

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # values of C that are tried
FOLDS = 5


def probe(files: Sequence[str], data: Path, size: int) -> str:
    """Return what backbones know of P2's office images, as Markdown.

    Args:
        files: what `training.engine.pretrained.start_from` takes.
        data: `hw1_data/p2_data`.
        size: the side of the images, pixels.

    Raises:
        UserError: a file is no ResNet50's, the data's layout is not the course's, or train is too
            small for cross-validation.
    """
    parts = [p2.read(data, part) for part in ("train", "val")]
    (train, val), (known, truth) = zip(*parts, strict=True)
    _expect_folds(known, data)
    runners = [backbone(file) for file in files]  # before the images: it may fail
    pixels = [features.read(paths, size) for paths in (train, val)]
    rights = []  # of each file: on which images of val k-NN and the linear probe are right
    for runner in runners:
        bank, queries = (features.logits(runner, images) for images in pixels)
        rights.append([predict(bank, queries, known) == truth for predict in (nearest, linear)])
    head = ["backbone", f"{features.neighbours(known)}-NN", "95 %", "linear", "95 %"]
    rows = [_row(file, right) for file, right in zip(files, rights, strict=True)]
    lines = [table([head, *rows])]
    for file, right in zip(files[1:], rights[1:], strict=True):
        both = zip(("k-NN", "linear"), rights[0], right, strict=True)
        lines.append(f"{file} against {files[0]}: {', '.join(_difference(*one) for one in both)}")
    if len(files) > 1:
        lines.append("")
    lines.append(
        f"{len(truth)} images of val, {len(known)} of train, which are the neighbours, at {size} "
        "pixels; intervals: Wilson's, and the paired t-test's of the differences.\n"
    )
    return "\n".join(lines)


def _folds() -> KFold:
    """Return the folds, which are not by class: some have fewer images than there are folds."""
    return KFold(FOLDS, shuffle=True, random_state=0)


def _expect_folds(labels: np.ndarray, data: Path) -> None:
    """Raise UserError unless every fold leaves two classes to be told apart."""
    if len(labels) < FOLDS:
        raise UserError(
            f"only {len(labels)} images in train of {data}: the linear probe takes {FOLDS} or more"
        )
    if any(len(np.unique(labels[kept])) < 2 for kept, _ in _folds().split(labels)):
        raise UserError(
            f"train of {data} has too few images of a second class: the linear probe tells two "
            "or more apart"
        )


def _row(file: str, right: Sequence[np.ndarray]) -> list[str]:
    found = map(statistics.of_accuracy, right)
    cells = [(f"{one.value:.3f}", f"{one.low:.3f}-{one.high:.3f}") for one in found]
    return [file, *(cell for pair in cells for cell in pair)]


def _difference(name: str, first: np.ndarray, right: np.ndarray) -> str:
    by, low, high = (f"{100 * value:+.1f}" for value in statistics.of_difference(first, right))
    return f"{name} {by} points ({low} to {high})"


def backbone(file: str) -> Runner:
    """Return a ResNet50 with a file's weights that maps images to features, (N, 2048)."""
    torch.manual_seed(0)  # for `none`
    network = build("resnet50", 1)
    start_from(network, "resnet50", file)
    device = choose_device()
    stats = IMAGENET_MEAN, IMAGENET_STD
    network = features.Headless(network).eval()
    spare = device.type != "cpu"
    return Runner(network, *stats, device, "fp32", batch_size(device, "p2"), spare_cpu=spare)


def nearest(train: np.ndarray, val: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return what the nearest images of train say of val, int64 (M,).

    Args:
        train, val: features (N, D) and (M, D).
        labels: of train, (N,).
    """
    bank, queries = torch.from_numpy(train), torch.from_numpy(val)
    k = features.neighbours(labels)
    return knn_predictions(bank, torch.from_numpy(labels), queries, k).numpy()


def linear(train: np.ndarray, val: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return what logistic regression says of val, int64 (M,); arguments as of `nearest`."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    grid = {"logisticregression__C": STRENGTHS}
    search = GridSearchCV(model, grid, cv=_folds())
    with warnings.catch_warnings():
        # A large C needs more steps: stopping earlier is one more way to keep weights small.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(train, labels).predict(val)
