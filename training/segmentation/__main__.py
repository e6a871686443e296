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
    """Makes the training and the held-out batches: uint8 images, uint8 masks."""
    tiles = list_tiles(data / "train")
    masks = [tile.with_name(landcover.mask_name(tile.name)) for tile in tiles]
    order = np.random.default_rng(recipe.seed).permutation(len(tiles))
    held = max(1, round(recipe.held_out * len(tiles)))
    if held == len(tiles):
        raise UserError(f"only {len(tiles)} image in {data / 'train'}: training needs at least two")
    arrays = memory.images(tiles, TILE), memory.masks(masks, TILE)
    return (
        memory.Batches(arrays, order[held:], recipe.batch_size, shuffle=True, seed=recipe.seed),
        memory.Batches(arrays, np.sort(order[:held]), 4, shuffle=False),
    )


if __name__ == "__main__":
    sys.exit(run.main(__doc__, RECIPES, prepare, Segmentation))
