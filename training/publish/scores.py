"""What a checkpoint's record says of its scores: on which images, and in which precisions.

Scores are those of the graded path. Those in fast precisions are of the machine that measured them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
from pathlib import Path

import torch

from inference import UserError, device, files, zoo
from inference.runner import NotFinite, OutOfMemory
from inference.zoo.provenance import provenance_of
from training.engine.problem import Evaluation, Problem
from training.engine.run_folder import Run

SAME = 0.998  # smallest share of labels or pixels that fp16 weights may leave unchanged


def of_run(run: Run, record: zoo.Record, data: Path, file: Path) -> tuple[zoo.Record, float]:
    """Return the record with the scores of a file of rounded weights, and what rounding left.

    Returns:
        The record, and the share of the run's own predictions that the file has too.

    Raises:
        UserError: rounding changed too many predictions, or there is no score.
    """
    problem = run.problem
    assert problem.evaluate is not None
    whole = dataclasses.replace(record, arguments=run.recipe.arguments)  # with auxiliary heads
    before = problem.evaluate(whole, data, run.best, "fp32", "auto")
    after = problem.evaluate(record, data, file, "fp32", "auto")
    same = expect_same(before, after, run.folder)
    scores = of_file(problem, record, data, after, file)
    if _chose_epoch(run, data, len(after.names)):  # the score flatters, and says so
        scores["select"] = "val"
    record = dataclasses.replace(record, trained_on=trained_on(run, data), scores=scores)
    return record, same


def _chose_epoch(run: Run, data: Path, images: int) -> bool:
    """Whether the validation images of `data`, so many, are those that chose the run's epoch."""
    if run.recipe.select_epoch_by.word != "val":
        return False
    with contextlib.suppress(UserError):  # data may hold validation images alone
        if run.fingerprint is not None:
            return run.is_on(data)
    return run.images in (None, images)  # where no more can be known


def expect_same(before: Evaluation, after: Evaluation, run: Path) -> float:
    """Return the share of predictions that rounding left unchanged; refuse weights it has spoilt.

    A single change is always allowed: of few predictions it alone can be more than 1 - SAME.
    """
    same = _agreement(before, after)
    changed = int((before.predictions != after.predictions).sum())
    if changed > 1 and same < SAME:
        raise UserError(f"in fp16 only {same:.2%} of {run}'s predictions stay: not published")
    return same


def of_file(
    problem: Problem, record: zoo.Record, data: Path, exact: Evaluation, weights: Path
) -> dict:
    """Return the scores in fp32 and in each precision that this machine's devices have.

    Raises:
        UserError: there is no score, since the data lacks a class.
    """
    if math.isnan(exact.score):
        raise UserError(
            f"{record.name} has no {problem.metric} on {data} (nan): a class is neither there nor "
            "predicted; give a validation set that has all classes with --data DIR"
        )
    return {
        "data": f"validation set of {described(problem, data, record.classes)}",
        "images": len(exact.names),
        "metric": problem.metric,
        "fp32": round(exact.score, 6),
        "fast": _fast(problem, record, data, exact, weights),
    }


def _fast(
    problem: Problem, record: zoo.Record, data: Path, exact: Evaluation, weights: Path
) -> dict[str, dict[str, float]]:
    """Return the scores in each fast precision of this machine; what fails there is a note."""
    assert problem.evaluate is not None
    fast = {}
    for where in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for precision in device.native_precisions(torch.device(where)):
            try:
                found = problem.evaluate(record, data, weights, precision, where)
            except (NotFinite, OutOfMemory) as error:
                few = isinstance(error, OutOfMemory)
                why = "not memory enough" if few else "its logits are NaN or infinite"
                line = f"note: {record.name} gets no score in {where}-{precision}: {why}"
                print(files.in_one_line(line), file=sys.stderr)
                continue
            fast[f"{where}-{precision}"] = {
                "score": round(found.score, 6),
                "agreement": round(_agreement(exact, found), 6),
            }
    return fast


def _agreement(one: Evaluation, other: Evaluation) -> float:
    return float((one.predictions == other.predictions).mean())


def added_to(record: zoo.Record, new: dict) -> zoo.Record:
    """Return a record with new scores, and with the fast precisions that other machines measured.

    That the images chose the epoch stays said, unless the old scores are of others.
    """
    old, there = record.scores, record.scores.get("fast")
    same = all(old.get(key) == new[key] for key in ("data", "images"))
    fast = {**there, **new["fast"]} if same and isinstance(there, dict) else new["fast"]
    others = any(key in old and old[key] != new[key] for key in ("data", "images"))
    marks = {"select": old["select"]} if "select" in old and not others else {}
    return dataclasses.replace(record, scores={**new, "fast": fast, **marks})


def trained_on(run: Run, data: Path) -> str:
    """Return what a run was trained on: by its note, its data, or `data` if that is it."""
    if run.provenance:
        return run.provenance
    if run.data and run.data.is_dir():
        return described(run.problem, run.data, run.recipe.classes)
    if run.is_on(data):
        return described(run.problem, data, run.recipe.classes)
    return "unknown data"


def described(problem: Problem, data: Path, classes: int) -> str:
    """Return in words where data is from: its note, "own data (N classes)" or "course data".

    Data without a note is the course's if it has as many classes as the problem's first recipe.
    """
    provenance = provenance_of(problem.name, data)
    if provenance is not None:
        return provenance
    if classes != next(iter(problem.recipes.values())).classes:
        return f"own data ({classes} classes)"
    return "course data"
