"""A run from its recipe to its `result.json`, whatever the problem."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence, Set
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from inference import UserError
from inference.runner import NotFinite
from inference.sharding import rank_and_world
from inference.zoo.provenance import provenance_of
from training.engine.checkpoint import write_whole
from training.engine.loop import Outcome, train
from training.engine.problem import Problem
from training.engine.recipe import Recipe
from training.engine.run_folder import expect_data, fingerprint, read_json

KEPT = ("last.ckpt", "best.pth", "result.json")  # what tells that an epoch or a run has ended


def run(
    problem: Problem,
    recipe: Recipe,
    data: Path,
    folder: Path,
    log: Callable[[str], None],
) -> None:
    """Train a recipe into a folder, or go on with the run there, and score what it exports.

    Args:
        data: the problem's folder of hw1_data.
        log: takes a line an epoch, and one at the end.

    Raises:
        UserError: the folder holds another run, or what the training meets that can be mended.
    """
    rank, world = rank_and_world()
    with _alone(folder) if rank == 0 else contextlib.nullcontext():
        if rank == 0:
            reserve(problem, recipe, data, folder)
        batches, measured = problem.batches(recipe, data)
        torch.manual_seed(recipe.seed)  # the initial weights
        outcome = train(problem.module(recipe), batches, measured, folder, log)
        if world > 1:  # the first scores alone, as a grader's does
            torch.distributed.destroy_process_group()
            os.environ["WORLD_SIZE"] = "1"
        if rank == 0:
            log(_write_result(problem, recipe, data, folder, outcome, world))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make a run's folder and keep a second process out of it, until this one ends.

    What was made is removed again where the run fails or is interrupted in its first epoch.
    """
    before = set(os.listdir(folder)) if folder.is_dir() and os.access(folder, os.R_OK) else set()
    made = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(folder / ".lock", timeout=0))
        except Timeout as error:
            raise UserError(
                f"another process trains in {folder}: wait for it or choose --out"
            ) from error
        except NotImplementedError:
            pass  # a network drive without locks
        except OSError as error:
            raise UserError(
                f"cannot make the run's folder {folder}: {error.strerror}; choose another --out"
            ) from error
        try:
            yield
        except BaseException:
            _remove_unbegun(folder, before, made)
            raise


def _remove_unbegun(folder: Path, before: Set[str], made: Sequence[Path]) -> None:
    """Remove a run's notes where there is nothing else of it, and the folders that were made.

    Args:
        before: names of what was in its folder, which stays.
    """
    with contextlib.suppress(OSError):
        new = set(os.listdir(folder)) - before
        if new <= {".lock", "recipe.json", "data.json"}:
            for name in new:
                (folder / name).unlink()
            for place in made:
                place.rmdir()


def reserve(problem: Problem, recipe: Recipe, data: Path, folder: Path) -> None:
    """Write recipe.json and data.json of a run into its folder; refuse another run's folder.

    A run of which no epoch has ended may be replaced.

    Raises:
        UserError: the folder holds a run with another recipe or on other data, or what a new run
            would overwrite; the data cannot be read.
    """
    begun = any((folder / name).exists() for name in ("metrics.csv", *KEPT))
    if begun and (folder / "recipe.json").exists():
        try:
            then = type(recipe).from_plain(read_json(folder / "recipe.json"))
        except UserError as error:
            raise UserError(f"{folder / 'recipe.json'}: {error}; choose another --out") from error
        asked, there = recipe.changes_from(then), then.changes_from(recipe)
        if recipe.seed != then.seed:
            asked, there = [*asked, f"seed={recipe.seed}"], [*there, f"seed={then.seed}"]
        if asked or there:
            theirs, ours = (there or asked)[0], (asked or there)[0]
            raise UserError(
                f"{folder} holds a run with {theirs}, and {ours} is asked for: choose another "
                f"--out, or delete that folder"
            )
    if not (folder / "last.ckpt").exists():
        _expect_nothing_to_lose(folder)
    digest = fingerprint(problem, recipe, data)
    if begun:
        expect_data(folder, digest)
    plain = json.dumps(recipe.to_plain(), indent=2)
    write_whole(folder / "recipe.json", plain.encode())
    noted = {"folder": str(data.resolve()), "key": digest}
    write_whole(folder / "data.json", (json.dumps(noted, indent=2) + "\n").encode())


def _expect_nothing_to_lose(folder: Path) -> None:
    """Raise UserError where a run that begins anew would overwrite what somebody keeps.

    One that was stopped before its first last.ckpt is begun anew by the same command, as it says.
    """
    stopped = (folder / "recipe.json").exists() and not (folder / "result.json").exists()
    lost = [name for name in KEPT if (folder / name).exists()]
    if lost and not stopped:
        raise UserError(
            f"{folder} has no last.ckpt to go on from, and a new run would overwrite "
            f"{' and '.join(lost)}: choose another --out"
        )


def _write_result(
    problem: Problem, recipe: Recipe, data: Path, folder: Path, outcome: Outcome, processes: int
) -> str:
    """Score the exported weights, write `result.json`, and return a line on it."""
    scores = _scores(problem, recipe, data, folder, outcome)
    provenance = provenance_of(problem.name, data)
    gpu = torch.cuda.is_available()
    result = {
        "recipe": recipe.to_plain(),
        "command": _command(processes),
        "data": str(data.resolve()),
        "provenance": provenance,
        "trained_on": outcome.trained_on,
        "scores": scores,
        "epochs": outcome.progress.epochs,
        "kept": sorted(file.name for file in folder.glob("epoch-*.pth")),
        "seed": recipe.seed,
        "minutes": round(outcome.progress.seconds / 60, 3),
        "finished": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "revision": _revision(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "torchvision", "lightning", "numpy")},
        "device": torch.cuda.get_device_name() if gpu else platform.machine(),
        "cores": os.cpu_count(),
        "processes": processes,
        "precision": outcome.progress.precision,
    }
    text = json.dumps(result, indent=2) + "\n"
    write_whole(folder / "result.json", text.encode())
    return f"{recipe.name}: {_said(scores, provenance)}; {folder}"


def _scores(
    problem: Problem, recipe: Recipe, data: Path, folder: Path, outcome: Outcome
) -> dict[str, Any]:
    """Return the scores of the exported weights, as result.json holds them.

    The score on val is that of the graded path; without `problem.evaluate` it is the metric that
    the training measured, or None.

    Raises:
        UserError: the weights answer with NaN, or an image of val cannot be read.
    """
    selection = recipe.select_epoch_by
    scores: dict[str, Any] = {
        "metric": problem.metric,
        "val": outcome.score,
        "select": selection.word,
        "held_out": outcome.score if selection.held_out else None,
        "best_epoch": outcome.progress.best_epoch + 1,
    }
    if problem.evaluate is not None:
        try:
            found = problem.evaluate(recipe.record(), data, folder / "best.pth", "fp32", "auto")
        except NotFinite as error:
            raise UserError(
                f"training diverged: {folder / 'best.pth'} answers with NaN or infinite logits; "
                f"lower {recipe.optimizer.rates}, and choose another --out or delete that folder"
            ) from error
        if found.table is not None:
            write_whole(folder / "predictions.csv", found.table)
        scores.update(val=found.score, images=len(found.names))
    return scores


def _said(scores: dict[str, Any], provenance: str | None) -> str:
    """Return what is said of scores at the end of a run."""
    if scores["val"] is None:
        return "not measured"
    said = f"{scores['metric']} {scores['val']:.4f}"
    if "images" not in scores:
        return said
    of = f" of {provenance}" if provenance else ""
    chose = ", which chose the epoch" if scores["select"] == "val" else ""
    return f"{said} on {scores['images']} validation images{of}{chose}"


def _command(world: int) -> str:
    """Return what was typed, as a shell takes it; of several hosts, without where they meet."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    module = ["-m", spec.name.removesuffix(".__main__")] if spec else [sys.argv[0]]
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world)) if world > 1 else 1
    hosts = [f"--nnodes={world // local}"] if world > local else []
    start = ["torchrun", *hosts, f"--nproc-per-node={local}"] if world > 1 else ["python"]
    return shlex.join([*start, *module, *sys.argv[1:]])


def _revision() -> str:
    """Return the commit that ran, with a + when files were changed since; "" outside a checkout."""
    here = Path(__file__).parent
    try:
        show = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
        return subprocess.run(show, cwd=here, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""
