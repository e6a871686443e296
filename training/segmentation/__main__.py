"""Train a segmenter: python -m training.segmentation RECIPE --data DIR [key=value ...]."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from inference import UserError, landcover
from inference.images import list_tiles
from training import memory, run
from training.segmentation.recipes import RECIPES, Recipe
from training.segmentation.task import Segmentation

TILE = 512  # side of the course's images, pixels


def prepare(recipe: Recipe, data: Path) -> tuple[memory.Batches, memory.Batches]:
    """Makes the training batches and those that are measured after every epoch.

    Both hold uint8 images and uint8 masks. Where nothing is held out of train the course's
    validation set is measured: it draws the curve, and chooses the epoch only with `select=val`.
    """
    tiles, arrays = _pairs(data / "train")
    order = np.random.default_rng(recipe.seed).permutation(len(tiles))
    held = max(1, round(recipe.held_out * len(tiles))) if recipe.holds_out() else 0
    if held == len(tiles):
        raise UserError(f"only {len(tiles)} image in {data / 'train'}: training needs at least two")
    batches = memory.Batches(
        arrays, order[held:], recipe.batch_size, shuffle=True, seed=recipe.seed
    )
    if held:
        return batches, memory.Batches(arrays, np.sort(order[:held]), 4, shuffle=False)
    tiles, arrays = _pairs(data / "validation")
    return batches, memory.Batches(arrays, range(len(tiles)), 4, shuffle=False)


def _pairs(folder: Path) -> tuple[list[Path], tuple[np.ndarray, np.ndarray]]:
    """Lists a folder's tiles; decodes them and their masks."""
    tiles = list_tiles(folder)
    masks = [tile.with_name(landcover.mask_name(tile.name)) for tile in tiles]
    return tiles, (memory.images(tiles, TILE), memory.masks(masks, TILE))


if __name__ == "__main__":
    sys.exit(run.main(__doc__, RECIPES, prepare, Segmentation))
