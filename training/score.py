"""Scores as the graded path gives them: the same code, the same file formats."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

import mean_iou_evaluate
from inference import UserError, files, landcover, predict
from inference.images import list_tiles, read_pixels, reason
from inference.zoo import Record
from training.classification import data as labelled


class Scored(NamedTuple):
    """What a checkpoint predicts and what that is worth.

    predictions, truth: int64 (N,) labels, or uint8 (pixels,) classes of all masks in a row.
    score: accuracy or mIoU, in [0, 1].
    names: of the N images' files, in that order.
    """

    predictions: np.ndarray
    truth: np.ndarray
    score: float
    names: list[str]


def score(record: Record, data: Path, precision: str, device: str, weights: Path) -> Scored:
    """Predicts the course's validation set.

    Args:
        data: `hw1_data/p1_data`, `p2_data` or `p3_data`.

    Raises:
        UserError: the layout is not the course's; a tile cannot be read, or has no mask of its
            size.
    """
    settings = predict.Settings(weights=weights, precision=precision, device=device)
    if record.task == "p3":
        return _segmentation(record, data / "validation", settings)
    paths, labels = labelled.read(record.task, data, "val")
    predicted = np.array(predict.labels(paths, record, settings))
    accuracy = float((predicted == labels).mean())
    return Scored(predicted, labels, accuracy, [path.name for path in paths])


def _segmentation(record: Record, folder: Path, settings: predict.Settings) -> Scored:
    tiles = list_tiles(folder)
    names = [landcover.mask_name(tile.name) for tile in tiles]
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise UserError(f"no {missing[0]} in {folder}: every tile needs its mask there")
    pairs = []
    with files.scratch_folder() as out:
        if predict.write_masks(tiles, out, record, settings):
            raise UserError(f"not every tile in {folder} can be read (above): mend or remove it")
        for name in names:
            pairs.append((_indices(out / name), _indices(folder / name)))
            if pairs[-1][0].shape != pairs[-1][1].shape:
                raise UserError(f"{folder / name} is not of its tile's size: mend or remove it")
    # Of one length in all, since tiles may differ in size
    predicted, truth = (np.concatenate([m.ravel() for m in ms]) for ms in zip(*pairs, strict=True))
    with contextlib.redirect_stdout(io.StringIO()):
        miou = mean_iou_evaluate.mean_iou_score(predicted, truth)
    return Scored(predicted, truth, float(miou), [tile.name for tile in tiles])


def _indices(path: Path) -> np.ndarray:
    try:
        return landcover.to_indices(read_pixels(path))
    except Exception as error:  # a decoder can raise anything on garbage
        raise UserError(f"cannot read {path}: {reason(error)}; mend or remove it") from error
