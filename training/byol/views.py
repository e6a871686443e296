"""Two views of every image, as a recipe names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from inference import UserError
from training.augment import colour, filters, geometry
from training.engine.recipe import IMAGENET_MEAN, IMAGENET_STD
from training.engine.values import Share, Value, as_argument, named, shares

Normalise = Callable[[Tensor], Tensor]  # from [0, 1] to what the network takes
Pair = Annotated[tuple[float, float], shares(2)]  # the first view's and the second's


@dataclass(frozen=True)
class Views(Value):
    """What draws two views; `flip` is each image's chance to be mirrored."""

    flip: Share = 0.5

    def pair(self, images: Tensor, size: int, normalise: Normalise) -> tuple[Tensor, Tensor]:
        """Return a batch's two views, both (N, 3, size, size), normalised.

        Args:
            images: float (N, 3, S, S) in [0, 1] at the cache's size.
            size: side of the views, pixels.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class ByolViews(Views):
    """BYOL's sets of augmentations T and T' (arXiv 2006.07733, appendix B), drawn per image.

    Attributes:
        area: share of the image that a crop keeps, as `geometry.crop` draws it.
        jitter: reach of brightness, contrast, saturation and hue.
        blur: chances; the kernel is a tenth of the side.
        solarise: chances.
    """

    area: Annotated[tuple[float, float], shares(2)] = (0.08, 1.0)
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    jitter_p: Share = 0.8
    grayscale: Share = 0.2
    blur: Pair = (1.0, 0.1)
    solarise: Pair = (0.0, 0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.area[0] <= self.area[1]:
            raise UserError(f"area={as_argument(self.area)}: it is two shares, the smaller first")
        if len(self.jitter) != 4 or not min(self.jitter) >= 0 or not self.jitter[3] <= 0.5:
            raise UserError(
                f"jitter={as_argument(self.jitter)}: it is four numbers from 0 up, "
                "the hue's at most 0.5"
            )

    def pair(self, images: Tensor, size: int, normalise: Normalise) -> tuple[Tensor, Tensor]:
        """Return both views; what they have in common is drawn at once: half the launches."""
        both, _ = geometry.crop(torch.cat((images, images)), size, self.area, mirror=self.flip)
        both = colour.jitter_shuffled(both, *self.jitter, self.jitter_p)
        first, second = colour.to_grey(both, self.grayscale).chunk(2)
        return normalise(self._filter(first, size, 0)), normalise(self._filter(second, size, 1))

    def _filter(self, images: Tensor, size: int, which: int) -> Tensor:
        """Return what differs: T (0) is always blurred, T' (1) seldom, and some solarised."""
        if self.blur[which]:
            images = filters.blur(images, kernel(size), p=self.blur[which])
        if self.solarise[which]:
            images = colour.solarise(images, p=self.solarise[which])
        return images

    def describe(self) -> list[str]:
        low, high = self.area
        reach = ", ".join(f"{value:g}" for value in self.jitter)
        return [
            f"crop, its area drawn from {low:.0%} to {high:.0%}",
            f"mirrored, chance {self.flip:g}",
            f"brightness, contrast, saturation, hue by {reach}, chance {self.jitter_p:g}",
            f"grey, chance {self.grayscale:g}",
            f"blur, chance {self.blur[0]:g} in one view, {self.blur[1]:g} in the other",
            f"solarised, chance {self.solarise[0]:g} and {self.solarise[1]:g}",
        ]


@dataclass(frozen=True)
class ByolPytorchViews(Views):
    """byol_pytorch's default views (0.5.7 to 0.8): each draw is one for the whole batch.

    Among several processes it is one for each process's share of the batch.
    Images are mirrored and normalised before, as the original report did.
    NOTE: there Python's generator draws whether to jitter and to blur; here torch's, which a run
    seeds.
    """

    def pair(self, images: Tensor, size: int, normalise: Normalise) -> tuple[Tensor, Tensor]:
        """Return both views."""
        from torchvision import transforms  # a second's import, for this recipe alone

        draw = transforms.Compose(
            [
                transforms.RandomApply([transforms.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.3),
                transforms.RandomGrayscale(p=0.2),
                transforms.RandomHorizontalFlip(),
                transforms.RandomApply([transforms.GaussianBlur((3, 3), (1.0, 2.0))], p=0.2),
                transforms.RandomResizedCrop((size, size)),
                transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )
        images = normalise(geometry.flip(images, self.flip))
        first, second = draw(images), draw(images)
        layout = torch.channels_last
        return first.contiguous(memory_format=layout), second.contiguous(memory_format=layout)

    def describe(self) -> list[str]:
        return [
            "byol_pytorch’s own, drawn once for a batch (for each process’s share of it)",
            f"before them mirrored, chance {self.flip:g}",
        ]


VIEWS = named(ByolViews, ByolPytorchViews)


def kernel(size: int) -> int:
    """Return the extent of the blur: a tenth of the side, odd; 23 for the paper's 224."""
    return max(3, size // 10 + 1 - size // 10 % 2)
