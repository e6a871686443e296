"""Random augmentations, drawn per image, on the batch's device.

They work on float images (N, 3, H, W) in [0, 1], before normalisation, so that whatever clamps
does so at black and white. Each takes its draws from torch's global generator of the images'
device, which `fit` seeds anew for every step. Masks (N, H, W) move with their images and are
sampled nearest: no class is ever blended.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def chosen(images: torch.Tensor, p: float) -> torch.Tensor:
    """Draws which images of a batch are changed: bool (N, 1, 1, 1), each true with chance p."""
    return torch.rand(len(images), 1, 1, 1, device=images.device) < p


def flip(images: torch.Tensor, p: float = 0.5) -> torch.Tensor:
    """Mirrors images left to right."""
    return torch.where(chosen(images, p), images.flip(-1), images)


def shift(images: torch.Tensor, pixels: int) -> torch.Tensor:
    """Moves images by whole pixels, each way at most `pixels`; what comes in is reflected."""
    n, _, height, width = images.shape
    padded = F.pad(images, (pixels,) * 4, mode="reflect")
    offset = torch.randint(0, 2 * pixels + 1, (2, n, 1), device=images.device)
    rows = torch.arange(height, device=images.device) + offset[0]  # (N, H)
    columns = torch.arange(width, device=images.device) + offset[1]  # (N, W)
    item = torch.arange(n, device=images.device)[:, None, None]
    moved = padded[item, :, rows[:, :, None], columns[:, None, :]]  # (N, H, W, 3)
    return moved.permute(0, 3, 1, 2)


def crop(
    images: torch.Tensor,
    size: int,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    degrees: float = 0.0,
    masks: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Cuts a random part out of each image and scales it to size x size, bilinearly.

    The part is drawn as torchvision's RandomResizedCrop draws it (share of the area uniform in
    `area`, aspect log-uniform in `ratio`), may be turned by up to `degrees`, and lies within the
    image as far as its turned corners allow; beyond the edges the image is reflected.

    Args:
        masks: uint8 (N, H, W); cut alike, nearest.

    Returns:
        Images (N, 3, size, size) and masks (N, size, size), or None where none were given.
    """
    n, device = len(images), images.device
    share = torch.empty(n, device=device).uniform_(*area)
    aspect = torch.exp(torch.empty(n, device=device).uniform_(*(math.log(r) for r in ratio)))
    width = (share * aspect).sqrt().clamp(max=1.0)
    height = (share / aspect).sqrt().clamp(max=1.0)
    centre = (torch.rand(2, n, device=device) * 2 - 1) * (1 - torch.stack([width, height]))
    angle = torch.empty(n, device=device).uniform_(-degrees, degrees) * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [width * cos, -height * sin, centre[0], width * sin, height * cos, centre[1]], dim=1
    ).view(n, 2, 3)
    grid = F.affine_grid(theta, [n, 3, size, size], align_corners=False).to(images.dtype)
    cut = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    if masks is None:
        return cut, None
    moved = F.grid_sample(
        masks[:, None].to(images.dtype), grid, "nearest", "reflection", align_corners=False
    )
    return cut, moved[:, 0].to(masks.dtype)


def turn(images: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Applies one of the square's eight symmetries to each image and its mask, without sampling.

    Satellite images have no up.

    Args:
        images: square, (N, 3, S, S).
    """
    for axes in ((-1,), (-2,)):
        pick = chosen(images, 0.5)
        images = torch.where(pick, images.flip(axes), images)
        masks = torch.where(pick[:, 0], masks.flip(axes), masks)
    pick = chosen(images, 0.5)
    images = torch.where(pick, images.transpose(-1, -2), images)
    masks = torch.where(pick[:, 0], masks.transpose(-1, -2), masks)
    return images, masks


def jitter(
    images: torch.Tensor, brightness: float, contrast: float, saturation: float, p: float = 1.0
) -> torch.Tensor:
    """Changes brightness, contrast and saturation, each by a factor uniform in 1 +- its strength.

    In this order and with torchvision's definitions: black, the image's mean grey and the
    pixel's grey are what the factors blend with.
    """
    changed = (images * _factor(images, brightness)).clamp(0, 1)
    mean = grey(changed).mean((2, 3), keepdim=True)
    changed = torch.lerp(mean.expand_as(changed), changed, _factor(images, contrast)).clamp(0, 1)
    changed = torch.lerp(
        grey(changed).expand_as(changed), changed, _factor(images, saturation)
    ).clamp(0, 1)
    return torch.where(chosen(images, p), changed, images)


def grey(images: torch.Tensor) -> torch.Tensor:
    """Gives the luma of images, (N, 1, H, W): ITU-R BT.601, as torchvision and Pillow do."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device, dtype=images.dtype)
    return (images * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)


def _factor(images: torch.Tensor, strength: float) -> torch.Tensor:
    factor = torch.empty(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
    return factor.uniform_(max(0.0, 1 - strength), 1 + strength)


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
    return torch.where(pasted, images[partner], images), targets


def _inside(length: int, side: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Marks the positions of an axis that the rectangle covers: bool (N, length)."""
    position = (torch.arange(length, device=side.device) + 0.5) / length
    return (position - centre).abs() < side / 2
