"""Train a segmenter: python -m training.segmentation RECIPE --data DIR [key=value ...]."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from inference import UserError, landcover
from inference.images import list_tiles, size_of
from inference.sharding import rank_and_world
from training import memory, run
from training.segmentation.iou import AVERAGED
from training.segmentation.recipes import RECIPES, Recipe
from training.segmentation.task import Segmentation

MEASURED_TOGETHER = 4  # tiles


def prepare(recipe: Recipe, data: Path) -> tuple[memory.Batches, memory.Batches]:
    """Makes the training batches and those that are measured after every epoch.

    Both hold uint8 images and uint8 masks. Where nothing is held out of train the course's
    validation set is measured: it draws the curve, and chooses the epoch only with `select=val`.

    Raises:
        UserError: a tile has no mask, is not square or smaller than the recipe's crops; there is
            one tile alone.
    """
    tiles, arrays = _pairs(data / "train")
    side = arrays[1].shape[-1]
    if recipe.crop > side:
        raise UserError(f"crop={recipe.crop}, tiles of {side} pixels: lower crop=, or 0 for whole")
    _note_unknown(arrays[1], data / "train")
    order = np.random.default_rng(recipe.seed).permutation(len(tiles))
    held = max(1, round(recipe.held_out * len(tiles))) if recipe.holds_out() else 0
    if held == len(tiles):
        raise UserError(f"only {len(tiles)} image in {data / 'train'}: training needs at least two")
    batches = memory.Batches(
        arrays, order[held:], recipe.batch_size, shuffle=True, seed=recipe.seed
    )
    if held:
        measured = np.sort(order[:held])
    else:
        tiles, arrays = _pairs(data / "validation")
        measured = np.arange(len(tiles))
    _note_absent(arrays[1], measured, "held-out" if held else "validation")
    return batches, memory.Batches(arrays, measured, MEASURED_TOGETHER, shuffle=False)


def _pairs(folder: Path) -> tuple[list[Path], tuple[np.ndarray, np.ndarray]]:
    """Lists a folder's tiles; decodes them and their masks, all of one size."""
    tiles = list_tiles(folder)
    masks = [tile.with_name(landcover.mask_name(tile.name)) for tile in tiles]
    height, width = size_of(tiles[0]) or (512, 512)  # a broken one is named when it is decoded
    if height != width:
        raise UserError(f"{tiles[0]} is {width} x {height}: tiles to train on are square")
    return tiles, (memory.images(tiles, width), memory.masks(masks, width))


def _note_unknown(masks: np.ndarray, folder: Path) -> None:
    """Say that there is nothing to learn where no pixel of any mask has a class."""
    if rank_and_world()[0] == 0 and all((mask >= landcover.UNKNOWN).all() for mask in masks):
        print(f"warning: all masks of {folder} are black, which is Unknown", file=sys.stderr)


def _note_absent(masks: np.ndarray, measured: np.ndarray, what: str) -> None:
    """Says which classes the measured tiles lack: the mIoU is over the others."""
    found = np.zeros(256, np.int64)
    for index in measured:
        found += np.bincount(masks[index].ravel(), minlength=256)
    absent = [landcover.CLASSES[i] for i in np.flatnonzero(found[:AVERAGED] == 0)]
    if absent and rank_and_world()[0] == 0:
        print(
            f"note: no {', no '.join(absent)} in the measured tiles ({len(measured)} {what}): "
            "where it is not predicted either, the mIoU is over the other classes",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(run.main(__doc__, RECIPES, prepare, Segmentation))
