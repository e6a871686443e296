"""The comparison of P2's settings in numbers and words: tables that are written, and read again.

In the folder of the runs (--out) lie

    table.md          the settings, and which differences are more than other images explain
    table.csv         the same numbers; accuracies in [0, 1]
    differences.csv
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inference import UserError
from training.classification import p2, statistics
from training.classification.data import PREDICTIONS, read_predictions
from training.engine.checkpoint import to_csv, write_whole
from training.engine.claim import point, table
from training.engine.recipe import Recipe
from training.engine.run_folder import Run


class Setting(NamedTuple):
    """One of the five: where its backbone comes from, and what of it is trained."""

    pretraining: str
    finetuning: str


SETTINGS = {
    "a": Setting("none", "all"),
    "b": Setting("supervised", "all"),
    "c": Setting("self-supervised", "all"),
    "d": Setting("supervised", "classifier alone"),
    "e": Setting("self-supervised", "classifier alone"),
}
# Which settings are compared, the second with the first
PAIRS = (("a", "b"), ("a", "c"), ("b", "c"), ("d", "e"))
# Columns of words in table.csv and in differences.csv
SETTING = ("setting", "recipe", "pre-training", "fine-tuning", "sd", "seeds")
DIFFERENCE = ("better", "than", "clear")
MOVED = 0.02  # largest change of an accuracy that is put down to another machine's rounding
NOTES = """
Accuracy on the {images} images of val, as the mean ± standard deviation over the seeds, with
Wilson's interval of 95 % for as many images. A difference is the mean over the same images, of all
seeds' answers to each, with the interval of the paired t-test (95 %, each on its own). Intervals
and verdicts say what other images would change, with these weights; other seeds may change more. A
difference is more than other images explain where its interval leaves zero out and an exact test of
its signs (of one pair of runs McNemar's) has p < .05. Each setting: {trained} labelled images.
"""


def letter_of(name: str) -> str:
    """Return the setting that a recipe's name tells, a ... e; other names tell none."""
    return name.removeprefix("p2-").removesuffix("-report")


# ---- what it predicts


def read_right(run: Run, data: Path) -> np.ndarray:
    """Return for each image of val, in the csv's order, whether a run was right: bool (N,).

    Predictions are read from predictions.csv where it has the accuracy of the run's result, else
    made by `best.pth` through the graded path, and written there.

    Raises:
        UserError: neither is there; val is another than the run was scored on.
    """
    paths, labels = p2.read(data, "val")
    file = run.folder / PREDICTIONS
    kept = read_predictions(file, [path.name for path in paths], labels)
    score = run.score
    if score is None:
        raise UserError(f"{run.folder / 'result.json'} has no score on val: train it anew")
    if kept is not None and np.isclose((kept == labels).mean(), score):
        return kept == labels
    if not run.best.is_file():
        why = "does not fit its result or --data" if file.exists() else "is missing"
        raise UserError(f"{file} {why}, and there is no {run.best} to make it anew")
    found = p2.evaluate(run.recipe.record(), data, run.best, "fp32", "auto")
    if abs(found.score - score) > MOVED:
        raise UserError(
            f"{run.best} has {found.score:.3f} on {data}, and its result says {score:.3f}: another "
            "validation set, or other weights; name the run's own --data"
        )
    assert found.table is not None  # a classifier's fits into a file
    write_whole(file, found.table)
    return found.predictions == found.truth


class Runs(NamedTuple):
    """A recipe's runs: each image's share of right answers (N,), and each seed's accuracy."""

    recipe: Recipe
    right: np.ndarray
    accuracies: list[float]


# ---- what is said


def write_tables(runs: Sequence[Run], data: Path, out: Path) -> str:
    """Write the tables of runs, and return their Markdown."""
    by_recipe: dict[str, list[Run]] = {}
    for run in runs:
        by_recipe.setdefault(run.recipe.name, []).append(run)
    kinds = {}
    for name, several in by_recipe.items():
        right = [read_right(run, data) for run in several]
        accuracies = [float(one.mean()) for one in right]
        kinds[name] = Runs(several[0].recipe, np.mean(right, axis=0), accuracies)
    rows, pairs = [_row(kind) for kind in kinds.values()], _pairs(kinds)
    trained = sorted({run.trained_on for run in runs if run.trained_on is not None})
    images = len(next(iter(kinds.values())).right)
    notes = NOTES.format(images=images, trained=" or ".join(f"{n:,}" for n in trained))
    chosen = [run.recipe.name for run in runs if run.recipe.select_epoch_by.word == "val"]
    if chosen:
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(chosen))
        notes += f"Val chose the epoch of {names}, which flatters the accuracy.\n"
    text = _markdown(rows, pairs) + notes
    write_whole(out / "table.md", text.encode())
    write_whole(out / "table.csv", to_csv(rows[0], rows))
    if pairs:
        write_whole(out / "differences.csv", to_csv(pairs[0], pairs))
    else:  # what is there belongs to an older table
        (out / "differences.csv").unlink(missing_ok=True)
    return text


def _row(kind: Runs) -> dict[str, Any]:
    letter, several = letter_of(kind.recipe.name), len(kind.accuracies) > 1
    value, low, high = (round(share, 6) for share in statistics.of_accuracy(kind.right))
    return {
        "setting": letter.upper(),
        "recipe": kind.recipe.name,
        "pre-training": SETTINGS[letter].pretraining,
        "fine-tuning": SETTINGS[letter].finetuning,
        "accuracy": value,
        "sd": round(float(np.std(kind.accuracies, ddof=1)), 6) if several else "",
        "seeds": len(kind.accuracies),
        "low": low,
        "high": high,
    }


def _pairs(kinds: Mapping[str, Runs]) -> list[dict[str, Any]]:
    """Return the rows of differences.csv, one for each pair that was compared.

    Pairs are those of `PAIRS`, of our recipes and of the report's, and each report's with ours.
    """
    wanted = [(f"p2-{a}{kind}", f"p2-{b}{kind}") for kind in ("", "-report") for a, b in PAIRS]
    wanted += [(f"p2-{letter}-report", f"p2-{letter}") for letter in SETTINGS]
    found = []
    for than, better in wanted:
        if than in kinds and better in kinds:
            both = kinds[than].right, kinds[better].right
            by, low, high = (round(share, 6) for share in statistics.of_difference(*both))
            row = {"better": better, "than": than, "by": by, "low": low, "high": high}
            found.append({**row, "clear": "yes" if statistics.is_clear(*both) else "no"})
    return found


def _markdown(rows: Sequence[dict[str, Any]], pairs: Sequence[dict[str, Any]]) -> str:
    settings = [("setting", "pre-training", "fine-tuning", "val accuracy", "95 %")]
    for row in rows:
        called = f"{row['setting']} (`{row['recipe']}`)"
        spread = f" ± {point(row['sd'])}" if row["sd"] != "" else ""
        accuracy = f"{point(row['accuracy'])}{spread} (n = {row['seeds']})"
        reach = f"{point(row['low'])}-{point(row['high'])}"
        settings.append((called, row["pre-training"], row["fine-tuning"], accuracy, reach))
    differences = [("difference", "points", "95 %", "more than other images explain")]
    for pair in pairs:
        by, low, high = (f"{100 * pair[key]:+.1f}" for key in ("by", "low", "high"))
        names = f"`{pair['better']}` - `{pair['than']}`"
        differences.append((names, by, f"{low} to {high}", pair["clear"]))
    return table(settings) + ("\n" + table(differences) if pairs else "")


# ---- what was said, read again


class Comparison(NamedTuple):
    """What a folder's tables say.

    Attributes:
        settings: rows of table.csv: words by the columns of `SETTING`, of which `sd` is a number or
            None, and an `accuracy` from `low` to `high`, in [0, 1].
        differences: rows of differences.csv: words, and `by`, from `low` to `high`.
        note: what table.md says below them.
    """

    name: str
    settings: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    note: str


def read_comparison(folder: Path) -> Comparison:
    """Return what the tables in a folder say.

    Raises:
        UserError: one of them cannot be read.
    """
    differing, text = folder / "differences.csv", folder / "table.md"
    try:
        rows = _rows(folder / "table.csv", SETTING, ("accuracy", "low", "high"))
        settings = [row | {"sd": float(row["sd"]) if row["sd"] else None} for row in rows]
        differences = []
        if differing.exists():
            differences = _rows(differing, DIFFERENCE, ("by", "low", "high"))
        lines = text.read_text(encoding="utf-8").splitlines() if text.exists() else []
    except (OSError, ValueError, TypeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read the table in {folder}: {reason}") from error
    note = " ".join(line for line in lines if line and not line.startswith("|"))
    return Comparison(folder.name, settings, differences, note)


def _rows(file: Path, words: Sequence[str], numbers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a csv, of which it has one at least."""
    with file.open(newline="", encoding="utf-8") as text:
        rows: list[dict[str, Any]] = list(csv.DictReader(text, strict=True))
    if not rows:
        raise ValueError(f"{file.name} has no row")
    lacking = [name for name in (*words, *numbers) if name not in rows[0]]
    if lacking:
        raise ValueError(f"{file.name} has no column {lacking[0]}")
    return [row | {name: float(row[name]) for name in numbers} for row in rows]
