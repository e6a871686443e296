"""A run from the command line to its `result.json`, whatever the task."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from inference import UserError, zoo
from inference.device import tune_allocator
from training.fit import fit
from training.recipe import Recipe, override
from training.score import score
from training.task import Task


def main(
    doc: str, recipes: Mapping[str, Recipe], prepare: Callable, task: Callable[[Recipe], Task]
) -> int:
    """Parses `RECIPE --data DIR [--out DIR] [key=value ...]` and trains.

    Args:
        prepare: (recipe, data folder) -> (training batches, held-out batches).
        task: recipe -> the task to fit.

    Returns:
        The exit status: 2 for an error that the user can mend.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("recipe", metavar="RECIPE", help=f"one of: {', '.join(recipes)}")
    parser.add_argument("--data", type=Path, required=True, help="the problem's folder of hw1_data")
    parser.add_argument("--out", type=Path, help="the run's folder (runs/RECIPE-sSEED)")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="recipe fields to change")
    options = parser.parse_intermixed_args()
    tune_allocator()
    try:
        if options.recipe not in recipes:
            raise UserError(f"no recipe '{options.recipe}'; there are: {', '.join(recipes)}")
        recipe = override(recipes[options.recipe], options.changes)
        out = options.out or Path(f"runs/{recipe.name}-s{recipe.seed}")
        _train(recipe, options.data, out, prepare, task)
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _train(recipe: Recipe, data: Path, out: Path, prepare: Callable, task: Callable) -> None:
    before = _check_same(recipe, out)
    start = time.monotonic()
    train, held_out = prepare(recipe, data)
    torch.manual_seed(recipe.seed)  # the initial weights
    chosen = fit(task(recipe), train, held_out, out, say=_say)
    minutes = before + (time.monotonic() - start) / 60
    if int(os.environ.get("RANK", 0)) == 0:
        write_result(recipe, data, out, chosen, minutes)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _check_same(recipe: Recipe, out: Path) -> float:
    """Refuses to go on with another recipe in a run's folder; gives the minutes spent so far."""
    file = out / "recipe.json"
    wanted = json.dumps(dataclasses.asdict(recipe), indent=2)
    if file.exists():
        then, now = json.loads(file.read_text()), json.loads(wanted)
        changed = [key for key in now if then.get(key) != now[key]]
        if changed:
            raise UserError(f"{out} holds a run with another {changed[0]}: choose another --out")
    else:
        out.mkdir(parents=True, exist_ok=True)
        file.write_text(wanted)
    result = out / "result.json"
    return json.loads(result.read_text())["minutes"] if result.exists() else 0.0


def record_of(recipe: Recipe, name: str = "") -> zoo.Record:
    """Describes a run's `best.pth` as the zoo would, before it is published."""
    size = getattr(recipe, "size", None) if recipe.task != "p3" else None
    return zoo.Record(
        name=name or recipe.name,
        task=recipe.task,
        network=recipe.network,
        arguments=recipe.arguments,
        classes=recipe.classes,
        input={"size": size, "mean": list(recipe.mean), "std": list(recipe.std)},
        tta=recipe.tta,
        file=f"{name or recipe.name}.pth",
        bytes=0,
        sha256="",
        urls=[],
        trained_on="",
        recipe=recipe.name,
        scores={},
    )


def write_result(recipe: Recipe, data: Path, out: Path, chosen: dict, minutes: float) -> None:
    """Scores the exported weights through the graded path, and writes `result.json`."""
    scored = score(record_of(recipe), data, "fp32", "auto", out / "best.pth")
    metric = "mIoU" if recipe.task == "p3" else "accuracy"
    result = {
        "recipe": dataclasses.asdict(recipe),
        "data": str(data),
        "scores": {"metric": metric, "val": scored.score, "images": scored.images, **chosen},
        "minutes": round(minutes, 2),
        "finished": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "revision": _revision(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        "cores": os.cpu_count(),
    }
    temporary = out / ".result.json.tmp"
    temporary.write_text(json.dumps(result, indent=2) + "\n")
    os.replace(temporary, out / "result.json")
    _say(f"{recipe.name}: {metric} {scored.score:.4f} on {scored.images} validation images; {out}")


def _revision() -> str:
    """The commit that ran, with a + when files were changed since; empty outside a checkout."""
    here = Path(__file__).parent
    try:
        show = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
        return subprocess.run(show, cwd=here, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""
