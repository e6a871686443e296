"""What `training.py` measures of each recipe: the plain script's images, and ours."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as F
from PIL import Image
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset

from inference import landcover
from training.augment.augmentations import ColorJitter, TileCrop
from training.data import cache
from training.problems import RECIPES, Recipe

PLAIN = {
    "p1-a": [
        T.RandomCrop(32, 4, padding_mode="reflect"),
        T.RandomHorizontalFlip(),
        T.TrivialAugmentWide(),
    ],
    "p1-b-report": [
        T.Resize((100, 100)),
        T.RandomHorizontalFlip(),
        T.RandomGrayscale(0.2),
        T.RandomRotation(30),
        T.GaussianBlur(3),
    ],
}


@dataclass(frozen=True)
class Case:
    """One recipe.

    Attributes:
        steps: of an epoch, unless asked otherwise.
        plain: returns the data set of some files.
        arrays: returns the images and what goes with them, of files and a folder for the cache.
        pattern: of the files' names.
        side: of what the network sees, pixels.
        loss: of the plain network's output.
    """

    recipe: Recipe
    steps: int
    plain: Callable[[list[Path], Recipe], Dataset]
    arrays: Callable[[list[Path], Recipe, Path], tuple[np.ndarray, ...]]
    loss: Callable[[object, torch.Tensor, Recipe], torch.Tensor]
    pattern: str
    side: int


class Folder(Dataset):
    """Images named {class}_{id}.png."""

    def __init__(self, paths: list[Path], recipe: Recipe):
        self.paths = paths
        normalise = T.Normalize(recipe.mean, recipe.std)
        self.transform = T.Compose([*PLAIN[recipe.name], T.ToTensor(), normalise])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int):
        """Return an image and its class."""
        return self.transform(Image.open(self.paths[i]).convert("RGB")), _label(self.paths[i])


class Tiles(Dataset):
    """Tiles named xxxx_sat.jpg beside their masks: a crop, flips and quarter turns, and jitter."""

    def __init__(self, paths: list[Path], recipe: Recipe):
        self.paths, self.recipe = paths, recipe
        self.crop = next(a for a in recipe.augment if isinstance(a, TileCrop))
        jitter = next(a for a in recipe.augment if isinstance(a, ColorJitter))
        self.jitter = T.ColorJitter(*[jitter.strength] * 3)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int):
        """Return a crop and its classes."""
        recipe, path, crop = self.recipe, self.paths[i], self.crop
        image = Image.open(path).convert("RGB")
        colours = np.asarray(Image.open(_mask(path)).convert("RGB"))
        mask = Image.fromarray(landcover.to_indices(colours))
        area = [min(1.0, (s * crop.side / image.width) ** 2) for s in crop.scale]
        box = T.RandomResizedCrop.get_params(image, area, (0.8, 1.25))
        size = [crop.side] * 2
        image = F.resized_crop(image, *box, size)
        mask = F.resized_crop(mask, *box, size, interpolation=T.InterpolationMode.NEAREST)
        turns = random.randrange(4)
        image, mask = (x.rotate(90 * turns) for x in (image, mask))
        if random.random() < 0.5:
            image, mask = F.hflip(image), F.hflip(mask)
        image = F.normalize(F.to_tensor(self.jitter(image)), recipe.mean, recipe.std)
        return image, torch.from_numpy(np.array(mask)).long()


def _mask(path: Path) -> Path:
    return path.with_name(landcover.mask_name(path.name))


def _label(path: Path) -> int:
    return int(path.name.split("_")[0])


def _labelled(paths: list[Path], recipe: Recipe, folder: Path) -> tuple[np.ndarray, ...]:
    pixels = cache.images(paths, recipe.cache_size, folder)
    return pixels, np.array([_label(path) for path in paths])


def _tiles(paths: list[Path], recipe: Recipe, folder: Path) -> tuple[np.ndarray, ...]:
    masks = [_mask(path) for path in paths]
    return cache.images(paths, 512, folder), cache.masks(masks, 512, folder)


def _of_labels(output: torch.Tensor, labels: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    return cross_entropy(output, labels)


def _of_pixels(output: dict, masks: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    loss = cross_entropy(output["out"], masks)
    if recipe.aux_weight:
        loss = loss + recipe.aux_weight * cross_entropy(output["aux"], masks)
    return loss


def _classified(name: str, steps: int) -> Case:
    recipe = RECIPES[name]
    return Case(recipe, steps, Folder, _labelled, _of_labels, "*.png", recipe.size)


def _segmented(name: str, steps: int) -> Case:
    recipe = RECIPES[name]
    return Case(recipe, steps, Tiles, _tiles, _of_pixels, "*_sat.jpg", recipe.crop_side)


CASES = {
    "p1-a": _classified("p1-a", 16),
    "p1-b-report": _classified("p1-b-report", 2),  # 23 GFLOP an image
    "p3-lite": _segmented("p3-lite", 8),
    "p3-b": _segmented("p3-b", 1),  # 600 GFLOP an image
}


def random_images(folder: Path) -> None:
    """Write random bytes: 2,048 images of 32x32 for P1, 16 tiles with masks for P3."""
    draw = np.random.default_rng(0)
    for i in range(2048):
        pixels = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i % 50}_{i}.png")
    for i in range(16):
        tile = folder / f"{i:04d}_sat.jpg"
        Image.fromarray(draw.integers(0, 256, (512, 512, 3), dtype=np.uint8)).save(tile)
        classes = draw.integers(0, 7, (16, 16), dtype=np.uint8).repeat(32, 0).repeat(32, 1)
        Image.fromarray(landcover.to_colours(classes)).save(_mask(tile))
