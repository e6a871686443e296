"""Augmentations as a recipe names them: each a small value that changes a batch and says how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from inference import UserError
from training.augment import colour, filters, geometry, mixing, trivial_augment
from training.engine.values import Count, NotNegative, Share, Value, at_least, named


@dataclass(frozen=True)
class Augmentation(Value):
    """A random change of a batch, drawn for each image alone.

    A subclass has `change`, or `__call__` where targets change too or the size does.
    """

    @property
    def cache_size(self) -> int:
        """The side in pixels at which it wants images to be kept; 0: the network's input's."""
        return 0

    def check(self, size: int) -> None:
        """Raise UserError where images of this side cannot be changed so."""

    def __call__(self, images: Tensor, targets: Tensor | None, size: int) -> tuple:
        """Return changed images and targets.

        Args:
            images: float (N, 3, H, W) in [0, 1].
            targets: of a classifier float (N, classes), rows sum to 1; of a segmenter masks, uint8
                (N, H, W), which move with their images; or None.
            size: side in pixels to which whatever resizes does.
        """
        return self.change(images), targets

    def change(self, images: Tensor) -> Tensor:
        """Return changed images, of an augmentation that leaves targets alone."""
        raise NotImplementedError


def apply(
    augmentations: Iterable[Augmentation], images: Tensor, targets: Tensor | None, size: int
) -> tuple:
    """Return images and targets after each augmentation in turn; arguments as of each."""
    for augmentation in augmentations:
        images, targets = augmentation(images, targets, size)
    return images, targets


@dataclass(frozen=True)
class Flip(Augmentation):
    """Mirror images left to right, with chance `p`."""

    p: Share = 0.5
    words = "mirrored, chance {p:g}"

    def change(self, images: Tensor) -> Tensor:
        return geometry.flip(images, self.p)


@dataclass(frozen=True)
class Shift(Augmentation):
    """Move images by whole pixels, each way at most `pixels`; what comes in is reflected."""

    pixels: int = 4
    words = "shift by up to {pixels} pixels"

    def check(self, size: int) -> None:
        if not 0 <= self.pixels < size:
            raise UserError(
                f"shift.pixels={self.pixels}: from 0 to less than {size}, the image's side"
            )

    def change(self, images: Tensor) -> Tensor:
        return geometry.shift(images, self.pixels)


@dataclass(frozen=True)
class RandomResizedCrop(Augmentation):
    """Cut out a random part and resize it to the input.

    Attributes:
        min_area: the share of the image's area is drawn uniformly from it to 1. A part that would
            be longer than the image has its side cut to the image's, and is smaller than drawn.
        cache: side in pixels at which images are kept; larger than the input's, so that a crop
            keeps its detail.
        degrees: the largest angle by which the part is turned.
    """

    min_area: Share = 0.08
    cache: Count = 160
    degrees: NotNegative = 0.0

    @property
    def cache_size(self) -> int:
        return self.cache

    def __call__(self, images: Tensor, targets: Tensor | None, size: int) -> tuple:
        area = (self.min_area, 1.0)
        return geometry.crop(images, size, area, degrees=self.degrees)[0], targets

    def describe(self) -> str:
        turned = f", turned by up to {self.degrees:g}° with it" if self.degrees else ""
        return (
            f"random crop, its area drawn from {self.min_area:.0%} to 100%, "
            f"from images kept at {self.cache} × {self.cache}{turned}"
        )


@dataclass(frozen=True)
class TileCrop(Augmentation):
    """Cut a random part out of a tile and its mask, and resize it to `side` x `side`.

    Attributes:
        side: of the resized crops that a network is trained on, pixels.
        scale: smallest and largest side of the part in the tile, relative to `side`. Its area is
            drawn uniformly between their squares, at most the tile's, and its aspect ratio from .8
            to 1.25; then a side that is longer than the tile's is cut to it. Above 1.5 parts alias.
    """

    side: Annotated[int, at_least(32)] = 512
    scale: tuple[float, float] = (0.67, 1.5)
    words = "crops of {scale[0]:g} to {scale[1]:g} times their side in the tile"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise UserError(f"scale={list(self.scale)}: it is two numbers, the smaller first")

    def __call__(self, images: Tensor, targets: Tensor | None, size: int) -> tuple:
        low, high = (min(1.0, (s * self.side / images.shape[-1]) ** 2) for s in self.scale)
        return geometry.crop(images, self.side, (low, high), (0.8, 1.25), masks=targets)


@dataclass(frozen=True)
class Dihedral(Augmentation):
    """Apply one of the square's eight flips and quarter turns to each tile and its mask."""

    words = "one of eight flips and quarter turns"

    def __call__(self, images: Tensor, targets: Tensor | None, size: int) -> tuple:
        assert targets is not None  # tiles have masks
        return geometry.dihedral(images, targets)


@dataclass(frozen=True)
class Rotate(Augmentation):
    """Turn images about their centre by up to `degrees`, black outside."""

    degrees: NotNegative = 30.0
    words = "rotation by up to {degrees:g}°"

    def change(self, images: Tensor) -> Tensor:
        return geometry.rotate(images, self.degrees)


@dataclass(frozen=True)
class TrivialAugment(Augmentation):
    """Apply one operation an image, of any strength (arXiv 2103.10158), up to `strength`.

    At no strength it would still solarise, and stretch and equalise the contrast: 0 is refused.
    """

    strength: Share = 1.0
    words = "TrivialAugment, strengths up to {strength:g} of its own"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.strength:
            raise UserError(
                f"trivialaugment.strength={self.strength}: some of its operations have no "
                "strength; leave TrivialAugment out of augment="
            )

    def change(self, images: Tensor) -> Tensor:
        return trivial_augment.trivial(images, self.strength)


@dataclass(frozen=True)
class ColorJitter(Augmentation):
    """Change brightness, contrast and saturation by up to `strength`."""

    strength: Share = 0.4
    words = "brightness, contrast, saturation by {strength:g}"

    def change(self, images: Tensor) -> Tensor:
        return colour.jitter(images, self.strength, self.strength, self.strength)


@dataclass(frozen=True)
class Grayscale(Augmentation):
    """Take the colour out of images, with chance `p`."""

    p: Share = 0.2
    words = "grey, chance {p:g}"

    def change(self, images: Tensor) -> Tensor:
        return colour.to_grey(images, self.p)


@dataclass(frozen=True)
class GaussianBlur(Augmentation):
    """Blur images with a Gaussian of `kernel` pixels a side, odd; sigma 0.1 to 2."""

    kernel: int = 3
    words = "Gaussian blur, kernel {kernel}, sigma 0.1 to 2"

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise UserError(f"gaussianblur.kernel={self.kernel}: it is odd, pixels")

    def check(self, size: int) -> None:
        if self.kernel >= 2 * size:  # beyond the reflected image
            raise UserError(
                f"gaussianblur.kernel={self.kernel}: below twice {size}, the image's side"
            )

    def change(self, images: Tensor) -> Tensor:
        return filters.blur(images, self.kernel)


@dataclass(frozen=True)
class CutMix(Augmentation):
    """Paste a rectangle of another image into each (arXiv 1905.04899), with chance `p`."""

    p: Share = 0.5
    words = "CutMix, chance {p:g}"

    def __call__(self, images: Tensor, targets: Tensor | None, size: int) -> tuple:
        assert targets is not None  # a classifier's images have labels
        return mixing.cutmix(images, targets, self.p)


@dataclass(frozen=True)
class MixUp(Augmentation):
    """Blend images with others of the batch (arXiv 1710.09412, alpha 1), with chance `p`."""

    p: Share = 0.2
    words = "mixup, chance {p:g}"

    def __call__(self, images: Tensor, targets: Tensor | None, size: int) -> tuple:
        assert targets is not None  # a classifier's images have labels
        return mixing.mixup(images, targets, self.p)


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Cover a square of each image, `side` of its side (arXiv 1708.04552)."""

    side: Share = 0.5
    words = "a square of {side:.0%} of the side covered"

    def change(self, images: Tensor) -> Tensor:
        return mixing.cutout(images, self.side)


# What leaves labels as they are, and what a classifier or a segmenter may have besides
IMAGES = named(Flip, Shift, Rotate, TrivialAugment, ColorJitter, Grayscale, GaussianBlur, Cutout)
OF_CLASSIFIERS = {**IMAGES, **named(RandomResizedCrop, CutMix, MixUp)}
OF_SEGMENTERS = named(TileCrop, Dihedral, ColorJitter, Grayscale, GaussianBlur)
