"""What a segmentation run has left in its folder, and the tiles that it is judged on."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference import UserError, images, landcover, predict
from training.classification.finished import _json as read_json
from training.recipe import recipe_of
from training.run import record_of
from training.segmentation.recipes import Recipe


@dataclass(frozen=True)
class Run:
    """A segmentation network's run; epochs are numbered from 1, as in the names of its files.

    Attributes:
        kept: weights of single epochs by their number.
        columns: those of metrics.csv, a value an epoch; none where no epoch was logged.
        best: the chosen epoch; None where nothing tells it.
        val: the graded mIoU on the validation set; None for an unfinished run.
    """

    folder: Path
    recipe: Recipe
    data: Path
    kept: dict[int, Path]
    columns: dict[str, list[float]]
    best: int | None
    val: float | None

    def shown(self) -> list[tuple[str, Path]]:
        """Names the first, the middle, the last and the best of the weights, in this order."""
        best = self.best or self.recipe.epochs
        files = {**self.kept, best: self.folder / "best.pth"}
        middle = min(files, key=lambda epoch: abs(epoch - self.recipe.epochs / 2))
        chosen = sorted({min(files), middle, max(files), best})
        chose = "last" if self.recipe.select == "last" else "best"
        titles = {
            epoch: f"epoch {epoch if self.best or epoch != best else 'unknown'}"
            + (f" ({chose})" if epoch == best else "")
            for epoch in chosen
        }
        return [(titles[epoch], files[epoch]) for epoch in chosen]


def read_run(folder: Path, data: Path | None = None) -> Run:
    """Reads a run's folder.

    Args:
        data: where the run's own data is by now, or other data.

    Raises:
        UserError: recipe.json, best.pth or the data is missing, or it is no segmentation run.
    """
    for name in ("recipe.json", "best.pth"):
        if not (folder / name).is_file():
            raise UserError(f"no {name} in {folder}: give a run's folder, like runs/p3-b-s0")
    fields = read_json(folder / "recipe.json")
    if fields.get("task") != "p3":
        raise UserError(f"{folder} holds a run of {fields.get('name')}, which segments nothing")
    result = read_json(folder / "result.json") if (folder / "result.json").is_file() else {}
    if data is None and "data" not in result:
        raise UserError(f"{folder} has no result.json that names its data: add --data DIR")
    data = data or Path(result["data"])
    if not data.is_dir():
        raise UserError(f"no folder {data}: say where the run's data is with --data DIR")
    recipe, columns = recipe_of(fields), _columns(folder / "metrics.csv")
    scores = result.get("scores", {})
    kept = {int(re.sub(r"\D", "", file.stem)): file for file in folder.glob("epoch-*.pth")}
    return Run(folder, recipe, data, kept, columns, _best(recipe, columns, scores), _val(scores))


def _columns(file: Path) -> dict[str, list[float]]:
    if not file.is_file():
        return {}
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    return {name: [float(row[name] or math.nan) for row in rows] for name in rows[0]}


def _best(recipe: Recipe, columns: dict[str, list[float]], scores: dict) -> int | None:
    """Gives the epoch of best.pth; a run that has not ended logs it without saying so."""
    if "best_epoch" in scores:
        return scores["best_epoch"] + 1
    measured = columns.get("mIoU")
    if not measured:
        return None
    return len(measured) if recipe.select == "last" else int(np.argmax(measured)) + 1


def _val(scores: dict) -> float | None:
    val = scores.get("val")
    return None if val is None or math.isnan(val) else val


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
    return re.sub("_sat$", "", tile.stem, flags=re.IGNORECASE)


def truth(tile: Path) -> np.ndarray:
    """Reads a tile's true mask, uint8 (H, W), 255 where no class.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return landcover.to_indices(images.read_pixels(mask_of(tile)))
    except Exception as error:  # a decoder can raise anything on garbage
        raise UserError(f"cannot read {mask_of(tile)}: {predict.reason(error)}") from error


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
            raise UserError(f"cannot read {path}: {predict.reason(mask)}")
        found.append(mask)
    return found
