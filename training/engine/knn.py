"""How good features are, without training anything on them: k-NN accuracy (arXiv 1805.01978)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

NEIGHBOURS = 20
TEMPERATURE = 0.07
CHUNK = 2048  # images whose neighbours are looked for at once


def knn_predictions(
    bank: torch.Tensor,
    bank_labels: torch.Tensor,
    queries: torch.Tensor | None = None,
    neighbours: int = NEIGHBOURS,
) -> torch.Tensor:
    """Return the class that each query's nearest neighbours vote for, int64 (M,).

    The nearest by cosine vote with the weight exp(cosine / 0.07) (arXiv 1805.01978, section 3.4).

    Args:
        bank: features (N, D), on any device; the products are computed there.
        bank_labels: int64 (N,); any numbers will do.
        queries: features (M, D); None takes the bank itself, each left out of its own vote.
        neighbours: how many vote, at most as many as there are.
    """
    leave_one_out = queries is None
    unit = F.normalize(bank.float(), dim=1)
    asked = unit if queries is None else F.normalize(queries.float(), dim=1)
    count = min(neighbours, len(unit) - leave_one_out)
    # Votes are counted by the classes there are: a label may be a number like 15075141.
    classes, ranks = bank_labels.unique(return_inverse=True)
    found = []
    for start in range(0, len(asked), CHUNK):
        cosines = asked[start : start + CHUNK] @ unit.T  # (chunk, N)
        if leave_one_out:
            cosines.diagonal(start).fill_(-2.0)
        near, index = cosines.topk(count, dim=1)
        votes = near.new_zeros(len(near), len(classes))
        votes.scatter_add_(1, ranks[index], (near / TEMPERATURE).exp())
        found.append(classes[votes.argmax(1)])
    return torch.cat(found)


def knn_accuracy(
    features: torch.Tensor, labels: torch.Tensor, neighbours: int = NEIGHBOURS
) -> float:
    """Return the fraction of images whose class the others tell, leave-one-out, in [0, 1].

    Args:
        features: (N, D).
        labels: int64 (N,); any numbers will do.
        neighbours: how many vote.
    """
    predicted = knn_predictions(features, labels, neighbours=neighbours)
    return (predicted == labels).sum().item() / len(labels)
