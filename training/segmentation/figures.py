"""Figures of a segmentation run, and `figures.json` with the numbers in them.

python -m training.segmentation.figures runs/p3-b-s0 [--images 0013 0062 0104] [--data DIR]

stages.png            validation tiles as the first, middle, last and best epoch segment them
learning_curves.png   loss, and the IoU of each class
confusion.png         the confusion matrix of the validation set's pixels
worst.png             the validation tiles of the lowest IoU
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from inference import UserError, files, images, landcover
from training.classification.figures import tell, write
from training.finished import Run
from training.segmentation import charts, finished, iou
from training.segmentation.charts import Judged, Tile

REPORT = ("0013", "0062", "0104")  # the validation tiles of the original report's figure
WORST = 8  # tiles


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws; the exit status is 2 for an error that the user can mend."""
    parser = argparse.ArgumentParser(
        prog="python -m training.segmentation.figures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's folder")
    parser.add_argument("--data", type=Path, help="with a validation set (the run's own data)")
    parser.add_argument("--out", type=Path, help="folder for the figures (RUN/figures)")
    parser.add_argument(
        "--images", nargs="+", metavar="NAME", help=f"validation tiles ({' '.join(REPORT)})"
    )
    options = parser.parse_args(arguments)
    out = options.out or options.run / "figures"
    return tell(lambda: draw(options.run, options.data, out, options.images), out)


def draw(
    run: Path,
    data: Path | None = None,
    out: Path | None = None,
    names: Sequence[str] | None = None,
) -> dict:
    """Draws every figure that the run's files allow, into `out` (RUN/figures).

    Args:
        data: `hw1_data/p3_data`; the run's own where none is given.
        names: of the validation tiles to follow through the epochs, such as `0013`; where none is
            given those of the original report, or the first ones where these are missing.

    Returns:
        What figures.json holds: names of files in `out` under `figures`, what is missing under
        `notes`, and the numbers. Epochs count from 1; shares and IoUs are in [0, 1], None for an
        absent class.

    Raises:
        UserError: the run or its data is incomplete; there is no such tile; a file cannot be
            written.
    """
    out = out or run / "figures"
    found = finished.read_run(run, data)
    listed = finished.tiles(found.data)
    chosen, notes = _chosen(listed, names, found.data)
    figures, numbers = _predictions(found, listed)
    figures["stages"], numbers["stages"], left_out = _stages(found, chosen)
    notes += left_out
    if found.best and found.columns.get("mIoU"):
        title = f"{files.in_words(run.name)}, {found.recipe.network}"
        split = "held-out" if found.recipe.holds_out() else "val"
        curves = charts.draw_curves(title, found.columns, found.best, found.val, split)
        figures["learning_curves"] = curves
    else:
        notes.append(f"no epoch in {run / 'metrics.csv'}: no learning curves")
    return write(out, found, figures, {"images": len(listed), **numbers}, notes)


def _chosen(
    listed: list[Path], names: Sequence[str] | None, data: Path
) -> tuple[list[Path], list[str]]:
    """Finds tiles by their names; gives them and what there is to note."""
    by_name = {finished.name_of(path): path for path in listed}
    missing = [name for name in names or REPORT if name not in by_name]
    if not missing:
        return [by_name[name] for name in names or REPORT], []
    if names:
        known = ", ".join(list(by_name)[:4]) + (", ..." if len(by_name) > 4 else "")
        raise UserError(f"no tile {missing[0]} in {data / 'validation'}; there are: {known}")
    first = listed[: len(REPORT)]
    drawn = ", ".join(map(finished.name_of, first))
    return first, [f"no tile {missing[0]} in {data / 'validation'}: stages.png shows {drawn}"]


def _stages(run: Run, paths: list[Path]) -> tuple[Figure, list[dict], list[str]]:
    """Draw tiles as some epochs segment them; return the figure, numbers, what is left out."""
    titles, masks, notes = [], [], []
    for title, weights in finished.shown(run):
        try:
            masks.append(finished.segment(run.recipe, weights, paths))
        except UserError as error:
            if weights.name == "best.pth":
                raise
            notes.append(f"left out {error}")  # one damaged epoch of several
            continue
        titles.append(title)
    tiles = [_tile(path, list(found)) for path, *found in zip(paths, *masks, strict=True)]
    numbers = [
        {
            "title": title,
            "iou": {tile.name: _rounded(tile.predicted[i].score) for tile in tiles},
        }
        for i, title in enumerate(titles)
    ]
    return charts.draw_stages(files.in_words(run.folder.name), tiles, titles), numbers, notes


def _tile(path: Path, masks: list[np.ndarray]) -> Tile:
    judged = [Judged(mask, iou.weighted(_count(path, mask).tolist())) for mask in masks]
    return Tile(finished.name_of(path), images.read_pixels(path), finished.truth(path), judged)


def _predictions(run: Run, paths: list[Path]) -> tuple[dict[str, Figure], dict]:
    """Draws the confusion matrix and the worst tiles; gives the figures and their numbers."""
    masks = finished.segment(run.recipe, run.folder / "best.pth", paths)
    counts = [_count(path, mask) for path, mask in zip(paths, masks, strict=True)]
    total = sum(counts)
    scores = [iou.weighted(count.tolist()) for count in counts]
    judged = [i for i, score in enumerate(scores) if not math.isnan(score)]
    worst = sorted(judged, key=lambda i: scores[i])[:WORST]
    classes = iou.ious(total.tolist())
    numbers = {
        "mIoU": _rounded(iou.mean(classes)),
        "iou": dict(zip(landcover.CLASSES, map(_rounded, classes), strict=False)),
        "pixels": total.tolist(),  # true classes in rows, the last one no class
        "worst": [{"tile": finished.name_of(paths[i]), "iou": _rounded(scores[i])} for i in worst],
    }
    name = files.in_words(run.folder.name)
    figures = {"confusion": charts.draw_confusion(name, total[:-1])}  # without the red pixels
    if worst:
        figures["worst"] = charts.draw_worst(name, [_tile(paths[i], [masks[i]]) for i in worst])
    return figures, numbers


def _count(path: Path, mask: np.ndarray) -> np.ndarray:
    """Counts a tile's pixels as `iou.count` does.

    Raises:
        UserError: its true mask is of another size.
    """
    true = finished.truth(path)
    if true.shape != mask.shape:
        size = f"{true.shape[1]} x {true.shape[0]}"
        raise UserError(f"{finished.mask_of(path)} is {size}, its tile is not: mend or remove it")
    return iou.count(torch.from_numpy(true), torch.from_numpy(mask)).numpy()


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


if __name__ == "__main__":
    sys.exit(main())
