"""What frozen backbones know: k-NN and linear probes of ResNet50's features on P2's office images.

Features are the 2,048 pooled outputs of the last stage, of train and val, resized and not varied.
k-NN: the nearest images of train by cosine vote on each of val (arXiv 1805.01978), 20 of them, or
less one than the median class of train has. Linear: logistic regression on standardised features,
its C chosen by 5-fold cross-validation within train. Of two files or more each is compared with the
first, on the same images of val.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from inference import UserError
from inference.device import batch_size, choose_device
from inference.networks import build
from inference.runner import Runner
from training.classification import features, p2, statistics
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
        UserError: a file is no ResNet50's, or the data's layout is not the course's.
    """
    parts = [p2.read(data, part) for part in ("train", "val")]
    (train, val), (known, truth) = zip(*parts, strict=True)
    if known.min() < 0:
        raise UserError(f"a label of train in {data} is {known.min()}: classes count from 0")
    backbones = [backbone(file) for file in files]  # before the images: it may fail
    pixels = [features.read(paths, size) for paths in (train, val)]
    k = features.neighbours(known)
    lines = [f"| backbone | {k}-NN | 95 % | linear | 95 % |", "|---|---|---|---|---|"]
    first, differences = None, []
    for file, network in zip(files, backbones, strict=True):
        bank, queries = (pooled(network, images) for images in pixels)
        right = [predict(bank, queries, known) == truth for predict in (nearest, linear)]
        lines.append(_row(file, right))
        if first is None:
            first = right
        else:
            differences.append(_difference(file, files[0], right, first))
    notes = f"\n{len(truth)} images of val, {len(known)} of train, which are the neighbours, at "
    notes += f"{size} pixels; intervals: Wilson's, and the paired t-test's of the differences.\n"
    return "\n".join([*lines, *(["", *differences] if differences else [])]) + "\n" + notes


def backbone(file: str) -> nn.Module:
    """Return a ResNet50 with a file's weights, in eval mode, that maps images to (N, 2048)."""
    torch.manual_seed(0)  # for `none`
    network = build("resnet50", 1)
    start_from(network, "resnet50", file)
    return _Pooled(network).eval()


class _Pooled(nn.Module):
    network: Any  # a ResNet

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.pooled(images)


def pooled(network: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Return features, fp32 (N, 2048), of uint8 images (N, S, S, 3)."""
    device = choose_device()
    size = batch_size(device, "p2")
    runner = Runner(network, IMAGENET_MEAN, IMAGENET_STD, device, "fp32", size)
    parts = range(0, len(pixels), size)
    return torch.cat([runner.logits(pixels[i : i + size]).cpu() for i in parts]).numpy()


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
    # Not by class: some have fewer images than there are folds.
    search = GridSearchCV(model, grid, cv=KFold(FOLDS, shuffle=True, random_state=0))
    with warnings.catch_warnings():
        # A large C needs more steps: stopping earlier is one more way to keep weights small.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(train, labels).predict(val)


def _row(file: str, right: Sequence[np.ndarray]) -> str:
    cells = []
    for one in right:
        found = statistics.of_accuracy(one)
        cells += [f"{found.value:.3f}", f"{found.low:.3f}-{found.high:.3f}"]
    return f"| {file} | {' | '.join(cells)} |"


def _difference(
    file: str, than: str, right: Sequence[np.ndarray], first: Sequence[np.ndarray]
) -> str:
    said = []
    for name, one, other in zip(("k-NN", "linear"), first, right, strict=True):
        apart = statistics.of_difference(one, other)
        points = [f"{100 * value:+.1f}" for value in apart]
        said.append(f"{name} {points[0]} points ({points[1]} to {points[2]})")
    return f"{file} against {than}: {', '.join(said)}"
