"""Scores as the graded path gives them: the same code, the same file formats."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import mean_iou_evaluate
from inference import UserError, landcover, predict
from inference.images import list_tiles
from inference.zoo import Record
from training.classification import data as labelled


class Scored(NamedTuple):
    """What a checkpoint predicts and what that is worth.

    predictions: int64 (N,) labels, or uint8 (pixels,) classes of all masks in a row.
    score: accuracy or mIoU, in [0, 1].
    """

    predictions: np.ndarray
    score: float
    images: int


def score(record: Record, data: Path, precision: str, device: str, weights: Path) -> Scored:
    """Predicts the course's validation set.

    Args:
        data: `hw1_data/p1_data`, `p2_data` or `p3_data`.

    Raises:
        UserError: the layout is not the course's.
    """
    settings = predict.Settings(weights=weights, precision=precision, device=device)
    if record.task == "p3":
        return _segmentation(record, data / "validation", settings)
    paths, labels = labelled.read(record.task, data, "val")
    predicted = np.array(predict.labels(paths, record, settings))
    return Scored(predicted, float((predicted == labels).mean()), len(paths))


def _segmentation(record: Record, folder: Path, settings: predict.Settings) -> Scored:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        tiles = list_tiles(folder)
        predict.write_masks(tiles, out, record, settings)
        names = [landcover.mask_name(tile.name) for tile in tiles]
        missing = [name for name in names if not (folder / name).exists()]
        if missing:
            raise UserError(f"no {missing[0]} in {folder}: every tile needs its mask there")
        predicted, truth = (
            np.stack([_indices(where / n) for n in names]) for where in (out, folder)
        )
    with contextlib.redirect_stdout(io.StringIO()):
        miou = mean_iou_evaluate.mean_iou_score(predicted, truth)
    return Scored(predicted.ravel(), float(miou), len(tiles))


def _indices(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return landcover.to_indices(np.asarray(image.convert("RGB")))
