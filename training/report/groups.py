"""The runs that a folder holds, and those of one recipe on the same data together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference import UserError
from training.engine.problem import Problem
from training.engine.recipe import FREE, Recipe, identity
from training.engine.run_folder import Run, find_runs
from training.report.comparison import Comparison, read_comparison
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
    def problem(self) -> Problem:
        """What all its runs are of."""
        return self.runs[0].problem

    @property
    def shown(self) -> Run:
        """The run that figures are of: that of the lowest seed whose weights are there."""
        return next((run for run in self.runs if _has_figures(run)), self.runs[0])

    @property
    def score(self) -> str:
        """The mean over the seeds and its standard deviation: `.852 ± .006 (n = 2)`."""
        scores = [run.score for run in self.runs if run.score is not None]
        if not scores:
            return "no number: a class is absent" if self.problem.evaluate else "not measured"
        mean = point(statistics.fmean(scores))
        if len(scores) == 1:
            return f"{mean} (one run)".replace(" ", NO_BREAK)
        spread = f"{mean} ± {point(statistics.stdev(scores))} (n = {len(scores)})"
        return spread.replace(" ", NO_BREAK)

    @property
    def minutes(self) -> str:
        """What a training took: `1.5`, or from the shortest to the longest, `1.5–2.0`."""
        known = [run.minutes for run in self.runs if run.minutes]
        ends = dict.fromkeys(f"{value:.1f}" for value in (min(known), max(known))) if known else "–"
        return "–".join(ends)

    @property
    def hardware(self) -> str:
        """What its runs ran on."""
        return "; ".join(sorted({run.hardware for run in self.runs}))

    @property
    def data(self) -> str:
        """What its runs learnt from: how many images and classes, and where they came from."""
        run, recipe = self.runs[0], self.recipe
        parts = ["unknown" if run.trained_on is None else f"{run.trained_on:,} images"]
        if self.problem.evaluate and recipe.input_size:
            parts.append(f"{recipe.classes} classes")
        if run.provenance:
            generated = run.provenance == "sample data"
            parts.append("generated sample data" if generated else run.provenance)
        return ", ".join(parts)

    @property
    def changes(self) -> list[str]:
        """The fields in which its runs differ from the recipe as it is now, `lr=0.05`."""
        shipped = self.problem.recipes.get(self.recipe.name)
        changes = self.recipe.changes_from(shipped) if shipped else []
        return [change for change in changes if change.partition("=")[0] not in FREE]


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        recipes: all that there are, by name.
        groups: by recipe; the first of several is meant where one is asked for.
        unfinished: runs that have not ended, by recipe.
        comparisons: tables of P2's settings.
        damaged: what could not be read, a line each.
    """

    root: Path
    recipes: Mapping[str, Recipe]
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
        return group.recipe if group else self.recipes[names[0]]

    def runs(self, name: str) -> list[Run]:
        """Return a recipe's finished runs that count, or else those that have not ended."""
        groups = self.groups.get(name)
        return groups[0].runs if groups else self.unfinished.get(name, [])

    @property
    def finished(self) -> list[Run]:
        """Every finished run, recipe by recipe."""
        groups = [group for several in self.groups.values() for group in several]
        return [run for group in groups for run in (*group.runs, *group.copies)]

    def name(self, run: Run) -> str:
        """Return a run's folder, seen from that of all runs: `p1-a-s0`, `p2-compare/p2-c-s0`."""
        return run.folder.relative_to(self.root).as_posix()


def find(root: Path, problems: Mapping[str, Problem]) -> Found:
    """Return the runs in a folder and its subfolders; what is damaged is left out and named."""
    runs, damaged = find_runs(root, problems)
    alike: dict[tuple[Any, ...], list[Run]] = {}
    unfinished: dict[str, list[Run]] = {}
    for run in runs:
        if run.finished:
            alike.setdefault(_kind(run), []).append(run)
        elif run.epochs_done:
            unfinished.setdefault(run.recipe.name, []).append(run)
    groups: dict[str, list[Group]] = {}
    for several in alike.values():
        groups.setdefault(several[0].recipe.name, []).append(_group(several))
    for found in groups.values():  # the newest first, and before it those with more seeds
        found.sort(key=lambda group: max(_ended(run) for run in group.runs), reverse=True)
        found.sort(key=lambda group: -len(group.runs))
    comparisons = []
    for file in sorted(root.glob("*/table.csv")):
        try:
            comparisons.append(read_comparison(file.parent))
        except UserError as error:
            damaged.append(str(error))
    recipes = {name: recipe for p in problems.values() for name, recipe in p.recipes.items()}
    return Found(root, recipes, groups, unfinished, comparisons, damaged)


def _kind(run: Run) -> tuple[Any, ...]:
    """Return what runs share whose scores may be averaged."""
    recipe = identity(run.recipe)
    return (recipe, run.trained_on, run.provenance, run.images, run.fingerprint)


def _group(runs: list[Run]) -> Group:
    of_seed: dict[int, Run] = {}
    for run in sorted(runs, key=lambda run: str(run.folder)):
        of_seed.setdefault(run.recipe.seed, run)
    firsts = [of_seed[seed] for seed in sorted(of_seed)]
    return Group(firsts, [run for run in runs if run not in firsts])


def _ended(run: Run) -> str:
    return str(run.result.get("finished", ""))


def _has_figures(run: Run) -> bool:
    return run.best.is_file() or (run.folder / "figures" / "figures.json").is_file()
