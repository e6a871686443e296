"""Two views of every image."""

from __future__ import annotations

from collections.abc import Callable

import torch

from training import augment
from training.engine.recipe import IMAGENET_MEAN, IMAGENET_STD


def pair(
    images: torch.Tensor, recipe, normalise: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws a batch's two views as the recipe says, each image's of its own.

    What both have is drawn of both at once: on a GPU half the launches.

    Args:
        images: float (N, 3, S, S) in [0, 1] at the cache's size.
        normalise: from [0, 1] to what the network takes.

    Returns:
        Both (N, 3, size, size), normalised.
    """
    if recipe.views == "byol_pytorch":
        images = normalise(augment.flip(images, recipe.flip))
        views = _library(recipe.size)
        first, second = (
            views(images).contiguous(memory_format=torch.channels_last) for _ in range(2)
        )
        return first, second
    both = _recoloured(torch.cat((images, images)), recipe)
    first, second = (
        normalise(_filtered(view, recipe, which)) for which, view in enumerate(both.chunk(2))
    )
    return first, second


def _recoloured(images: torch.Tensor, recipe) -> torch.Tensor:
    """Draws what BYOL's sets T and T' have in common (arXiv 2006.07733, appendix B).

    Args:
        images: float (N, 3, S, S) in [0, 1].

    Returns:
        (N, 3, size, size) in [0, 1].
    """
    images, _ = augment.crop(images, recipe.size, recipe.area, mirror=recipe.flip)
    brightness, contrast, saturation, hue = recipe.jitter
    images = augment.jitter(
        images, brightness, contrast, saturation, recipe.jitter_chance, hue, shuffle=True
    )
    return augment.to_grey(images, recipe.grey)


def _filtered(images: torch.Tensor, recipe, which: int) -> torch.Tensor:
    """Draws what differs in T (0: always blurred) and T' (1: seldom blurred, some solarised)."""
    if recipe.blur[which]:
        images = augment.blur(images, kernel(recipe.size), p=recipe.blur[which])
    if recipe.solarise[which]:
        images = augment.solarise(images, p=recipe.solarise[which])
    return images


def kernel(size: int) -> int:
    """Gives the extent of the blur: a tenth of the side, odd; 23 for the paper's 224."""
    return max(3, size // 10 + 1 - size // 10 % 2)


def _library(size: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """byol_pytorch's default views (0.5.7 to 0.8): each draw is one for the whole batch.

    NOTE: there Python's generator draws whether to jitter and to blur; here torch's, which a run
    seeds.
    """
    from torchvision import transforms  # a second's import, for this recipe alone

    return transforms.Compose(
        [
            transforms.RandomApply([transforms.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.3),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.GaussianBlur((3, 3), (1.0, 2.0))], p=0.2),
            transforms.RandomResizedCrop((size, size)),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
