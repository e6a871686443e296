"""One operation an image, of any strength: TrivialAugment (arXiv 2103.10158)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from training.augment import colour, filters, geometry
from training.augment.draws import uniform

# The ranges are those of the paper's Wide space. A strength is in [-1, 1]; operations that know
# one direction take its size.

# From strengths (N,), height and width to matrices for `geometry.warp`. As Pillow does, shears
# keep the upper left corner in place and translations are whole pixels.
WARPS: dict[str, Callable] = {
    "shear x": lambda s, h, w: geometry.affine(xy=0.99 * s, x=0.99 * s * h / 2),
    "shear y": lambda s, h, w: geometry.affine(yx=0.99 * s, y=0.99 * s * w / 2),
    "translate x": lambda s, h, w: geometry.affine(x=-(32 * s).trunc()),
    "translate y": lambda s, h, w: geometry.affine(y=-(32 * s).trunc()),
    "rotate": lambda s, h, w: geometry.rotation(math.radians(135) * s),
}

# From images and strengths (N, 1, 1, 1) to images.
RECOLOURS: dict[str, Callable] = {
    "identity": lambda x, s: x,
    "brightness": lambda x, s: colour.scale_brightness(x, 1 + 0.99 * s),
    "contrast": lambda x, s: colour.scale_contrast(x, 1 + 0.99 * s),
    "saturation": lambda x, s: colour.scale_saturation(x, 1 + 0.99 * s),
    "sharpness": lambda x, s: filters.sharpen(x, 1 + 0.99 * s),
    "posterise": lambda x, s: colour.posterise(x, (8 - 6 * s.abs()).round()),
    "solarise": lambda x, s: colour.solarise(x, 1 - s.abs()),
    "autocontrast": lambda x, s: colour.autocontrast(x),
    "equalise": lambda x, s: colour.equalise(x),
}

OPERATIONS = (*WARPS, *RECOLOURS)  # in this order they are applied


def trivial(images: Tensor, reach: float = 1.0) -> Tensor:
    """Apply one operation to each image; which and how strongly is drawn uniformly.

    Args:
        reach: share of the full ranges that strengths are drawn from, in (0, 1]. At 1 a
            translation is up to 32 pixels: all of a 32x32 image can leave it, as in the paper.
    """
    n, _, height, width = images.shape
    # Drawn on the CPU: the sizes of the groups are known without waiting for a GPU, and matrices
    # are put together without dozens of launches there.
    drawn = torch.randint(len(OPERATIONS), (n,))
    strengths = uniform(torch.empty(n), -reach, reach).flatten()
    order, counts = drawn.argsort(), drawn.bincount(minlength=len(OPERATIONS)).tolist()
    strengths = strengths[order]
    matrices = [
        WARPS[name](group, height, width)
        for name, group in zip(OPERATIONS, strengths.split(counts), strict=True)
        if name in WARPS
    ]
    warped = sum(map(len, matrices))
    order, strengths = (draw.to(images.device, non_blocking=True) for draw in (order, strengths))
    images = images.contiguous()[order]
    changed = []
    if warped:
        matrix = torch.cat(matrices).to(images.device, non_blocking=True)
        changed.append(geometry.warp(images[:warped], matrix))
    groups = (values.split(counts) for values in (images, strengths.view(n, 1, 1, 1)))
    for name, group, strength in zip(OPERATIONS, *groups, strict=True):
        if name in RECOLOURS and len(group):
            changed.append(RECOLOURS[name](group, strength))
    return torch.empty_like(images).index_copy_(0, order, torch.cat(changed))
