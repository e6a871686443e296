"""An author's clone, and what is published in it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from training.__main__ import main
from training.engine.run_folder import Run
from training.problems import PROBLEMS

ROOT = Path(__file__).resolve().parents[3]
PUBLISH = (sys.executable, "-m", "training", "publish")
P1 = PROBLEMS["p1"]
SCRIPTS = ["hw1_1.sh", "hw1_2.sh", "hw1_3.sh", "hw1_download.sh", "mean_iou_evaluate.py"]


def clone(place):
    """Copy what a clone has, without any checkpoint."""
    for folder in ("inference", "training"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, place / folder, ignore=ignore)
    for name in SCRIPTS:
        shutil.copy(ROOT / name, place / name)
    for folder in ("weights", "docs"):
        (place / folder).mkdir()
    (place / "README.md").write_text("<!-- zoo -->\n<!-- /zoo -->\n")
    (place / "inference" / "zoo.json").write_text('{"defaults": {}, "checkpoints": {}}')
    return place


def run(*command, cwd, **environment):
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1", **environment}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def ended(folder, recipe, **noted):
    """Return a run that has ended, of whose weights nothing is known."""
    folder.mkdir(exist_ok=True)
    (folder / "best.pth").write_bytes(b"")
    result = {"recipe": recipe.to_plain(), **noted}
    (folder / "result.json").write_text(json.dumps(result))
    return Run.load(folder, PROBLEMS)


def refusal(capsys, *words):
    """Run `publish`, which must fail with one line; return it."""
    assert main(["publish", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("error: "), err
    return err


def command(capsys, *words):
    """Run `publish` in this process; return its exit status and what it said."""
    status = main(["publish", *map(str, words)])
    return (status, *capsys.readouterr())
