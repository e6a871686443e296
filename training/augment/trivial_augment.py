"""One operation an image, of any strength: TrivialAugment (arXiv 2103.10158)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

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

OPERATIONS = (*WARPS, *RECOLOURS)


def trivial(
    images: torch.Tensor, reach: float = 1.0, operations: Sequence[str] = OPERATIONS
) -> torch.Tensor:
    """Applies one operation to each image; which and how strongly is drawn uniformly.

    Args:
        reach: share of the full ranges that strengths are drawn from, in (0, 1]. At 1 a
            translation is up to 32 pixels: all of a 32x32 image can leave it, as in the paper.
        operations: what is drawn from, names in `OPERATIONS`.
    """
    n, _, height, width = images.shape
    # Drawn on the CPU: the sizes of the groups are known without waiting for a GPU.
    drawn = torch.randint(len(operations), (n,))
    order = drawn.argsort().to(images.device, non_blocking=True)
    groups = order.split(drawn.bincount(minlength=len(operations)).tolist())
    members = {name: group for name, group in zip(operations, groups, strict=True) if len(group)}
    strengths = uniform(images, -reach, reach)
    changed = images.clone(memory_format=torch.contiguous_format)
    warped = [name for name in members if name in WARPS]
    if warped:
        matrices = [
            WARPS[name](strengths[members[name]].flatten(), height, width) for name in warped
        ]
        group = torch.cat([members[name] for name in warped])
        changed.index_copy_(0, group, geometry.warp(changed[group], torch.cat(matrices)))
    for name in members.keys() & RECOLOURS.keys():
        group = members[name]
        changed.index_copy_(0, group, RECOLOURS[name](changed[group], strengths[group]))
    return changed
