"""Figures of a segmentation run, and figures.json with the numbers in them.

stages.png            validation tiles as the first, middle, last and best epoch segment them
learning_curves.png   loss, and the IoU of each class
confusion.png         the confusion matrix of the validation set's pixels
worst.png             the validation tiles of the lowest IoU
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

import mean_iou_evaluate as evaluator
from inference import UserError, images, landcover, predict
from inference.files import in_words
from inference.spelling import did_you_mean
from training.engine.run_folder import Run
from training.plots import confusion, curves, style, tiles
from training.segmentation import iou
from training.segmentation.data import list_validation, read_truth

REPORT = ("0013", "0062", "0104")  # the validation tiles of the original report's figure
WORST = 8  # tiles
COLOURS = {
    name: tuple(colour / 255)
    for name, colour in zip(landcover.CLASSES, landcover.COLOURS, strict=True)
}


def draw(run: Run, data: Path | None, out: Path, names: Sequence[str] = ()) -> dict:
    """Draw every figure that the run's files allow, into `out`.

    Args:
        data: None draws the learning curves alone.
        names: of the validation tiles to follow through the epochs, such as `0013`; where none is
            given those of the original report, or the first ones where one of these is missing.

    Returns:
        What figures.json holds, `style.save`'s. Epochs count from 1; shares and IoUs are in
        [0, 1], None for an absent class.

    Raises:
        UserError: the run or its data is incomplete; there is no such tile; a file cannot be
            written.
    """
    figures: dict[str, Figure] = {}
    numbers: dict = {"run": run.name, "recipe": run.recipe.name, "best_epoch": run.best_epoch}
    if data is None:
        notes = [f"the data of {run.folder} is not here: no figure of its predictions"]
    else:
        run.expect_weights()
        listed = list_validation(data)
        chosen, notes = _choose(listed, names, data)
        figures, about_predictions = _draw_predictions(run, listed)
        figures["stages"], about_stages = _draw_stages(run, chosen)
        numbers |= {"images": len(listed), **about_predictions, "stages": about_stages}
    learning = _draw_curves(run)
    if isinstance(learning, str):
        notes.append(f"no {learning} in {run.folder / 'metrics.csv'}: no learning curves")
    else:
        figures["learning_curves"] = learning
    return style.save(out, figures, numbers, notes)


# ---- the validation tiles


def name_of(tile: Path) -> str:
    """Return the name that a tile goes by: `0013_sat.jpg` -> `0013`."""
    return in_words(re.sub("_sat$", "", tile.stem, flags=re.IGNORECASE))


def segment(run: Run, weights: Path, paths: Sequence[Path]) -> list[np.ndarray]:
    """Return the masks that weights predict, uint8 (H, W), in fp32 on the graded path.

    Raises:
        UserError: the weights will not do, or a tile cannot be read.
    """
    record = run.recipe.record()
    runner = predict.load_runner(record, predict.Settings(weights=weights, precision="fp32"))
    pixels = predict.read(paths, record)
    found = []
    for path, mask in predict.forward(zip(paths, pixels, strict=True), runner, record):
        if isinstance(mask, Exception):
            raise UserError(f"cannot read {path}: {images.reason(mask)}")
        found.append(mask)
    return found


def _choose(listed: list[Path], names: Sequence[str], data: Path) -> tuple[list[Path], list[str]]:
    """Return the tiles of given names, or other ones, and what there is to note."""
    by_name = {name_of(path): path for path in listed}
    missing = [name for name in names or REPORT if name not in by_name]
    if not missing:
        return [by_name[name] for name in names or REPORT], []
    if names:
        known = ", ".join(list(by_name)[:4]) + (", ..." if len(by_name) > 4 else "")
        meant = did_you_mean(missing[0], by_name)
        raise UserError(f"no tile {missing[0]} in {data / 'validation'}; there are: {known}{meant}")
    first = listed[: len(REPORT)]
    drawn = ", ".join(map(name_of, first))
    return first, [f"no tile {missing[0]} in {data / 'validation'}: stages.png shows {drawn}"]


# ---- the figures


def _draw_stages(run: Run, paths: list[Path]) -> tuple[Figure, list[dict]]:
    """Draw tiles as some epochs segment them; return the figure and its numbers."""
    stages = shown_epochs(run)
    masks = [segment(run, weights, paths) for _, weights in stages]
    scores = [
        [iou.weighted(_count(*pair).tolist()) for pair in zip(paths, found, strict=True)]
        for found in masks
    ]
    rows = zip(paths, zip(*masks, strict=True), zip(*scores, strict=True), strict=True)
    titles = [title for title, _ in stages]
    heading = f"{run.name}: validation tiles in the course of training"
    figure = tiles.draw_stages(heading, [_tile(*row) for row in rows], titles, COLOURS)
    names = list(map(name_of, paths))
    return figure, [
        {"title": title, "iou": dict(zip(names, map(_rounded, found), strict=True))}
        for title, found in zip(titles, scores, strict=True)
    ]


def shown_epochs(run: Run) -> list[tuple[str, Path]]:
    """Return titles and files of the first, the middle, the last and the best of the weights."""
    best = run.best_epoch or run.recipe.epochs
    files = {**run.checkpoints, best: run.best}
    middle = min(files, key=lambda epoch: abs(epoch - (run.recipe.epochs + 1) / 2))
    titles = {epoch: f"epoch {epoch}" for epoch in files}
    chose = "best" if run.recipe.select_epoch_by.chooses else "last"
    titles[best] = f"epoch {run.best_epoch or 'unknown'} ({chose})"
    shown = sorted({min(files), middle, max(files), best})
    return [(titles[epoch], files[epoch]) for epoch in shown]


def _draw_predictions(run: Run, paths: list[Path]) -> tuple[dict[str, Figure], dict]:
    """Draw the confusion matrix and the worst tiles; return the figures and their numbers."""
    masks = segment(run, run.best, paths)
    counts = [_count(path, mask) for path, mask in zip(paths, masks, strict=True)]
    total = np.sum(counts, axis=0)
    scores = [iou.weighted(count.tolist()) for count in counts]
    present = [i for i, score in enumerate(scores) if not math.isnan(score)]
    worst = sorted(present, key=lambda i: scores[i])[:WORST]
    classes = iou.ious(total.tolist())
    numbers = {
        "mIoU": _rounded(iou.mean(classes)),
        "iou": dict(zip(landcover.CLASSES, map(_rounded, classes), strict=False)),
        "pixels": total.tolist(),  # true classes in rows, the last one no class
        "worst": [{"tile": name_of(paths[i]), "iou": _rounded(scores[i])} for i in worst],
    }
    matrix = total[:-1]  # without the red pixels
    pairs = confusion.most_confused(matrix, 15)
    figures = {"confusion": confusion.draw(run.name, matrix, landcover.CLASSES, pairs, "pixels")}
    if worst:
        drawn = [_tile(paths[i], [masks[i]], [scores[i]]) for i in worst]
        said = "the validation tiles of the lowest IoU, weighted by the classes' shares of the tile"
        figures["worst"] = tiles.draw_pairs(f"{run.name}: {said}", drawn, COLOURS)
    return figures, numbers


def _tile(path: Path, masks: Sequence[np.ndarray], scores: Sequence[float]) -> tiles.Tile:
    """Return what is drawn of a tile, of its predicted masks and their IoUs."""
    drawn = [
        tiles.Predicted(landcover.to_colours(mask), f"IoU {score:.1%}")
        for mask, score in zip(masks, scores, strict=True)
    ]
    truth = landcover.to_colours(read_truth(path, masks[0].shape))
    return tiles.Tile(name_of(path), images.read_pixels(path), truth, drawn)


def _count(path: Path, mask: np.ndarray) -> np.ndarray:
    """Return the number of a tile's pixels of each class and prediction, as `iou.count` does."""
    true = read_truth(path, mask.shape)
    return iou.count(torch.from_numpy(true), torch.from_numpy(mask)).numpy()


def _draw_curves(run: Run) -> Figure | str:
    """Draw the learning curves, or return what metrics.csv lacks for them."""
    epochs = [int(epoch) for epoch in run.metrics.get("epoch", ())]
    mean, best, loss = run.metrics.get("mIoU"), run.best_epoch, run.metrics.get("loss")
    if not epochs:
        return "epoch"
    if not loss:
        return "loss"
    if not mean:
        return "mIoU"
    if best is None or best not in epochs:
        return "best epoch"
    words = zip(landcover.CLASSES, evaluator.CLASSES[: iou.AVERAGED], strict=False)
    columns = [(name, run.metrics.get(f"iou_{word}")) for name, word in words]
    classes = [curves.Curve(name, values) for name, values in columns if values is not None]
    split = "held-out" if run.recipe.select_epoch_by.held_out else "val"
    title, heading = (
        f"{run.name}, {run.recipe.network}: learning curves",
        f"{split} IoU of each class",
    )
    mean_curve = curves.Curve("mIoU", mean)
    return curves.draw_classes(title, epochs, loss, classes, mean_curve, heading, best, run.score)


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
