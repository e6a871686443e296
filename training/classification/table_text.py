"""The numbers of the table of P2's settings, as Markdown and as csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.classification import answers
from training.classification import statistics as intervals
from training.classification.recipes import Recipe
from training.engine.checkpoint import write_whole

SETTINGS = {
    "a": ("none", "all"),
    "b": ("supervised", "all"),
    "c": ("self-supervised", "all"),
    "d": ("supervised", "classifier alone"),
    "e": ("self-supervised", "classifier alone"),
}
PAIRS = ("ab", "ac", "bc", "de")
NOTES = """
Accuracy on the {images} images of val, as the mean ± standard deviation over the seeds; in brackets
Wilson's interval of 95 % for as many images. A difference is the mean over the same images, of all
seeds' answers to each, with the interval of the paired t-test (95 %, each on its own): it says what
other images would change, with these weights. Each setting: {trained} labelled images.
"""


class Setting(NamedTuple):
    """A recipe's runs: each image's share of right answers (N,), and each seed's accuracy."""

    recipe: Recipe
    right: np.ndarray
    accuracies: list[float]

    @property
    def letter(self) -> str:
        return self.recipe.name.removeprefix("p2-")[0]


def write(runs: Sequence[answers.Finished], data: Path, out: Path) -> str:
    """Writes the table of runs, and gives its Markdown.

    Args:
        runs: those of a recipe one after the other.
        data: `hw1_data/p2_data`, whose val they are compared on.

    Raises:
        UserError: a run's answers cannot be had, or a file cannot be written.
    """
    settings = _settings(runs, data)
    rows, pairs = [_row(s) for s in settings], _pairs(settings)
    trained = sorted({run.trained_on for run in runs})
    notes = NOTES.format(
        images=len(settings[0].right), trained=" or ".join(f"{n:,}" for n in trained)
    )
    if any(s.recipe.select == "val" for s in settings):
        notes += "Val chose the epoch of the `-report` recipes, which flatters their accuracy.\n"
    text = _markdown(rows, pairs) + notes
    write_whole(out / "table.md", text.encode())
    write_whole(out / "table.csv", _csv(rows))
    if pairs:
        write_whole(out / "differences.csv", _csv(pairs))
    return text


def _settings(runs: Sequence[answers.Finished], data: Path) -> list[Setting]:
    found = {}
    for run in runs:
        found.setdefault(run.recipe.name, []).append((run.recipe, answers.right(run, data)))
    return [
        Setting(
            several[0][0],
            np.mean([right for _, right in several], axis=0),
            [float(right.mean()) for _, right in several],
        )
        for several in found.values()
    ]


def _row(setting: Setting) -> dict:
    estimate = intervals.of_accuracy(setting.right)
    pretraining, trained = SETTINGS[setting.letter]
    several = len(setting.accuracies) > 1
    return {
        "setting": setting.letter.upper(),
        "recipe": setting.recipe.name,
        "pre-training": pretraining,
        "fine-tuning": trained,
        "accuracy": round(estimate.value, 6),
        "sd": round(float(np.std(setting.accuracies, ddof=1)), 6) if several else "",
        "seeds": len(setting.accuracies),
        "low": round(estimate.low, 6),
        "high": round(estimate.high, 6),
    }


def _pairs(settings: Sequence[Setting]) -> list[dict]:
    """Compares B and C with A, C with B, and E with D, of recipes of one kind; and A of two."""
    by_name = {setting.recipe.name: setting for setting in settings}
    wanted = [
        (f"p2-{one}{kind}", f"p2-{other}{kind}") for kind in ("", "-report") for one, other in PAIRS
    ]
    wanted += [(f"p2-{one}-report", f"p2-{one}") for one in SETTINGS]
    found = []
    for one, other in wanted:
        if one in by_name and other in by_name:
            apart = intervals.of_difference(by_name[one].right, by_name[other].right)
            found.append(
                {
                    "better": other,
                    "than": one,
                    "by": round(apart.value, 6),
                    "low": round(apart.low, 6),
                    "high": round(apart.high, 6),
                    "clear": "yes" if apart.is_clear else "no",
                }
            )
    return found


def _markdown(rows: Sequence[dict], pairs: Sequence[dict]) -> str:
    lines = [
        "| setting | pre-training | fine-tuning | val accuracy | 95 % |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        spread = f" ± {_point(row['sd'])}" if row["sd"] != "" else ""
        lines.append(
            f"| {row['setting']} (`{row['recipe']}`) | {row['pre-training']} | "
            f"{row['fine-tuning']} | {_point(row['accuracy'])}{spread} (n = {row['seeds']}) | "
            f"{_point(row['low'])}-{_point(row['high'])} |"
        )
    if pairs:
        lines += ["", "| difference | points | 95 % | more than chance |", "|---|---|---|---|"]
    for pair in pairs:
        points = [f"{100 * pair[key]:+.1f}" for key in ("by", "low", "high")]
        lines.append(
            f"| `{pair['better']}` - `{pair['than']}` | {points[0]} | {points[1]} to {points[2]} | "
            f"{pair['clear']} |"
        )
    return "\n".join(lines) + "\n"


def _point(share: float) -> str:
    return f"{share:.3f}".removeprefix("0")


def _csv(rows: Sequence[dict]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
