"""Figures of a pre-training, and figures.json with the numbers in them.

    learning_curve.png    the loss; the spread of the projections, 1 where they point everywhere,
                          falling to 0 in a collapse; and the k-NN accuracy of the features

The k-NN accuracy is leave-one-out on the training images that have labels, k = 20 (arXiv
1805.01978), and is not there where these are of fewer than two classes. A run that is still going
on can be drawn too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from inference import UserError
from training.engine.knn import NEIGHBOURS
from training.engine.run_folder import Run
from training.plots import curves, style
from training.plots.curves import Curve, Watched


def draw(run: Run, data: Path | None, out: Path, names: Sequence[str] = ()) -> dict:
    """Draw how the training went, into `out`; `data` and `names` are not needed for it.

    Returns:
        What figures.json holds, `style.save`'s, with each curve's last value.

    Raises:
        UserError: no epoch has ended; a file cannot be written.
    """
    epochs = [int(epoch) for epoch in run.metrics.get("epoch", ())]
    if not epochs:
        raise UserError(f"{run.folder / 'metrics.csv'} has no epoch yet: wait for the first one")
    columns = {name: run.metrics.get(name, []) for name in ("loss", "spread", "knn")}
    known = {
        name: [value for value in values if not math.isnan(value)]
        for name, values in columns.items()
    }
    loss = Curve("loss, of two directions (0 to 8)", columns["loss"])
    spread = Curve("spread of the projections", columns["spread"])
    knn = Curve(f"{NEIGHBOURS}-NN accuracy, leave-one-out on train", columns["knn"])
    watched = {
        "loss": Watched(loss),
        "spread": Watched(spread, top=1.05, floor="collapse"),
        "knn": Watched(knn, top=1.1 * max(known["knn"], default=0) or 1.0, percent=True),
    }
    shown = [watched[name] for name in watched if known[name]]
    figure = curves.draw_watched(f"{run.name}: pre-training", epochs, shown)
    numbers: dict = {
        "run": run.name,
        "recipe": run.recipe.name,
        "best_epoch": run.best_epoch,
        "epochs": len(epochs),
        "last": {name: round(values[-1], 6) for name, values in known.items() if values},
    }
    notes = []
    if known["knn"]:
        numbers["knn"] = {"k": NEIGHBOURS, "protocol": "leave one out", "split": "train"}
    else:
        notes.append(
            f"{run.folder} was trained on images without labels of two classes: no k-NN accuracy"
        )
    return style.save(out, {"learning_curve": figure}, numbers, notes)
