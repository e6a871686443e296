"""Learning curves: what was measured is joined, and said in numbers."""

import math

from training.plots import curves
from training.plots.curves import Curve, Watched
from training.plots.style import png


def points(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_a_curve_that_hardly_moves_has_a_scale_that_can_be_read():
    score = Curve("accuracy", [0.986, 0.976, 0.982])
    figure = curves.draw_learning("run", [1, 2, 3], [2.6, 2.5, 2.2], score, "val", 3, 0.98)
    axes = figure.axes[1]
    ticks = [axes.yaxis.get_major_formatter()(place) for place in axes.get_yticks()]
    assert len(set(ticks)) == len(ticks) and all(tick.endswith("%") for tick in ticks)
    assert axes.get_title() == "val accuracy"
    said = {text.get_text() for text in axes.get_legend().get_texts()}
    assert {"val as graded: 98.0%", "val in training: 98.2%", "epoch 3, kept as best.pth"} <= said


def test_legends_hide_nothing_of_a_falling_curve():
    score = Curve("accuracy", [0.03, 0.02, 0.01])
    figure = curves.draw_learning("run", [1, 2, 3], [2.6, 2.5, 2.2], score, "val", 3, 0.01)
    png(figure)  # lays it out
    frame = figure.bbox
    for axes in figure.axes:
        legend = axes.get_legend().get_window_extent()
        assert not any(legend.overlaps(other.get_tightbbox()) for other in axes.lines)
        assert not legend.overlaps(axes.xaxis.get_tightbbox())
        assert frame.x0 <= legend.x0 and legend.x1 <= frame.x1 and frame.y0 <= legend.y0


def test_a_curve_joins_the_epochs_that_were_measured():
    mean = Curve("mean", [0.2, math.nan, 0.4])
    some = [Curve("one", [0.1, math.nan, 0.3]), Curve("other", [math.nan] * 3)]
    figure = curves.draw_classes(
        "run", [1, 2, 3], [2.0, 1.5, 1.0], some, mean, "val score of each class", 3, 0.5
    )
    left, right = figure.axes
    assert left.lines[0].get_xydata().tolist() == [[1, 2.0], [2, 1.5], [3, 1.0]]
    drawn = points(right)
    assert drawn["mean: 40.0%"] == [[1, 0.2], [3, 0.4]]
    assert drawn["one: 30.0%"] == [[1, 0.1], [3, 0.3]]
    assert drawn["other: nan%"] == [] and "mean on val as graded: 50.0%" in drawn
    assert right.get_legend().get_title().get_text() == "epoch 3, kept as best.pth"


def test_epochs_that_a_run_has_lost_leave_a_gap():
    score = Curve("accuracy", [0.5, 0.25])
    figure = curves.draw_learning("run", [1, 4], [2.0, 1.0], score, "held-out", 4, None)
    left, right = figure.axes
    assert left.lines[0].get_xydata().tolist() == [[1, 2.0], [4, 1.0]]
    assert points(right)["held-out in training: 25.0%"] == [[4, 0.25]]


def test_each_watched_curve_has_its_own_plot_and_its_last_value():
    watched = [
        Watched(Curve("loss", [4.0, 2.0, 1.0])),
        Watched(Curve("spread", [0.9, 0.8, 0.7]), top=1.05, floor="collapse"),
        Watched(Curve("accuracy", [0.2, math.nan, 0.4]), top=0.44, percent=True),
    ]
    loss, spread, accuracy = curves.draw_watched("run", [1, 2, 3], watched).axes
    assert loss.get_title() == "loss\nlast: 1.000"
    assert spread.get_ylim() == (0, 1.05) and spread.texts[0].get_text() == "0: collapse"
    assert accuracy.lines[0].get_xydata().tolist() == [[1, 0.2], [3, 0.4]]
    assert accuracy.yaxis.get_major_formatter()(0.4).startswith("40")
