"""Scores, and what is said where there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence

from inference.grade.problems import P1, P2, P3
from training.byol.recipes import RECIPES as BYOL
from training.classification.recipes import RECIPES as CLASSIFIERS
from training.engine.recipe import Recipe
from training.report import runs
from training.report.markup import Html, code, join, missing, paragraph, table
from training.report.runs import Entry, Found, Group
from training.segmentation.recipes import RECIPES as SEGMENTERS

RECIPES: dict[str, Recipe] = {**CLASSIFIERS, **BYOL, **SEGMENTERS}
MODULES = {"p3": "training.segmentation", "byol": "training.byol"}
PROBLEMS = {"p1": P1, "p2": P2, "p3": P3}
HEAD = ("recipe", "on val", "images", "trained on", "minutes a run", "hardware")


def command(name: str, *words: str) -> str:
    """Gives the command that trains a recipe on the course's data."""
    task = RECIPES[name].task
    module = MODULES.get(task, "training.classification")
    data = f"--data hw1_data/{runs.FOLDERS[task]}"
    needs = ["pretrained=BACKBONE.pth"] if not RECIPES[name].pretrained else []
    return " ".join(["python -m", module, name, data, *needs, *words])


def overview(found: Found, recipes: Sequence[tuple[str, str]], name: str) -> Html:
    """Gives a table of scores, a row for each kind of run, and the commands for what has none.

    Args:
        recipes: what a recipe is called here (`A`), and its name.
        name: of the table.
    """
    rows = []
    for called, recipe in recipes:
        for group in found.groups.get(recipe, []):
            rows.append(row(called, group))
    parts = [table(("model", *HEAD), rows, name), *_notes(found, recipes)] if rows else []
    # The original report's own recipes are a baseline, which nobody has to run.
    asked = [r for _, r in recipes if r not in found.groups and not r.endswith("-report")]
    return join([*parts, *(no_run(found, recipe) for recipe in asked)])


def row(called: str, group: Group) -> list[object]:
    """Gives a group's cells: score, images, what it learnt from, minutes, hardware."""
    minutes = [e.result["minutes"] for e in group.entries if e.result.get("minutes")]
    hardware = sorted({entry.hardware for entry in group.entries})
    images = group.entries[0].result.get("scores", {}).get("images")
    return [
        called,
        join([code(group.recipe.name), _changed(group)]),
        said(group),
        f"{images:,}" if images else "–",
        runs.data_in_words(group.entries[0]),
        " ".join(_range(minutes)),
        join(hardware, "; "),
    ]


def _changed(group: Group) -> Html:
    """Names the fields in which runs differ from the recipe as it is now."""
    shipped = RECIPES.get(group.recipe.name)
    said = _changes(group.recipe, shipped) if shipped else []
    said = [change for change in said if change.split("=")[0] not in runs.FREE]
    return Html(f"<small>{join(said, ', ')}</small>") if said else Html("")


def _changes(recipe: Recipe, shipped: Recipe) -> list[str]:
    """Lists what a run changed in its recipe, as the command line takes it."""
    keys = [key for key in vars(recipe) if key not in ("name", "task", "seed")]
    return [
        f"{key}={_typed(getattr(recipe, key))}"
        for key in keys
        if getattr(recipe, key) != getattr(shipped, key)
    ]


def _typed(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _range(values: Sequence[float]) -> list[str]:
    if not values:
        return ["–"]
    ends = dict.fromkeys(f"{value:.1f}" for value in (min(values), max(values)))
    return ["–".join(ends)]


def _notes(found: Found, recipes: Sequence[tuple[str, str]]) -> list[Html]:
    """Says what a reader of the table has to know."""
    groups = [group for _, name in recipes for group in found.groups.get(name, [])]
    said = [
        "Mean ± standard deviation over seeds, as graded: the exported weights, answered with "
        "the graded code."
    ]
    flattered = {g.recipe.name for g in groups if g.recipe.select == "val"}
    if flattered:
        named = join(map(code, sorted(flattered)), ", ")
        said.append(join(["The validation set chose the epoch of ", named, ": it flatters them."]))
    problem = PROBLEMS.get(groups[0].recipe.task)
    if problem:
        said.append(f"The course’s baselines, on its own data: {baselines(problem)}.")
    return [paragraph(join(said, " "), class_="soft")]


def said(group: Group | None) -> str:
    """Writes a group's score, or why there is none."""
    if not group:
        return "no run yet"
    return runs.spread(group.scores) if group.scores else "no number: a class is absent"


def no_run(found: Found, name: str) -> Html:
    """Says that a recipe has no finished run, and how to make one."""
    going = found.unfinished.get(name)
    if going:
        return join(unfinished(entry) for entry in going)
    return missing(join(["No run of ", code(name), " yet."]), command(name))


def unfinished(entry: Entry) -> Html:
    """Says how far a run has come."""
    said = [
        code(entry.name),
        f" has not ended: {entry.epochs_done} of "
        f"{entry.recipe.epochs} epochs are done. Its command goes on where it was stopped.",
    ]
    return missing(join(said))


def baselines(problem: type) -> str:
    """Writes the course's baselines of a problem, which are those of its own data."""
    simple, strong = (
        f"{score:.2f}".removeprefix("0") for score in (problem.simple, problem.strong)
    )
    return f"simple {simple}, strong {strong}"
