"""What images are covered or mixed with: other images of the batch, or a plain colour."""

from __future__ import annotations

import torch

from training.augment.draws import chosen, either


def cutmix(
    images: torch.Tensor, targets: torch.Tensor, p: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pastes a rectangle of another image of the batch into each (CutMix, arXiv 1905.04899).

    The kept share is uniform in [0, 1] (the paper's alpha = 1) and drawn per image, as are the
    place and the partner.

    Args:
        targets: float (N, classes), rows sum to 1.

    Returns:
        Images and targets blended by area.
    """
    n, _, height, width = images.shape
    device = images.device
    partner = torch.randperm(n, device=device)
    side = (1 - torch.rand(n, 1, device=device)).sqrt()  # of the rectangle, as a share
    rows, columns = (
        _inside(length, side, torch.rand(n, 1, device=device)) for length in (height, width)
    )
    pasted = rows[:, None, :, None] & columns[:, None, None, :] & chosen(images, p)
    kept = 1 - pasted.float().mean((1, 2, 3), keepdim=False)[:, None]
    targets = targets * kept + targets[partner] * (1 - kept)
    return either(pasted, images[partner], images), targets


def mixup(
    images: torch.Tensor, targets: torch.Tensor, alpha: float, p: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blends each image with another of the batch (mixup, arXiv 1710.09412).

    The share that is kept is drawn per image from Beta(alpha, alpha), as is the partner.

    Args:
        targets: float (N, classes), rows sum to 1.
        alpha: above 0; the paper's is 0.2 for ImageNet and 1, uniform shares, for CIFAR.

    Returns:
        Images and targets, blended alike.
    """
    n, device = len(images), images.device
    partner = torch.randperm(n, device=device)
    either = torch.full((n, 1), alpha, device=device)
    kept = torch.distributions.Beta(either, either, validate_args=False).sample()
    kept = torch.where(chosen(images, p)[..., 0, 0], kept, 1.0)  # (N, 1)
    targets = torch.lerp(targets[partner], targets, kept)
    return torch.lerp(images[partner], images, kept.to(images.dtype)[..., None, None]), targets


def cutout(
    images: torch.Tensor, share: float = 0.5, p: float = 1.0, fill: float = 0.5
) -> torch.Tensor:
    """Covers a square of each image (Cutout, arXiv 1708.04552).

    Its centre is uniform over the image, so that it may lie partly outside.

    Args:
        share: the square's side as a share of the image's; the paper's are 0.5 for CIFAR-10 and
            0.25 for CIFAR-100.
        fill: what covers; the paper's is the data's mean, which 0.5 stands for.
    """
    n, _, height, width = images.shape
    side = torch.full((n, 1), share, device=images.device)
    rows, columns = (
        _inside(length, side, torch.rand(n, 1, device=images.device)) for length in (height, width)
    )
    covered = rows[:, None, :, None] & columns[:, None, None, :] & chosen(images, p)
    return torch.where(covered, fill, images)


def _inside(length: int, side: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Marks the positions of an axis that the rectangle covers: bool (N, length)."""
    position = (torch.arange(length, device=side.device) + 0.5) / length
    return (position - centre).abs() < side / 2
