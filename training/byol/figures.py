"""Figures of a pre-training, and figures.json with the numbers in them.

    learning_curve.png    the loss; the spread of the projections, 1 where they point everywhere,
                          falling to 0 in a collapse; and the k-NN accuracy of the features

The k-NN accuracy is leave-one-out on the training images that have labels, k = 20 (arXiv
1805.01978), and is not there where none has one. A run that is still going on can be drawn too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from inference import UserError
from training.engine.knn import NEIGHBOURS
from training.engine.run_folder import Run
from training.plots import curves, style


def draw(run: Run, data: Path | None, out: Path, names: Sequence[str] = ()) -> dict:
    """Draw how the training went, into `out`.

    Args:
        data: not needed: what is drawn is in the run's folder.

    Returns:
        What figures.json holds: names of files in `out` under `figures`, what is missing under
        `notes`, and each curve's last value. Epochs count from 1; the accuracy is in [0, 1].

    Raises:
        UserError: no epoch has ended; a file cannot be written.
    """
    epochs = [int(epoch) + 1 for epoch in run.metrics.get("epoch", ())]
    if not epochs:
        raise UserError(f"{run.folder / 'metrics.csv'} has no epoch yet: wait for the first one")
    shown = {name: watched for name, watched in _watched(run).items() if _measured(watched)}
    figure = curves.draw_watched(f"{run.name}: pre-training", epochs, list(shown.values()))
    last = {name: round(_measured(watched)[-1], 6) for name, watched in shown.items()}
    numbers = {
        "run": run.name,
        "recipe": run.recipe.name,
        "best_epoch": run.best_epoch,
        "epochs": len(epochs),
        "knn": {"k": NEIGHBOURS, "protocol": "leave one out", "split": "train"},
        "last": last,
    }
    notes = []
    if "knn" not in shown:
        notes.append(f"{run.folder} was trained on images without labels: no k-NN accuracy")
    return style.save(out, {"learning_curve": figure}, numbers, notes)


def _watched(run: Run) -> dict[str, curves.Watched]:
    """Return the curves by their columns in metrics.csv."""
    labels = {
        "loss": "loss, of two directions (0 to 8)",
        "spread": "spread of the projections",
        "knn": f"{NEIGHBOURS}-NN accuracy, leave-one-out on train",
    }
    found = {name: curves.Curve(said, run.metrics.get(name, ())) for name, said in labels.items()}
    top = 1.1 * max((v for v in found["knn"].values if not math.isnan(v)), default=0.0)
    return {
        "loss": curves.Watched(found["loss"]),
        "spread": curves.Watched(found["spread"], top=1.05, floor="collapse"),
        "knn": curves.Watched(found["knn"], top=top or 1.0, percent=True),
    }


def _measured(watched: curves.Watched) -> list[float]:
    return [value for value in watched.curve.values if not math.isnan(value)]
