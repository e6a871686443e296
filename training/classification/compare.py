"""The command `compare`: trains what is missing of P2's settings, and compares all of it on val.

The run of a recipe and a seed is in OUT/RECIPE-sSEED (OUT/p2-c-s1): one that is finished is not
done again, one that was stopped goes on, and runs that were started by hand, on other machines for
example, need only lie there. Of what is finished predictions.csv is enough, or else best.pth.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from inference import UserError
from inference.spelling import listed
from training.classification.comparison import SETTINGS, letter_of, write_tables
from training.engine.pretrained import WORDS
from training.engine.problem import Problem
from training.engine.recipe import Recipe
from training.engine.run_folder import Run, expect_data, fingerprint

OPTIONS = {"supervised": "--backbone-sl", "self-supervised": "--backbone-ssl"}
TIDYING = 60  # seconds that an interrupted training gets to stop by itself before it is killed
# Words that cannot be every recipe's, and what to say for them
INSTEAD = {
    "seed": "--seeds",
    "pretrained": "--backbone-ssl FILE for C and E, --backbone-sl FILE for B and D",
}


def compare(
    problem: Problem,
    words: Sequence[str],
    seeds: Sequence[int] | None,
    backbones: Mapping[str, str | None],
    data: Path,
    out: Path,
    log: Callable[[str], None],
) -> str:
    """Train what is missing of P2's settings, and return the comparison as Markdown.

    Args:
        words: names of recipes (`p2-c-report`; none: the five), and `key=value`, which changes
            every one of them; seeds and backbones are no such changes.
        seeds: of every setting; None: of each those that are finished, else 0.
        backbones: files to start from, by "supervised" and "self-supervised"; without one its
            settings must all be finished.
        out: the folder of the runs and of the tables.
        log: takes a line before each run that is trained.

    Raises:
        UserError: a run is another than is asked for, or damaged; a backbone is missing, or val
            is another than the runs were scored on. All but the last before anything is trained.
        KeyboardInterrupt: a training was interrupted.
    """
    changes = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word] or [f"p2-{letter}" for letter in SETTINGS]
    plan = _plan(problem, names, seeds, changes, backbones, out)
    asked = [(_to_train(problem, *job, data), job[1]) for job in plan]
    missing = [(recipe, folder) for recipe, folder in asked if recipe is not None]
    for done, (recipe, folder) in enumerate(missing, 1):
        log(f"training {folder} ({done} of {len(missing)})")
        given = [] if recipe.pretrained == "none" else [f"pretrained={recipe.pretrained}"]
        start([recipe.name, *changes, *given, f"seed={recipe.seed}"], data, folder)
    runs = [Run.load(folder, {problem.name: problem}) for _, folder in plan]
    return write_tables(runs, data, out)


def _plan(
    problem: Problem,
    names: Sequence[str],
    seeds: Sequence[int] | None,
    changes: Sequence[str],
    backbones: Mapping[str, str | None],
    out: Path,
) -> list[tuple[Recipe, Path]]:
    """Return the recipe of every run and its folder, setting by setting."""
    if seeds is not None and not seeds:
        raise UserError("--seeds needs a number: --seeds 0 1 2")
    for key in (word.partition("=")[0].lower() for word in changes):
        if key in INSTEAD:
            raise UserError(
                f"compare takes no {key}=, which is not every run's: use {INSTEAD[key]}"
            )
    settings = [name for name in problem.recipes if letter_of(name) in SETTINGS]
    plan = []
    for name in dict.fromkeys(names):
        if name not in settings:
            there = listed(name, [*settings, "key=value"])
            raise UserError(f"no setting '{name}'; there are: {there}")
        file = backbones.get(SETTINGS[letter_of(name)].pretraining)
        given = [f"pretrained={file}"] if file else []
        for seed in dict.fromkeys(seeds or _finished_seeds(out, name) or [0]):
            recipe = problem.recipes[name].with_changes([*changes, *given, f"seed={seed}"])
            plan.append((recipe, out / f"{name}-s{seed}"))
    return plan


def _finished_seeds(out: Path, name: str) -> list[int]:
    """Return the seeds of which a setting's run has ended, in order."""
    found = (
        re.fullmatch(r"(.+)-s(\d{1,9})", file.parent.name) for file in out.glob("*/result.json")
    )
    return sorted({int(match[2]) for match in found if match and match[1] == name})


def _to_train(problem: Problem, wanted: Recipe, folder: Path, data: Path) -> Recipe | None:
    """Return the recipe to train, made sure that it can be; None where the run is finished.

    A run that goes on keeps its own path of the backbone's file.

    Raises:
        UserError: the run there is damaged, another one, or on other data; it needs a backbone.
    """
    if any((folder / name).is_file() for name in ("result.json", "last.ckpt")):
        run = Run.load(folder, {problem.name: problem})
        if _are_one_file(wanted.pretrained, run.recipe.pretrained):
            wanted = replace(wanted, pretrained=run.recipe.pretrained)
        _expect_same(wanted, run)
        expect_data(folder, fingerprint(problem, wanted, data))
        if run.finished:
            return None
    if not wanted.pretrained:
        option = OPTIONS[SETTINGS[letter_of(wanted.name)].pretraining]
        raise UserError(
            f"{wanted.name} needs a backbone, and {folder.parent} has no finished {folder.name}: "
            f"add {option} FILE"
        )
    if wanted.pretrained not in ("none", *WORDS) and not os.path.isfile(wanted.pretrained):
        raise UserError(f"no file {wanted.pretrained}: give {wanted.name} another backbone")
    return wanted


def _are_one_file(*values: str) -> bool:
    """Return whether values of `pretrained` are paths of the same file."""
    if not all(values) or not {"none", *WORDS}.isdisjoint(values):
        return False
    try:
        return len({os.path.realpath(value) for value in values}) == 1
    except ValueError:  # no path at all: a zero byte
        return False


def _expect_same(wanted: Recipe, run: Run) -> None:
    """Raise UserError unless a run is of a recipe, but for what changes no result."""
    there = run.recipe
    if there.name != wanted.name:
        raise UserError(f"{run.folder} holds a run of {there.name}: choose another --out")
    equal = {name: getattr(there, name) for name in wanted.free if name != "seed"}
    if not wanted.pretrained:  # which file it was is not known where none is given
        equal["pretrained"] = there.pretrained
    wanted = replace(wanted, **equal)
    odd = [word.partition("=")[0] for word in wanted.changes_from(there)]
    if odd or there.seed != wanted.seed:
        called = ["backbone" if name == "pretrained" else name for name in odd] or ["seed"]
        words = _words_for(there, wanted)
        raise UserError(
            f"{run.folder} holds a run with another {', '.join(called)} than is asked for: "
            "choose another --out" + (f", or say {shlex.join(words)}" if words else "")
        )


def _words_for(there: Recipe, wanted: Recipe) -> list[str]:
    """Return what to add to the command so that it asks for `there`; [] where nothing does."""
    words = there.changes_from(wanted)
    try:
        if there.changes_from(wanted.with_changes(words)):
            return []
    except UserError:  # words that need each other
        return []
    if there.pretrained == wanted.pretrained:
        return words
    option = OPTIONS.get(SETTINGS[letter_of(wanted.name)].pretraining)
    if option is None or there.pretrained in ("", "none"):
        return []
    return [*(w for w in words if not w.startswith("pretrained=")), option, there.pretrained]


def start(words: Sequence[str], data: Path, folder: Path) -> None:
    """Train a run to its end, in a process of its own.

    Raises:
        UserError: it did not reach its end, and has said why.
        KeyboardInterrupt: it was interrupted.
    """
    command = [sys.executable, "-m", "training", "fit", *words]
    training = subprocess.Popen([*command, "--data", str(data), "--out", str(folder)])
    try:
        status = training.wait()
    except KeyboardInterrupt:  # Ctrl-C reached it too: it leaves its folder in order
        _wait_or_kill(training)
        raise
    if status == 130:
        raise KeyboardInterrupt
    if status:
        raise UserError(f"{words[0]} did not reach its end (above): mend it, and it goes on")


def _wait_or_kill(process: subprocess.Popen) -> None:
    """Wait until a process that was interrupted has ended; one that goes on is killed."""
    try:
        process.wait(TIDYING)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()
