"""What a classifier makes of images, its features above all, and numbers that judge them.

Features are the input of the last linear layer, which sees classes as directions: how near two
images are is measured by the cosine throughout, never in a picture's two dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits
from torch import nn

from inference import UserError, predict
from inference.images import read_ahead, read_pixels, reason
from inference.runner import Runner
from inference.zoo import Record
from training.engine.knn import NEIGHBOURS
from training.engine.run_folder import Run

SEED = 0  # of PCA and t-SNE: the same features give the same picture


def read(paths: Sequence[Path], size: int) -> np.ndarray:
    """Return images as the network sees them, uint8 (N, size, size, 3).

    Raises:
        UserError: an image cannot be read (the first is named).
    """
    pixels = []
    ahead = read_ahead(paths, partial(read_pixels, size=size), ahead=256, chunk=16)
    for path, image in zip(paths, ahead, strict=True):
        if isinstance(image, Exception):
            raise UserError(f"cannot read {path}: {reason(image)}; mend or remove it")
        pixels.append(image)
    return np.stack(pixels)


def features(run: Run, weights: Path, pixels: np.ndarray) -> np.ndarray:
    """Return the input of the last linear layer, fp32 (N, D), of uint8 images (N, S, S, 3).

    Raises:
        UserError: they tell no image from another, or are not finite; the file cannot be read, or
            is not the recipe's network; there is not memory enough for one image.
    """
    runner = _runner(replace(run.recipe, tta=False).record(), weights)
    runner.network = Headless(runner.network)
    found = logits(runner, pixels)
    if not np.isfinite(found).all():
        raise UserError(f"the features by {weights} are not finite: nothing to draw")
    if np.ptp(found, axis=0).max() == 0:
        raise UserError(f"the features by {weights} are the same for every image: nothing to draw")
    return found


def probabilities(run: Run, pixels: np.ndarray) -> np.ndarray:
    """Return the softmax of the run's logits, (N, classes); with `tta` of its views' mean.

    Raises:
        UserError: there is not memory enough for one image.
    """
    found = logits(_runner(run.recipe.record(), run.best), pixels).astype(np.float64)
    return softmax(found / (1 + run.recipe.tta), axis=1)


def _runner(record: Record, weights: Path) -> Runner:
    """Return the network on the graded path, in fp32, so that what is drawn is what is graded."""
    settings = predict.Settings(weights=weights, precision="fp32")
    return predict.load_runner(record, settings)


def logits(runner: Runner, pixels: np.ndarray) -> np.ndarray:
    """Return what a network makes of uint8 images (N, S, S, 3), fp32 (N, ...).

    Raises:
        UserError: there is not memory enough for one image.
    """
    return runner.logits_in_parts(pixels).numpy()


class Headless(nn.Module):
    """A classifier that stops before its last linear layer."""

    network: Any  # has `features`, as every classifier of inference.networks

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> (N, D)."""
        return self.network.features(images)


def neighbours(labels: np.ndarray) -> int:
    """Return how many neighbours vote: 20, or fewer where the median class has not 20 others.

    Args:
        labels: of the images that vote, (N,).
    """
    counts = np.unique(labels, return_counts=True)[1]
    return int(max(1, min(NEIGHBOURS, np.median(counts) - 1, len(labels) - 1)))


def silhouette(features: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the mean silhouette by cosine distance, in [-1, 1]; None where it has no meaning.

    1: classes lie tight and apart; 0: they touch; below: images lie nearer to another class. It
    takes two classes, and one of them with two images.
    """
    classes = len(np.unique(labels))
    if not 2 <= classes < len(labels):
        return None
    return float(silhouette_score(features, labels, metric="cosine"))


def pca(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features in the plane of most variance, (N, 2), and each axis's share of it, (2,)."""
    model = PCA(2, random_state=SEED)
    return model.fit_transform(features.astype(np.float64)), model.explained_variance_ratio_


def tsne(features: np.ndarray) -> np.ndarray:
    """Return features of length 1 in the plane, (N, 2), by t-SNE (van der Maaten, Hinton 2008).

    Starts from PCA, so that pictures of several epochs keep their orientation.
    """
    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit = (features / np.maximum(length, 1e-12)).astype(np.float32)
    perplexity = min(30.0, (len(features) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, init="pca", random_state=SEED)
    # Sums of several threads may differ in the last bit, which t-SNE would blow up.
    with threadpool_limits(1):
        return model.fit_transform(unit)
