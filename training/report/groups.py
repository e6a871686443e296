"""The runs that a folder holds, and those of one recipe on the same data together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference import UserError
from training.classification.comparison import Comparison, read_comparison
from training.engine.problem import Problem
from training.engine.recipe import Recipe, identity
from training.engine.run_folder import Run, find_runs
from training.report.html import NO_BREAK, point


@dataclass(frozen=True)
class Group:
    """Finished runs of one recipe on one set of images, which differ in their seeds.

    Attributes:
        runs: one of each seed.
        copies: further runs of these seeds, which a mean must not count.
    """

    runs: list[Run]
    copies: list[Run]

    @property
    def recipe(self) -> Recipe:
        """The recipe as it ran, with the lowest seed."""
        return self.runs[0].recipe

    @property
    def shown(self) -> Run:
        """The run that figures are of: that of the lowest seed whose weights are there."""
        names = "best.pth", "figures/figures.json"
        drawn = (run for run in self.runs if any((run.folder / name).is_file() for name in names))
        return next(drawn, self.runs[0])

    @property
    def rank(self) -> tuple[int, int, int, str]:
        """The sort key among a recipe's groups: how much was trained, then how new; no score."""
        newest = max(run.ended for run in self.runs)
        return self.runs[0].trained_on or 0, self.recipe.epochs, len(self.runs), newest

    @property
    def score(self) -> str:
        """The mean over the seeds and its standard deviation: `.852 ± .006 (n = 2)`."""
        scores = [run.score for run in self.runs if run.score is not None]
        if not scores:
            graded = self.runs[0].problem.evaluate
            return "no number: a class is absent" if graded else "not measured"
        spread = "(one run)"
        if len(scores) > 1:
            spread = f"± {point(statistics.stdev(scores))} (n = {len(scores)})"
        return f"{point(statistics.fmean(scores))} {spread}".replace(" ", NO_BREAK)

    @property
    def minutes(self) -> str:
        """What a training took: `1.5`, or from the shortest to the longest, `1.5–2.0`."""
        known = sorted(run.minutes for run in self.runs if run.minutes)
        return "–".join(dict.fromkeys(f"{value:.1f}" for value in known[:1] + known[-1:])) or "–"

    @property
    def data(self) -> str:
        """What its runs learnt from: how many images and classes, and where they came from."""
        run = self.runs[0]
        parts = ["unknown" if run.trained_on is None else f"{run.trained_on:,} images"]
        if run.problem.evaluate and run.recipe.input_size:
            parts.append(f"{run.recipe.classes} classes")
        if run.provenance:
            parts.append("generated " * (run.provenance == "sample data") + run.provenance)
        return ", ".join(parts)

    @property
    def changes(self) -> list[str]:
        """The fields in which its runs differ from the recipe as it is now, `lr=0.05`."""
        shipped = self.runs[0].problem.recipes.get(self.recipe.name)
        changes = self.recipe.changes_from(shipped) if shipped else []
        return [change for change in changes if change.partition("=")[0] not in self.recipe.free]


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        problems: by the names of their recipes.
        groups: by recipe; the first of several, by `Group.rank`, stands for it.
        unfinished: runs that have not ended, by recipe.
        comparisons: tables of P2's settings.
        damaged: what could not be read, a line each.
    """

    root: Path
    problems: Mapping[str, Problem]
    groups: dict[str, list[Group]]
    unfinished: dict[str, list[Run]]
    comparisons: list[Comparison]
    damaged: list[str]

    def first(self, names: Iterable[str]) -> Group | None:
        """Return the group of the first of these recipes that has one."""
        return next((self.groups[name][0] for name in names if name in self.groups), None)

    def recipe(self, names: Sequence[str]) -> Recipe:
        """Return the recipe of the first of these that has runs, as it ran, or else the first."""
        group = self.first(names)
        return group.recipe if group else self.problems[names[0]].recipes[names[0]]

    def runs(self, name: str) -> list[Run]:
        """Return a recipe's finished runs that count, or else those that have not ended."""
        groups = self.groups.get(name)
        return groups[0].runs if groups else self.unfinished.get(name, [])

    @property
    def finished(self) -> list[Run]:
        """Every finished run, recipe by recipe."""
        return [r for gs in self.groups.values() for g in gs for r in (*g.runs, *g.copies)]

    def name(self, run: Run) -> str:
        """Return a run's folder, seen from that of all runs: `p1-a-s0`, `p2-compare/p2-c-s0`."""
        return run.folder.relative_to(self.root).as_posix()


def find(root: Path, problems: Mapping[str, Problem]) -> Found:
    """Return the runs in a folder and its subfolders; what is damaged is left out and named."""
    runs, damaged = find_runs(root, problems)
    alike: dict[tuple[Any, ...], list[Run]] = {}
    unfinished: dict[str, list[Run]] = {}
    for run in runs:
        if run.finished:  # runs that share all this may be averaged
            recipe, *data = identity(run.recipe), run.trained_on, run.provenance, run.images
            alike.setdefault((recipe, *data, run.fingerprint), []).append(run)
        elif run.epochs_done:
            unfinished.setdefault(run.recipe.name, []).append(run)
    groups: dict[str, list[Group]] = {}
    for several in alike.values():
        groups.setdefault(several[0].recipe.name, []).append(_group(several))
    for found in groups.values():
        found.sort(key=lambda group: group.rank, reverse=True)
    comparisons = []
    for file in sorted(root.glob("*/table.csv")):
        try:
            comparisons.append(read_comparison(file.parent))
        except UserError as error:
            damaged.append(str(error))
    of_recipe = {name: problem for problem in problems.values() for name in problem.recipes}
    return Found(root, of_recipe, groups, unfinished, comparisons, damaged)


def _group(runs: list[Run]) -> Group:
    of_seed = {run.recipe.seed: run for run in reversed(runs)}  # of copies the first folder
    firsts = [of_seed[seed] for seed in sorted(of_seed)]
    return Group(firsts, [run for run in runs if run not in firsts])
