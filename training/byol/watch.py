"""How good features are, without training anything on them."""

from __future__ import annotations

import torch
from torch.nn import functional as F

NEIGHBOURS = 20
TEMPERATURE = 0.07
CHUNK = 2048  # images whose neighbours are looked for at once


def knn_accuracy(
    features: torch.Tensor, labels: torch.Tensor, neighbours: int = NEIGHBOURS
) -> float:
    """Share of images whose class their nearest neighbours tell, each left out of its own.

    The nearest by cosine vote with the weight exp(cosine / 0.07) (arXiv 1805.01978, section 3.4).

    Args:
        features: (N, D), on any device; the products are computed there.
        labels: int64 (N,), from 0.

    Returns:
        The accuracy, in [0, 1].
    """
    features = F.normalize(features.float(), dim=1)
    classes = int(labels.max()) + 1
    right = torch.zeros((), dtype=torch.int64, device=features.device)
    for start in range(0, len(features), CHUNK):
        cosines = features[start : start + CHUNK] @ features.T  # (chunk, N)
        cosines.diagonal(start).fill_(-2.0)  # itself
        near, index = cosines.topk(min(neighbours, len(features) - 1), dim=1)
        votes = near.new_zeros(len(near), classes)
        votes.scatter_add_(1, labels[index], (near / TEMPERATURE).exp())
        right += (votes.argmax(1) == labels[start : start + CHUNK]).sum()
    return right.item() / len(features)
