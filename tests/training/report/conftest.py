"""Small runs of every kind, as trainings leave them."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from training.problems import PROBLEMS
from training.report.page import make_report

P1_NUMBERS = {
    "features": 4,
    "pca_variance": [0.5, 0.25],
    "knn": {"k": 5},
    "epochs": [{"epoch": 1, "knn_accuracy": 0.25}, {"epoch": 4, "knn_accuracy": 0.75}],
    "confused": [{"true": 3, "predicted": 1, "share": 0.5}],
}
P1_PICTURES = ("pca", "tsne", "learning_curve", "confusion", "mistakes")
P3_NUMBERS = {"iou": {"Water": 0.5, "Barren land": None}}
P3_PICTURES = ("stages", "learning_curves", "confusion", "worst")


def write_run(folder, name, result=None, **changes):
    """Write recipe.json, metrics.csv and, unless `result` is None, result.json."""
    shipped = next(p.recipes[name] for p in PROBLEMS.values() if name in p.recipes)
    recipe = dataclasses.replace(shipped, **changes)
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(json.dumps(recipe.to_plain()))
    rows = ["epoch,loss,accuracy,spread,lr,best_epoch", "0,2.0,0.2,0.9,0.1,0", "1,1.5,,0.8,0.1,0"]
    (folder / "metrics.csv").write_text("\n".join([*rows, ""]))
    if result is not None:
        whole = {
            "recipe": recipe.to_plain(),
            "command": f"python -m training fit {name} seed={recipe.seed}",
            "data": "/nowhere",
            "trained_on": 1234,
            "epochs": 2,
            "minutes": 1.5,
            "device": "x86_64",
            "cores": 2,
            "revision": "abc",
            "finished": "2024-05-06T07:08:09+00:00",
            **result,
        }
        (folder / "result.json").write_text(json.dumps(whole))
    return folder


def write_figures(folder, numbers, names):
    """Write what the command `figures` leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        pixels = np.zeros((30, 60, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    whole = {**numbers, "figures": {name: f"{name}.png" for name in names}, "notes": []}
    (folder / "figures.json").write_text(json.dumps(whole))
    return whole


def scored(val, images=500, **more):
    """Return what result.json says of scores."""
    return {"scores": {"metric": "accuracy", "val": val, "images": images, "best_epoch": 1}, **more}


def made(folder, runs=None, log=print):
    """Return the text of a report of runs; `folder` is where it is put."""
    return make_report(runs, folder, folder / "none", "", "", None, "made", log).read_text()


@pytest.fixture(scope="package")
def runs(tmp_path_factory):
    """Return a folder of runs: three of p1-a, one of p3-lite, one of BYOL that goes on, a table."""
    root = tmp_path_factory.mktemp("made") / "runs"
    for seed, val in enumerate((0.8, 0.9, 0.85)):
        write_run(root / f"p1-a-s{seed}", "p1-a", scored(val), seed=seed, classes=10)
    write_figures(root / "p1-a-s0" / "figures", P1_NUMBERS, P1_PICTURES)
    lite = write_run(root / "p3-lite-s0", "p3-lite", scored(0.5, 257))
    write_figures(lite / "figures", P3_NUMBERS, P3_PICTURES)
    write_run(root / "p2-byol-s0", "p2-byol", epochs=7)
    for letter, val in (("a", 0.4), ("c", 0.5)):
        write_run(root / "p2-compare" / f"p2-{letter}-s0", f"p2-{letter}", scored(val, 406))
    (root / "p2-compare" / "table.csv").write_text(
        "setting,recipe,pre-training,fine-tuning,accuracy,sd,seeds,low,high\n"
        "A,p2-a,none,all,0.4,,1,0.353,0.448\n"
        "C,p2-c,self-supervised,all,0.5,,1,0.451,0.548\n"
    )
    (root / "p2-compare" / "differences.csv").write_text(
        "better,than,by,low,high,clear\np2-c,p2-a,0.1,0.05,0.15,yes\n"
    )
    (root / "p2-compare" / "table.md").write_text("| setting |\n\nAccuracy on the 406 images.\n")
    return root


@pytest.fixture(scope="package")
def report(runs, tmp_path_factory):
    """Return the folder of a report of these runs, with an author and notes."""
    out = tmp_path_factory.mktemp("report")
    notes = out.parent / "notes.md"
    notes.write_text("Before all.\n\n# P1.5\nTwo <b>axes</b>.\n\n## More\nBelow.\n")
    command = "python -m training report runs --name Ada --student b0123"
    make_report(runs, out, out / "none", "Ada", "b0123", notes, command, print)
    return out
