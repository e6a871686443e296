"""A run from the command line to its `result.json`, whatever the task."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from inference import UserError, process, zoo
from inference.device import tune_allocator
from inference.origin import origin_of
from inference.sharding import rank_and_world
from training import same
from training.classification import predictions
from training.fit import fit
from training.keep import write_whole
from training.locks import locked
from training.recipe import Recipe, override
from training.score import score
from training.task import Task


def main(
    doc: str, recipes: Mapping[str, Recipe], prepare: Callable, task: Callable[[Recipe], Task]
) -> int:
    """Parses `RECIPE --data DIR [--out DIR] [key=value ...]` and trains.

    Args:
        prepare: (recipe, data folder) -> (training batches, the batches that choose the epoch:
            held-out ones, with `select=val` the validation set's, or None).
        task: recipe -> the task to fit.

    Returns:
        The exit status: 2 for an error that the user can mend, 130 after Ctrl-C.
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
        process.say_error(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        _say("interrupted: the same command goes on from the last whole epoch")
        return 130


def _train(recipe: Recipe, data: Path, out: Path, prepare: Callable, task: Callable) -> None:
    rank, world = rank_and_world()
    with _alone(out) if rank == 0 else contextlib.nullcontext():
        if rank == 0:
            same.check(recipe, data, out)
        train, held_out = prepare(recipe, data)
        torch.manual_seed(recipe.seed)  # the initial weights
        found = fit(task(recipe), train, held_out, out, say=_say)
        if world > 1:
            _part()
        if rank == 0:
            write_result(recipe, data, out, {**found, "processes": world})


def _part() -> None:
    """Ends the work of several processes: the first scores alone, as a grader's does."""
    torch.distributed.destroy_process_group()
    os.environ["WORLD_SIZE"] = "1"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keeps a second process out of a run's folder; the system undoes that when this one ends.

    Raises:
        UserError: another one is at work in it, or it cannot be made.
    """
    with contextlib.ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(out, wait=False))
        except BlockingIOError as error:
            raise UserError(
                f"another process trains in {out}: wait for it or choose --out"
            ) from error
        except OSError as error:
            raise UserError(f"cannot make the run's folder {out}: {error.strerror}") from error
        yield


def record_of(recipe: Recipe, name: str = "") -> zoo.Record:
    """Describes a run's `best.pth` as the zoo would, before it is published.

    Raises:
        UserError: it is no classifier of the course's classes, and no segmenter.
    """
    if not recipe.graded:
        raise UserError(
            f"{recipe.name} is pre-training, which no script answers with: fine-tune its best.pth "
            "(pretrained=FILE) and take that run"
        )
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


def write_result(recipe: Recipe, data: Path, out: Path, found: dict) -> None:
    """Scores the exported weights through the graded path, and writes `result.json`.

    What is not graded has no score but the task's own, if that.

    Args:
        found: what `fit` returned, and the number of `processes`.
    """
    if recipe.graded:
        scores, said = _graded(recipe, data, out, found)
    else:
        scores = {found["metric"]: found["held_out"], "best_epoch": found["best_epoch"]}
        measured = found["held_out"] is not None
        said = f"{found['metric']} {found['held_out']:.4f}" if measured else "not measured"
    kept = sorted(file.name for file in out.glob("epoch-*.pth"))
    result = {
        "recipe": dataclasses.asdict(recipe),
        "command": _command(found["processes"]),
        "data": str(data.resolve()),
        "origin": origin_of(recipe.task, data),
        "trained_on": found["trained_on"],
        "scores": scores,
        "epochs": found["epochs"],
        "kept": kept,
        "seed": recipe.seed,
        "minutes": round(found["seconds"] / 60, 3),
        "finished": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        **_machine(),
        "processes": found["processes"],
        "precision": found["precision"],
    }
    write_whole(out / "result.json", (json.dumps(result, indent=2) + "\n").encode())
    _say(f"{recipe.name}: {said}; {out}")


def _graded(recipe: Recipe, data: Path, out: Path, found: dict) -> tuple[dict, str]:
    """Gives the scores of the exported weights, and what is said of them."""
    scored = score(record_of(recipe), data, "fp32", "auto", out / "best.pth")
    metric = "mIoU" if recipe.task == "p3" else "accuracy"
    if recipe.task != "p3":
        predictions.write(out / predictions.NAME, scored.names, scored.truth, scored.predictions)
    scores = {
        "metric": metric,
        "val": scored.score,
        "images": len(scored.names),
        "select": recipe.select,
        "held_out": found["held_out"] if recipe.holds_out() else None,
        "best_epoch": found["best_epoch"],
    }
    origin = origin_of(recipe.task, data)
    of = f" of {origin}" if origin else ""
    chose = ", which chose the epoch" if recipe.select == "val" else ""
    said = f"{metric} {scored.score:.4f} on {len(scored.names)} validation images{of}{chose}"
    return scores, said


def _machine() -> dict:
    """What ran, and on what."""
    gpu = torch.cuda.is_available()
    return {
        "revision": _revision(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "torchvision", "lightning", "numpy")},
        "device": torch.cuda.get_device_name() if gpu else platform.machine(),
        "cores": os.cpu_count(),
    }


def _command(world: int) -> str:
    """Gives what was typed, as a shell takes it; of several hosts, without where they meet."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    module = ["-m", spec.name.removesuffix(".__main__")] if spec else [sys.argv[0]]
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world)) if world > 1 else 1
    hosts = [f"--nnodes={world // local}"] if world > local else []
    start = ["torchrun", *hosts, f"--nproc-per-node={local}"] if world > 1 else ["python"]
    return shlex.join([*start, *module, *sys.argv[1:]])


def _revision() -> str:
    """The commit that ran, with a + when files were changed since; empty outside a checkout."""
    here = Path(__file__).parent
    try:
        show = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
        return subprocess.run(show, cwd=here, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""
