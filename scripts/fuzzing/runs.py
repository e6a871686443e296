"""Trials of run folders: publish, the report, and what reads runs for figures and tables.

All that is known here of training/ stands in `_publish`, `_READERS` and `_run`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from inference import UserError
from inference.landcover import COLOURS
from scripts.fuzzing import corners
from scripts.fuzzing.damage import damage, damage_json
from scripts.fuzzing.trial import Trial, expect
from training import __main__ as training
from training.classification.comparison import read_right
from training.engine.run_folder import Run
from training.problems import PROBLEMS, RECIPES
from training.publish import publish as publishing
from training.publish import zoo_page

METRICS = """epoch,loss,accuracy,spread,knn,best_epoch
0,2.0,0.2,0.9,0.3,0
1,1.5,0.3,0.8,0.4,1
"""
URLS = ("https://example.org/a.pth", "gdrive:1AbCdEf", "ftp://x/y", "", "a\nb", "file:/nowhere/x")
NAMES = ("mine", "a/b", "", "..", "ü", "a\nb", "x" * 300, "p3-corners", "p1-corners", "-x", ".x")
RECIPE = {"p1": "p1-a", "p2": "p2-a", "byol": next(iter(PROBLEMS["byol"].recipes))}


def _publish(root: Path, run: Path, name: str, urls: list[str], default: bool) -> None:
    """Publish into the zoo in ROOT."""
    with mock.patch.object(zoo_page, "ROOT", root):
        publishing.publish(Run.load(run, PROBLEMS), name, None, urls, default)


def _curves(run: Path, data: Path) -> None:
    draw = PROBLEMS["byol"].figures
    assert draw is not None
    draw(Run.load(run, PROBLEMS), None, run.parent / "figures", ())


# What reads a run, of which problem
_READERS: dict[str, tuple[str, Callable]] = {
    "run's reader": ("p1", lambda run, data: Run.load(run, PROBLEMS)),
    "figures' reader": ("byol", _curves),
    "table's reader": ("p2", lambda run, data: read_right(Run.load(run, PROBLEMS), data)),
}


def publish(trial: Trial) -> None:
    """A damaged run is published whole, or one line says why not and the zoo is as it was."""
    data = _data(trial.folder / "p1_data")
    corners.write_zoo(trial.folder)
    run = _run(trial.folder / "runs" / "p1-a-s0", data, trial)
    _spoil(trial, run)
    name, urls = "mine", []
    if trial.chance(0.3):
        name = trial.random.choice(NAMES)
    if trial.chance(0.3):
        urls = [trial.random.choice(URLS)]
    readme = trial.random.choice(
        (None, b"# My own words\n", b"<!-- zoo -->\n<!-- /zoo -->\n", b"\xff")
    )
    if readme is not None:
        (trial.folder / "docs").mkdir()
        trial.write(trial.folder / "README.md", readme)
    before, default = _snapshot(trial.folder), trial.chance(0.5)
    with corners.at_work(trial.folder):
        answer = trial.run(
            "publish",
            _command(lambda: _publish(trial.folder, run, name, urls, default)),
            *(run, "--name", name, *[f"--url={url}" for url in urls]),
            quiet=False,
        )
        if answer.status == 2:
            expect(_snapshot(trial.folder) == before, "an error, and the zoo was touched")
        else:
            trial.run("list", lambda _: _list(), quiet=False)


def report(trial: Trial) -> None:
    """A page of a sound run and one that is damaged: the sound one's score is in it."""
    data, runs = _data(trial.folder / "p1_data"), trial.folder / "runs"
    corners.write_zoo(trial.folder)
    _run(runs / "p1-a-s0", data, trial, weights=False)
    _spoil(trial, _run(runs / "p1-a-s1", data, trial, weights=False, seed=1, epochs=7))
    out = trial.folder / "report"
    with corners.at_work(trial.folder), mock.patch.object(zoo_page, "ROOT", trial.folder):
        words = ("report", runs, "--out", out, "--data", trial.folder / "none")
        trial.run("python -m training", training.main, *words, allowed=(0,), quiet=False)
    page = (out / "index.html").read_text(encoding="utf-8")
    expect(".4321" in page, "the page lacks a sound run's score")


def readers(trial: Trial) -> None:
    """What figures and tables read of a damaged run."""
    name = trial.random.choice([*_READERS])
    problem, read = _READERS[name]
    data = (_office if problem == "p2" else _data)(trial.folder / "data")
    run = _run(trial.folder / "runs" / f"{problem}-s0", data, trial, problem=problem)
    _spoil(trial, run)
    with corners.at_work(trial.folder / "none"):
        trial.run(name, _command(lambda: read(run, data)), run, quiet=False)


def _list() -> int:
    from inference.__main__ import main

    return main(["list"])


def _command(function: Callable) -> Callable:
    """Make a command line of a function, as the product's own do."""

    def main(_words: list[str]) -> int:
        try:
            function()
            return 0
        except UserError as error:
            print(" ".join(["error:", *str(error).splitlines()]), file=sys.stderr)
            return 2

    return main


def _data(folder: Path) -> Path:
    """Write a validation set: a picture of each class."""
    for part in ("train_50", "val_50"):
        (folder / part).mkdir(parents=True)
        for label in range(corners.CLASSES):
            colour = tuple(COLOURS[label].tolist())
            Image.new("RGB", (8, 8), colour).save(folder / part / f"{label}_0.png")
    return folder


def _office(folder: Path) -> Path:
    """Write a validation set of P2: a picture of each class, and their csv."""
    place, lines = folder / "office" / "val", ["id,filename,label"]
    place.mkdir(parents=True)
    for label in range(corners.CLASSES):
        Image.new("RGB", (8, 8), tuple(COLOURS[label].tolist())).save(place / f"{label}_0.png")
        lines.append(f"{label},{label}_0.png,{label}")
    (folder / "office" / "val.csv").write_text("\n".join([*lines, ""]))
    return folder


def _run(
    folder: Path, data: Path, trial: Trial, weights: bool = True, problem: str = "p1", **changes
) -> Path:
    """Write a run as a training leaves it."""
    recipe = RECIPES[RECIPE[problem]]
    changes = {"mean": (0.5,) * 3, "std": (0.5,) * 3, **changes}
    if problem != "byol":
        changes |= {"network": "corners", "arguments": {"gain": 1.0}, "classes": corners.CLASSES}
        changes |= {"size": corners.SIDE}
    recipe = dataclasses.replace(recipe, **changes).to_plain()
    scores = {"metric": "accuracy", "val": 0.4321, "images": 7, "best_epoch": 1}
    if problem == "p2":
        scores["val"] = 1.0  # what predictions.csv says
    result = {
        "recipe": recipe,
        "command": f"python -m training fit {RECIPE[problem]}",
        **{"data": str(data), "provenance": None, "trained_on": 7, "scores": scores, "epochs": 2},
        **{"kept": [1], "minutes": 1.5, "device": "x86_64", "cores": 2, "processes": 1},
        **{"revision": "abc", "torch": "2", "finished": "2024-05-06T07:08:09+00:00"},
    }
    figures = {"features": 4, "pca_variance": [0.5, 0.25], "knn": {"k": 5}, "notes": []}
    figures |= {"epochs": [{"epoch": 1, "knn_accuracy": 0.5}], "confused": []}
    files = {
        "recipe.json": json.dumps(result["recipe"]),
        "result.json": json.dumps(result),
        "metrics.csv": METRICS,
        "data.json": json.dumps({"folder": str(data), "key": "0123456789abcdef"}),
        "predictions.csv": "filename,label,predicted\n"
        + "".join(f"{i}_0.png,{i},{i}\n" for i in range(corners.CLASSES)),
        "figures/figures.json": json.dumps({**figures, "figures": {"pca": "pca.png"}}),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(folder / "figures" / "pca.png")
    if weights:
        for name in ("best.pth", "epoch-0001.pth"):
            (folder / name).write_bytes(corners.packed(corners.state()))
    return folder


def _spoil(trial: Trial, run: Path) -> None:
    """Damage one or two of a run's files, or take them away."""
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.suffix != ".png")
    for path in trial.random.sample(files, trial.random.choice((1, 1, 2))):
        data = path.read_bytes()
        if trial.chance(0.08):
            path.unlink()
            trial.inputs += 1
        elif path.suffix == ".json" and trial.chance(0.8):
            trial.write(path, damage_json(trial.random, json.loads(data)))
        elif path.suffix == ".csv" and trial.chance(0.6):
            trial.write(path, _odd_value(trial, data))
        else:
            trial.write(path, damage(trial.random, data))


def _odd_value(trial: Trial, table: bytes) -> bytes:
    rows = [line.split(b",") for line in table.splitlines()]
    row = trial.random.choice(rows)
    odd = (b"", b"nan", b"inf", b"-1", b"1e999", b"a word", b'"', b"1,2", b"0x1", b"99999999999")
    row[trial.random.randrange(len(row))] = trial.random.choice(odd)
    return b"\n".join(b",".join(row) for row in rows) + b"\n"


def _snapshot(root: Path) -> dict[str, bytes]:
    places = [*(root / "weights").iterdir(), root / "inference" / "zoo.json", root / "README.md"]
    return {path.name: path.read_bytes() for path in places if path.is_file()}
