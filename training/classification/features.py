"""What a classifier makes of images, its features above all, and numbers that judge them.

Features are the input of the last linear layer, which sees classes as directions: how near two
images are is measured by the cosine throughout, never in a picture's two dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits
from torch import nn

from inference import UserError
from inference.device import batch_size, choose_device
from inference.images import read_ahead, read_pixels, reason
from inference.networks import load_into
from inference.runner import Runner
from inference.zoo import checkpoint
from training.engine.knn import NEIGHBOURS
from training.engine.recipe import Recipe

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


class Classifier:
    """A run's network, ready for images; computes in fp32, on a GPU where there is one.

    Raises:
        UserError: the file cannot be read, or is not the recipe's network.
    """

    def __init__(self, recipe: Recipe, weights: Path):
        try:
            with weights.open("rb") as stream:
                state = checkpoint.state_dict(stream, weights)
        except OSError as error:
            raise UserError(f"cannot read {weights}: {error.strerror}") from error
        self.recipe, self.weights = recipe, weights
        self.network = load_into(recipe.network, recipe.classes, recipe.arguments, state)

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Return the input of the last linear layer, fp32 (N, D), of uint8 images (N, S, S, 3).

        Raises:
            UserError: they tell no image from another, or are not finite.
        """
        found = self._through(_Features(self.network), pixels)
        if not np.isfinite(found).all() or np.ptp(found, axis=0).max() == 0:
            fault = "the same for every image" if np.isfinite(found).all() else "not finite"
            raise UserError(f"the features by {self.weights} are {fault}: nothing to draw")
        return found

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return the softmax of the logits, (N, classes); `tta` averages in the mirror image's."""
        flip = self.recipe.tta
        logits = self._through(self.network, pixels, flip).astype(np.float64) / (1 + flip)
        shares = np.exp(logits - logits.max(1, keepdims=True))
        return shares / shares.sum(1, keepdims=True)

    def _through(self, network: nn.Module, pixels: np.ndarray, flip: bool = False) -> np.ndarray:
        # The graded path's own normalisation, so that what is drawn is what is graded.
        device = choose_device()
        size = batch_size(device, self.recipe.problem)
        runner = Runner(network, self.recipe.mean, self.recipe.std, device, "fp32", size, flip)
        parts = range(0, len(pixels), size)
        return torch.cat([runner.logits(pixels[i : i + size]).cpu() for i in parts]).numpy()


class _Features(nn.Module):
    """A classifier that stops before its last linear layer."""

    network: Any  # has `features`, as every classifier of inference.networks

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
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
    """Return features in the plane of their largest variance, and the share of it on each axis.

    Returns:
        (N, 2), and (2,) in [0, 1].
    """
    model = PCA(2, random_state=SEED)
    return model.fit_transform(features.astype(np.float64)), model.explained_variance_ratio_


def tsne(features: np.ndarray) -> np.ndarray:
    """Return features of length 1 in the plane, (N, 2), by t-SNE (van der Maaten, Hinton 2008).

    Starts from PCA, so that pictures of several epochs keep their orientation.
    """
    perplexity = min(30.0, (len(features) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, init="pca", random_state=SEED)
    # Sums of several threads may differ in the last bit, which t-SNE would blow up.
    with threadpool_limits(1):
        return model.fit_transform(_unit(features))


def _unit(features: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.maximum(length, 1e-12)).astype(np.float32)
