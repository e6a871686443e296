"""What colour pixels have. The definitions are torchvision's and Pillow's.

Factors, thresholds and the like are one an image: (N, 1, 1, 1). The work is done on planes: here
it is several times as fast as on channels_last.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.augment.draws import chosen, chosen_few, either, uniform


def jitter(
    images: Tensor, brightness: float, contrast: float, saturation: float, p: float = 1.0
) -> Tensor:
    """Change brightness, contrast and saturation in turn, by factors uniform in 1 +- each."""
    factors, _ = _factors(images, (brightness, contrast, saturation), p)
    images = images.contiguous()
    operations = (scale_brightness, scale_contrast, scale_saturation)
    for operation, factor in zip(operations, factors.to(images, non_blocking=True), strict=True):
        images = operation(images, factor)
    return images


def jitter_shuffled(
    images: Tensor,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    p: float = 1.0,
) -> Tensor:
    """Change what `jitter` does, and the hue, in an order of each image's own.

    torchvision's ColorJitter draws an order for each call.

    Args:
        hue: largest shift of the hue, in [0, 0.5]; 0.5 is half the circle.
    """
    factors, pick = _factors(images, (brightness, contrast, saturation), p)
    shifts = uniform(torch.empty(len(images)), -hue, hue) if hue else None
    images = images.contiguous()
    which = torch.rand(factors.shape).argsort(0)  # brightness, contrast or saturation, by steps
    # Each is a blend with a share of the luma and of its mean: brightness has neither.
    blends = torch.stack([factors.gather(0, which), which == 2, which == 1], dim=1)
    blends = blends.to(images, non_blocking=True)  # (steps, 3, N, 1, 1, 1)
    if shifts is not None:
        turn = torch.where(pick, torch.randint(4, pick.shape), 4)  # the step of the hue; 4: none
        order, counts = turn.argsort(), turn.bincount(minlength=5).tolist()
        index = order.to(images.device, non_blocking=True).split(counts)
        shift = shifts[order].to(images, non_blocking=True).split(counts)
        images = images.clone()
    for step in range(4):
        if shifts is not None and counts[step]:
            moved = shift_hue(images[index[step]], shift[step])
            images.index_copy_(0, index[step], moved)
        if step < 3:
            images = _blend(images, *blends[step])
    return images


def _factors(images: Tensor, strengths: tuple[float, ...], p: float) -> tuple[Tensor, Tensor]:
    """Draw factors uniform in 1 +- each strength, (3, N, 1, 1, 1), and the images they change.

    On the CPU, like all that a jitter draws, to be sent at once and not in dozens of launches. The
    factors of an image that stays are 1, which changes nothing, exactly.
    """
    on_cpu = torch.empty(len(images))
    factors = torch.stack([uniform(on_cpu, max(0.0, 1 - s), 1 + s) for s in strengths])
    pick = chosen_few(images, p)
    return torch.where(pick.view(-1, 1, 1, 1), factors, 1.0), pick


def _blend(images: Tensor, factor: Tensor, of_luma: Tensor, of_mean: Tensor) -> Tensor:
    """Blend images with shares of their luma and of its mean over the image."""
    luma = grey(images)
    rest = torch.addcmul(luma.mean((2, 3), keepdim=True) * of_mean, luma, of_luma)
    return torch.lerp(rest, images, factor).clamp_(0, 1)


def scale_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend images with black."""
    return (images * factor).clamp_(0, 1)


def scale_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend images with their mean grey."""
    mean = grey(images).mean((2, 3), keepdim=True)
    return torch.lerp(mean, images, factor).clamp_(0, 1)


def scale_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend pixels with their grey."""
    return torch.lerp(grey(images), images, factor).clamp_(0, 1)


def shift_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Move the hue along its circle, of length 1, in the HSV model.

    From hue to colour without a table of six cases: each channel is the pixel's smallest value
    plus its range times a trapezium of the hue.
    """
    red, green, blue = images.unbind(1)  # (N, H, W)
    low, high = images.amin(1), images.amax(1)
    span = high - low
    not_red = torch.lerp(
        (blue - red).add_(span, alpha=2),
        (red - green).add_(span, alpha=4),
        (high - green).sign_(),  # 0 where green is the highest, else 1
    )
    hue = torch.lerp(green - blue, not_red, (high - red).sign_())
    hue = hue.div_(span.clamp(min=1e-9))  # in sixths of the circle; a grey pixel's is not used
    hue = torch.add(shift[:, 0] + 1, hue, alpha=1 / 6).frac_().mul_(6)  # + 1: frac is of positives
    shares = torch.stack([hue - 3, hue - 2, hue - 4], dim=1).abs_()
    shares[:, 1:].neg_().add_(3)
    shares.sub_(1).clamp_(0, 1)
    return torch.addcmul(low[:, None], shares, span[:, None])


def grey(images: Tensor) -> Tensor:
    """Return the luma of images, (N, 1, H, W): ITU-R BT.601, as torchvision and Pillow do."""
    red, green, blue = images.split(1, dim=1)
    return (red * 0.299).add_(green, alpha=0.587).add_(blue, alpha=0.114).clamp_(max=1)


def to_grey(images: Tensor, p: float = 1.0) -> Tensor:
    """Replace the colours of images by their grey, in all three channels."""
    images = images.contiguous()
    return either(chosen(images, p), grey(images), images)


def solarise(images: Tensor, threshold: float | Tensor = 0.5, p: float = 1.0) -> Tensor:
    """Invert the values that reach a threshold."""
    threshold = torch.where(chosen(images, p), threshold, math.inf)
    return either(images >= threshold, 1 - images, images)


def posterise(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits of 8: on the values of an 8-bit image exactly what Pillow does."""
    step = 2 ** (8 - bits)
    return (images * 255 + 0.5).div_(step).floor_().mul_(step).div_(255)


def autocontrast(images: Tensor) -> Tensor:
    """Stretch each channel to [0, 1]; one of a single value stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    flat = low == high
    low, span = torch.where(flat, 0.0, low), torch.where(flat, 1.0, high - low)
    return (images - low).div_(span).clamp_(0, 1)


def equalise(images: Tensor) -> Tensor:
    """Even out the histogram of each channel, of 256 bins, with Pillow's rounding."""
    n, channels, height, width = images.shape
    level = (images.reshape(n * channels, -1) * 255 + 0.5).long()  # (3N, H*W)
    count = level.new_zeros(n * channels, 256)
    count.scatter_add_(1, level, torch.ones_like(level))
    brightest = count.gather(1, level.amax(1, keepdim=True))
    step = (height * width - brightest).div_(255, rounding_mode="floor")
    below = count.cumsum(1) - count
    table = (below + step // 2).div_(step.clamp(min=1), rounding_mode="floor").clamp_(0, 255)
    table = torch.where(step == 0, torch.arange(256, device=images.device), table)
    return table.gather(1, level).view_as(images).to(images.dtype).div_(255)
