"""Tiles and their masks: what is trained on, what is measured, and the score on val."""

from __future__ import annotations

import contextlib
import io
import sys
from collections import Counter
from pathlib import Path

import numpy as np

import mean_iou_evaluate
from inference import UserError, landcover, predict
from inference.files import scratch
from inference.images import list_tiles, reason, size_of
from inference.sharding import rank_and_world
from inference.zoo import Record
from training.data import cache
from training.data.batches import Batches
from training.data.splits import number_held
from training.engine.problem import Evaluation, Files
from training.segmentation.iou import AVERAGED
from training.segmentation.recipes import SegmentationRecipe

MEASURED_TOGETHER = 4  # tiles


def batches(recipe: SegmentationRecipe, data: Path) -> tuple[Batches, Batches]:
    """Return the training batches and those that are measured after every epoch.

    Both hold uint8 images and uint8 masks. Where nothing is held out of train the course's
    validation set is measured: it draws the curve, and chooses the epoch only with `BestOnVal`.

    Raises:
        UserError: a tile has no mask, is not square, of another size than the others of its folder
            or smaller than the recipe's crops, or cannot be varied as it asks; there is one tile
            alone.
    """
    tiles, arrays = _read(data / "train")
    side = arrays[1].shape[-1]
    if recipe.crop_side > side:
        raise UserError(
            f"crops of {recipe.crop_side}, tiles of {side} pixels: lower tilecrop.side="
        )
    for augmentation in recipe.augment:
        augmentation.check(recipe.crop_side or side)
    if all((mask >= landcover.UNKNOWN).all() for mask in arrays[1]):
        _say(f"warning: all masks of {data / 'train'} are black, which is Unknown")
    order = np.random.default_rng(recipe.seed).permutation(len(tiles))
    share = recipe.select_epoch_by.held_out
    if share and len(tiles) < 2:
        raise UserError(f"only {len(tiles)} image in {data / 'train'}: training needs at least two")
    held = number_held(share, len(tiles)) if share else 0
    training = Batches(arrays, order[held:], recipe.batch_size, shuffle=True, seed=recipe.seed)
    if held:
        measured = np.sort(order[:held])
    else:
        tiles, arrays = _read(data / "validation")
        measured = np.arange(len(tiles))
    _note_absent(arrays[1], measured, "held-out" if held else "validation")
    return training, Batches(arrays, measured, MEASURED_TOGETHER, shuffle=False)


def _read(folder: Path) -> tuple[list[Path], tuple[np.ndarray, np.ndarray]]:
    """List a folder's tiles; decode them and their masks, all of one size."""
    tiles = list_tiles(folder)
    side = _side(tiles)
    return tiles, (cache.images(tiles, side), cache.masks([*map(mask_of, tiles)], side))


def _side(tiles: list[Path]) -> int:
    """Return the side of tiles by their headers; raise UserError unless all are of one size.

    Most tiles' size is the one that is right: a tile of another is named.
    """
    sizes = {tile: size for tile in tiles if (size := size_of(tile))}
    for tile, (height, width) in sizes.items():
        if height != width:
            raise UserError(f"{tile} is {width} x {height}: tiles to train on are square")
    if not sizes:
        return 512  # all are broken; the first is named when it is decoded
    ((usual, _),) = Counter(sizes.values()).most_common(1)
    for tile, size in sizes.items():
        if size != usual:
            like = next(name for name in sizes if sizes[name] == usual).name
            raise UserError(
                f"{tile} is {size[1]} x {size[0]}, {like} {usual[1]} x {usual[0]}: "
                "tiles to train on are of one size"
            )
    return usual[0]


def _note_absent(masks: np.ndarray, measured: np.ndarray, what: str) -> None:
    """Say which classes the measured tiles lack: the mIoU is over the others."""
    found = np.zeros(256, np.int64)
    for index in measured:
        found += np.bincount(masks[index].ravel(), minlength=256)
    absent = [landcover.CLASSES[i] for i in np.flatnonzero(found[:AVERAGED] == 0)]
    if absent:
        _say(
            f"note: no {', no '.join(absent)} in the measured tiles ({len(measured)} {what}): "
            "where it is not predicted either, the mIoU is over the other classes"
        )


def _say(line: str) -> None:
    if rank_and_world()[0] == 0:
        print(line, file=sys.stderr)


def files(recipe: SegmentationRecipe, data: Path) -> list[Files]:
    """Return what a run trains on; with `BestOnVal` val too, since it chooses the epoch."""
    parts = ("train", "validation") if recipe.select_epoch_by.word == "val" else ("train",)
    listed = [list_tiles(data / part) for part in parts]
    return [Files([*tiles, *map(mask_of, tiles)]) for tiles in listed]


def mask_of(tile: Path) -> Path:
    """Return the path of a tile's true mask."""
    return tile.with_name(landcover.mask_name(tile.name))


def list_validation(data: Path) -> list[Path]:
    """List the validation tiles, each of which has its mask.

    Raises:
        UserError: there is none, or a mask is missing.
    """
    listed = list_tiles(data / "validation")
    for tile in listed:
        if not mask_of(tile).is_file():
            raise UserError(f"no {mask_of(tile).name} beside {tile}: every tile needs its mask")
    return listed


def read_truth(tile: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return a tile's true mask, uint8 (H, W), 255 where no class.

    Raises:
        UserError: it cannot be read, or is not of the tile's shape.
    """
    try:
        mask = cache.read_mask(mask_of(tile))
    except Exception as error:  # a decoder can raise anything on garbage
        raise UserError(
            f"cannot read {mask_of(tile)}: {reason(error)}; mend or remove it"
        ) from error
    if mask.shape != shape:
        size = f"{mask.shape[1]} x {mask.shape[0]}"
        raise UserError(f"{mask_of(tile)} is {size}, its tile is not: mend or remove it")
    return mask


def evaluate(record: Record, data: Path, weights: Path, precision: str, device: str) -> Evaluation:
    """Return what weights predict of the validation tiles, as the scripts would, and the mIoU.

    Raises:
        UserError: a tile cannot be read, or has no mask of its size.
    """
    settings = predict.Settings(weights=weights, precision=precision, device=device)
    tiles = list_validation(data)
    pairs = []
    with scratch(weights.parent) as out:
        if predict.write_masks(tiles, out, record, settings):
            folder = data / "validation"
            raise UserError(f"not every tile in {folder} can be read (above): mend or remove it")
        for tile in tiles:
            mask = cache.read_mask(out / mask_of(tile).name)
            pairs.append((mask, read_truth(tile, mask.shape)))
    # Of one length in all, since tiles may differ in size
    predicted, truth = (np.concatenate([m.ravel() for m in ms]) for ms in zip(*pairs, strict=True))
    with contextlib.redirect_stdout(io.StringIO()):
        miou = mean_iou_evaluate.mean_iou_score(predicted, truth)
    return Evaluation(predicted, truth, float(miou), [tile.name for tile in tiles])
