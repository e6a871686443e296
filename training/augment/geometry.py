"""Where pixels go: flips, shifts, crops, rotations. Masks go along, sampled nearest."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from training.augment.draws import change, chosen, chosen_few, either


def flip(images: Tensor, p: float = 0.5) -> Tensor:
    """Mirror images left to right."""
    return either(chosen(images, p), images.flip(-1), images)


def shift(images: Tensor, pixels: int) -> Tensor:
    """Move images by whole pixels, each way at most `pixels`; what comes in is reflected."""
    n, _, height, width = images.shape
    padded = F.pad(images.contiguous(), (pixels,) * 4, mode="reflect")
    offset = torch.randint(0, 2 * pixels + 1, (2, n, 1), device=images.device)[..., 0]
    item = torch.arange(n, device=images.device)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # views: (N, 3, 2p+1, 2p+1, H, W)
    return windows[item, :, offset[0], offset[1]]


def crop(
    images: Tensor,
    size: int,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    degrees: float = 0.0,
    masks: Tensor | None = None,
    mirror: float = 0.0,
) -> tuple[Tensor, Tensor | None]:
    """Cut a random part out of each image and scale it to size x size, bilinearly.

    The part's share of the area is uniform in `area` and its aspect log-uniform in `ratio`, as in
    torchvision's RandomResizedCrop. Where such a part is longer than the image, its side is cut to
    the image's, and its area is smaller than was drawn, where torchvision would draw again: by
    default that is one part in seven. It may be turned by up to `degrees`, and lies within the
    image as far as its turned corners allow; beyond the edges the image is reflected.

    Nothing is smoothed before it is scaled down: parts of more than about 1.5 * size pixels a side
    alias. Keep images no larger than that, shrunk with antialiasing once, when they are stored.

    Args:
        masks: uint8 (N, H, W), or None; cut alike, nearest.
        mirror: each part's own chance to be mirrored left to right: a `flip` that costs nothing.
    """
    theta = _parts(len(images), area, ratio, degrees, mirror).to(images.device, non_blocking=True)
    place = torch.linspace(1 / size - 1, 1 - 1 / size, size, device=images.device)
    grid = _grid(theta, place, place).to(images.dtype)
    cut = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    if masks is None:
        return cut, None
    planes = masks[:, None].to(images.dtype)
    planes = F.grid_sample(planes, grid, "nearest", "reflection", align_corners=False)
    return cut, planes[:, 0].to(masks.dtype)


def _parts(
    n: int, area: tuple[float, float], ratio: tuple[float, float], degrees: float, mirror: float
) -> Tensor:
    """Draw the parts of n images, as `crop` says: (n, 2, 3), as torch's affine_grid takes them.

    On the CPU: a matrix is put together of many numbers.
    """
    share = torch.empty(n).uniform_(*area)
    aspect = torch.exp(torch.empty(n).uniform_(*(math.log(r) for r in ratio)))
    width = (share * aspect).sqrt().clamp(max=1.0)
    height = (share / aspect).sqrt().clamp(max=1.0)
    centre = (torch.rand(2, n) * 2 - 1) * (1 - torch.stack([width, height]))
    angle = torch.empty(n).uniform_(-degrees, degrees) * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    width = torch.where(torch.rand(n) < mirror, -width, width)
    return affine(width * cos, -height * sin, centre[0], width * sin, height * cos, centre[1])


def dihedral(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Apply one of the square's eight symmetries to each image (N, 3, S, S) and its mask.

    Satellite images have no up. Nothing is sampled.
    """
    images = images.contiguous()  # planes are transposed faster
    for axes in ((-1,), (-2,)):
        pick = chosen(images, 0.5)
        images = either(pick, images.flip(axes), images)
        masks = torch.where(pick[:, 0], masks.flip(axes), masks)
    pick = chosen(images, 0.5)
    images = either(pick, images.transpose(-1, -2), images)
    masks = torch.where(pick[:, 0], masks.transpose(-1, -2), masks)
    return images, masks


def rotate(images: Tensor, degrees: float, p: float = 1.0) -> Tensor:
    """Turn images about their centre by an angle uniform in +-degrees, black outside.

    Pixels are sampled nearest, as torchvision's RandomRotation does by default.
    """
    angle = torch.empty(len(images), device=images.device).uniform_(-degrees, degrees)
    matrix = rotation(angle * (math.pi / 180))
    return change(images, chosen_few(images, p), warp, matrix)


def rotation(angle: Tensor) -> Tensor:
    """Return the matrix for `warp` that turns by angles (N,) in radians, counter-clockwise."""
    return affine(xx=angle.cos(), xy=-angle.sin(), yx=angle.sin(), yy=angle.cos())


def affine(xx=1.0, xy=0.0, x=0.0, yx=0.0, yy=1.0, y=0.0) -> Tensor:
    """Put a matrix for `warp` together from its entries, numbers or (N,): (N, 2, 3)."""
    entries = (xx, xy, x, yx, yy, y)
    like = next(entry for entry in entries if isinstance(entry, Tensor))
    return torch.stack([torch.zeros_like(like) + entry for entry in entries], 1).view(-1, 2, 3)


def warp(images: Tensor, matrix: Tensor) -> Tensor:
    """Sample images nearest where an affine map says; what lies outside is black.

    Args:
        matrix: (N, 2, 3), from a pixel of the result to the place in the image that it shows:
            x and y in pixels from the centre.
    """
    height, width = images.shape[-2:]
    # grid_sample measures in halves of each side.
    theta = torch.stack([matrix[:, 0] * (2 / width), matrix[:, 1] * (2 / height)], dim=1)
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = torch.arange(height, device=images.device) - (height - 1) / 2
    grid = _grid(theta, x, y).to(images.dtype)
    return F.grid_sample(images, grid, "nearest", align_corners=False)


def _grid(theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return what torch's affine_grid does, (N, H, W, 2), on a CPU in a fraction of its time.

    Args:
        theta: (N, 2, 3).
        x, y: (W,) and (H,), where the columns and rows of the result are.
    """
    along = theta[:, :, None, None, 0] * x  # (N, 2, 1, W)
    down = torch.addcmul(theta[:, :, 2:], theta[:, :, 1:2], y)[..., None]  # (N, 2, H, 1)
    return (along + down).permute(0, 2, 3, 1)
