"""Draw how a pre-training goes: python -m training.byol.curve RUN [--out FILE].

Three curves over the epochs: the loss; the spread of the projections, 1 where they point
everywhere, falling to 0 in a collapse; and the k-NN accuracy of the frozen features, where there
were labels. A run that is still going on can be drawn too.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from inference import UserError, files
from training.finished import read_columns

BLUE, RED = "#3f90da", "#bd1f01"
# Column of metrics.csv -> what the axis says
CURVES = {
    "loss": "loss, of two directions (0 to 8)",
    "spread": "spread of the projections",
    "knn": "k-NN accuracy, leave-one-out",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws; the exit status is 2 for an error that the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m training.byol.curve", description=__doc__)
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's folder")
    parser.add_argument("--out", type=Path, help="the picture (RUN/curve.png)")
    options = parser.parse_args(arguments)
    out = options.out or options.run / "curve.png"
    try:
        points = read(options.run / "metrics.csv")
        content = io.BytesIO()
        draw(files.in_words(options.run.name), points).savefig(content, format="png")
        files.write_whole(out, content.getvalue())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(files.in_words(out))
    return 0


def read(table: Path) -> dict[str, list[tuple[int, float]]]:
    """Gives each curve's points, (epoch from 1, value), of the epochs in which it was measured.

    Raises:
        UserError: the table cannot be read, or holds no epoch of a pre-training.
    """
    if not table.is_file():
        raise UserError(f"cannot read {table}: there is none; give a run's folder")
    columns = read_columns(table)
    if not columns:
        raise UserError(f"{table} has no epoch yet: wait for the first one")
    if "spread" not in columns:
        raise UserError(f"{table} is of no pre-training: give a run of python -m training.byol")
    return {
        name: [
            (int(epoch) + 1, value)
            for epoch, value in zip(columns["epoch"], columns.get(name, []), strict=False)
            if not math.isnan(value)
        ]
        for name in CURVES
    }


def draw(name: str, points: dict[str, list[tuple[int, float]]]) -> Figure:
    """Draws the curves that have points.

    Args:
        name: the run's.
        points: as `read` gives them.
    """
    curves = [key for key in CURVES if points[key]]
    figure = Figure((4.2 * len(curves), 4.0), dpi=150, layout="constrained")
    figure.suptitle(f"{name}: pre-training", fontsize=12)
    for axes, key in zip(figure.subplots(1, len(curves)), curves, strict=True):
        _curve(axes, points[key], CURVES[key])
        if key == "spread":
            axes.set_ylim(0, 1.05)
            axes.text(0.02, 0.03, "0: collapse", color=RED, transform=axes.transAxes, fontsize=9)
        if key == "knn":
            axes.set_ylim(0, 1.1 * max(value for _, value in points[key]) or 1)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def _curve(axes: Axes, points: list[tuple[int, float]], label: str) -> None:
    epochs, values = zip(*points, strict=True)
    marker = "o" if len(points) < 80 else None  # seldom measured: each counts
    axes.plot(epochs, values, color=BLUE, marker=marker, markersize=3)
    axes.set_title(f"{label}\nlast: {values[-1]:.3f}", fontsize=10)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    sys.exit(main())
