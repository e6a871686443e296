"""What a segmentation run has left in its folder, and the tiles that it is judged on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inference import UserError, images, landcover, predict
from inference.files import in_words
from training import finished
from training.memory import read_mask
from training.run import record_of
from training.segmentation.recipes import Recipe


def read_run(folder: Path, data: Path | None = None) -> finished.Run:
    """Reads a segmentation run, as `training.finished.read_run` does.

    Raises:
        UserError: as there; it is no segmentation run.
    """
    run = finished.read_run(folder, "mIoU", data)
    if not isinstance(run.recipe, Recipe):
        raise UserError(f"{folder} holds a run of {run.recipe.name}, which segments nothing")
    return run


def shown(run: finished.Run) -> list[tuple[str, Path]]:
    """Names the first, the middle, the last and the best of a run's weights, in this order."""
    best = run.best or run.recipe.epochs
    files = {**run.kept, best: run.folder / "best.pth"}
    middle = min(files, key=lambda epoch: abs(epoch - (run.recipe.epochs + 1) / 2))
    chosen = sorted({min(files), middle, max(files), best})
    chose = "last" if run.recipe.select == "last" else "best"
    titles = {
        epoch: f"epoch {epoch if run.best or epoch != best else 'unknown'}"
        + (f" ({chose})" if epoch == best else "")
        for epoch in chosen
    }
    return [(titles[epoch], files[epoch]) for epoch in chosen]


def tiles(data: Path) -> list[Path]:
    """Lists the validation tiles, each of which has its mask.

    Raises:
        UserError: there is none, or a mask is missing.
    """
    listed = images.list_tiles(data / "validation")
    for tile in listed:
        if not mask_of(tile).is_file():
            raise UserError(f"no {mask_of(tile).name} beside {tile}: every tile needs its mask")
    return listed


def mask_of(tile: Path) -> Path:
    """Gives the path of a tile's true mask."""
    return tile.with_name(landcover.mask_name(tile.name))


def name_of(tile: Path) -> str:
    """Gives the name that a tile goes by: `0013_sat.jpg` -> `0013`."""
    return in_words(re.sub("_sat$", "", tile.stem, flags=re.IGNORECASE))


def truth(tile: Path) -> np.ndarray:
    """Reads a tile's true mask, uint8 (H, W), 255 where no class.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return read_mask(mask_of(tile))
    except Exception as error:  # a decoder can raise anything on garbage
        raise UserError(f"cannot read {mask_of(tile)}: {images.reason(error)}") from error


def segment(recipe: Recipe, weights: Path, paths: Sequence[Path]) -> list[np.ndarray]:
    """Predicts masks, uint8 (H, W), in fp32 on the graded path.

    Raises:
        UserError: the weights will not do, or a tile cannot be read.
    """
    record = record_of(recipe)
    runner = predict.load_runner(record, predict.Settings(weights=weights, precision="fp32"))
    pixels = predict.read(paths, record)
    found = []
    for path, mask in predict.forward(zip(paths, pixels, strict=True), runner, record):
        if isinstance(mask, Exception):
            raise UserError(f"cannot read {path}: {images.reason(mask)}")
        found.append(mask)
    return found
