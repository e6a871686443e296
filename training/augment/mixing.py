"""What images are covered or mixed with: other images of the batch, or a plain colour."""

from __future__ import annotations

import torch
from torch import Tensor

from training.augment.draws import chosen, either


def cutmix(images: Tensor, targets: Tensor, p: float = 1.0) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of another image of the batch into each (CutMix, arXiv 1905.04899).

    The rectangle's area is uniform in [0, 1] (the paper's alpha = 1) and drawn per image, as are
    its centre and the partner; what lies beyond the image's edges is cut off. Targets, float (N,
    classes), are blended by the area that is left.
    """
    partner = torch.randperm(len(images), device=images.device)
    side = (1 - torch.rand(len(images), 1, device=images.device)).sqrt()
    pasted = _rectangles(images, side, p)
    kept = 1 - pasted.float().mean((1, 2, 3))[:, None]
    targets = targets * kept + targets[partner] * (1 - kept)
    return either(pasted, images[partner], images), targets


def mixup(images: Tensor, targets: Tensor, p: float = 1.0) -> tuple[Tensor, Tensor]:
    """Blend each image with another of the batch (mixup, arXiv 1710.09412), and its targets alike.

    The share that is kept is drawn per image, uniformly (the paper's alpha = 1, for CIFAR), as is
    the partner. Targets are float (N, classes).
    """
    n, device = len(images), images.device
    partner = torch.randperm(n, device=device)
    alpha = torch.ones(n, 1, device=device)
    kept = torch.distributions.Beta(alpha, alpha, validate_args=False).sample()
    kept = torch.where(chosen(images, p)[..., 0, 0], kept, 1.0)  # (N, 1)
    targets = torch.lerp(targets[partner], targets, kept)
    return torch.lerp(images[partner], images, kept.to(images.dtype)[..., None, None]), targets


def cutout(images: Tensor, share: float = 0.5, p: float = 1.0) -> Tensor:
    """Cover a square of each image with mid-grey (Cutout, arXiv 1708.04552: with the data's mean).

    Its centre is uniform over the image, so that it may lie partly outside.

    Args:
        share: the square's side as a share of the image's; the paper's are 0.5 for CIFAR-10 and
            0.25 for CIFAR-100.
    """
    side = torch.full((len(images), 1), share, device=images.device)
    return torch.where(_rectangles(images, side, p), 0.5, images)


def _rectangles(images: Tensor, side: Tensor, p: float) -> Tensor:
    """Draw where rectangles lie, (N, 1, H, W), of sides (N, 1) that are shares of the image's."""
    inside = []
    for length in images.shape[2:]:
        centre = torch.rand(len(images), 1, device=images.device)
        position = (torch.arange(length, device=images.device) + 0.5) / length
        inside.append((position - centre).abs() < side / 2)  # (N, length)
    rows, columns = inside
    return rows[:, None, :, None] & columns[:, None, None, :] & chosen(images, p)
