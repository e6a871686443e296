"""The page: what the templates are filled with, and the command that fills them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from inference import UserError
from inference.files import check_folder, write_whole
from training.engine.problem import Problem
from training.engine.recipe import Recipe
from training.engine.run_folder import Run
from training.problems import PROBLEMS
from training.publish import zoo_page
from training.report import drawing, groups, networks
from training.report import notes as author_notes
from training.report.figures import Gallery, Pictures
from training.report.groups import Found, Group
from training.report.html import HERE, render
from training.report.sections import BY_NUMBER, SECTIONS, Model, Section

TITLE = "DLCV homework 1: report"
VERSIONS = ("python", "torch", "torchvision", "lightning", "numpy")


def make_report(
    runs: Path | None,
    out: Path,
    data: Path,
    author: str,
    student: str,
    notes: Path | None,
    command: str,
    log: Callable[[str], None],
    problems: Mapping[str, Problem] = PROBLEMS,
) -> Path:
    """Make the page of the runs in a folder, and its figures; return the page's file.

    Args:
        runs: the folder; None: `runs`, which need not be there.
        out: folder of index.html and figures/, made if it is missing.
        data: hw1_data, for runs whose own data is no longer where it was.
        author: for the cover, as is `student`.
        notes: the author's words, Markdown: see `training.report.notes`.
        command: what makes the page again.
        log: takes a line for each damaged run, which is left out, and for each that is drawn.

    Raises:
        UserError: no such folder, notes that cannot be read, a file that cannot be written.
    """
    root = runs or Path("runs")
    if runs and not root.is_dir():
        raise UserError(f"no folder {root}: give the folder that holds the runs, like runs")
    if any((root / name).is_file() for name in ("recipe.json", "result.json")):
        raise UserError(f"{root} is a run: give the folder that holds it, {root.parent}")
    words = author_notes.read(notes) if notes else {}
    check_folder(out)
    found = groups.find(root, problems)
    for line in found.damaged:
        log(f"note: left out {line}")
    report = Report(found, Gallery(out, data, found.name, log), words, problems)
    page = render(
        "page.html.j2",
        report=report,
        sections=SECTIONS,
        others=report.others(),
        title=TITLE,
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
        author=author,
        student=student,
        command=command,
        zoo_head=zoo_page.HEAD,
        zoo=zoo_page.rows(),
    )
    write_whole(out / "index.html", page.encode())
    return out / "index.html"


class Column(NamedTuple):
    """A recipe in a table of recipes, and whether it is as it ran."""

    called: str
    recipe: Recipe
    state: str


class Report:
    """What the templates ask: runs, scores, networks, pictures."""

    questions = BY_NUMBER
    network = staticmethod(networks.network_of)
    gflop = staticmethod(networks.gflop)

    def __init__(
        self,
        found: Found,
        gallery: Gallery,
        notes: dict[str, Markup],
        problems: Mapping[str, Problem],
    ) -> None:
        self.found, self.gallery, self.notes = found, gallery, notes
        self.problem_of = {name: p for p in problems.values() for name in p.recipes}

    # ---- scores

    def problem(self, recipe: str) -> Problem:
        """Return the problem that a recipe, by its name, is of."""
        return self.problem_of[recipe]

    def baselines(self, recipe: str) -> str:
        """Return the course's baselines, on its own data, of a recipe's problem."""
        found = self.problem_of[recipe].baselines
        points = [f"{score:.2f}".removeprefix("0") for score in found or ()]
        return f"simple {points[0]}, strong {points[1]}" if points else "none"

    def score(self, names: Sequence[str]) -> str:
        """Return the score of the first of these recipes that has runs, or that there is none."""
        group = self.found.first(names)
        return group.score if group else "no run yet"

    def groups(self, models: Iterable[Model]) -> list[tuple[str, Group]]:
        """Return every group of the models' own recipes, with what the models are called."""
        return [(m.called, group) for m in models for group in self.found.groups.get(m.recipe, [])]

    def flattered(self, found: Iterable[tuple[str, Group]]) -> list[str]:
        """Return the recipes among these whose epoch the validation set chose."""
        recipes = [group.recipe for _, group in found]
        return sorted({r.name for r in recipes if r.select_epoch_by.word == "val"})

    def others(self) -> list[Group]:
        """Return the groups of recipes that no section shows."""
        shown = {name for section in SECTIONS for name in section.names}
        names = [name for name in self.found.groups if name not in shown]
        return [group for name in names for group in self.found.groups[name]]

    def command(self, name: str) -> str:
        """Return the command that trains a recipe on the course's data."""
        recipe, folder = self.found.recipes[name], self.problem_of[name].folder
        words = ["python -m training fit", name, f"--data hw1_data/{folder}"]
        return " ".join(words if recipe.pretrained else [*words, "pretrained=BACKBONE.pth"])

    # ---- networks and recipes

    def drawings(self, recipe: Recipe) -> list[drawing.Drawing]:
        """Return the drawings of a recipe's network."""
        network = networks.network_of(recipe)
        return drawing.draw(network, f"{recipe.classes} classes") if network else []

    def differences(self, one: Model, other: Model) -> list[list[str]] | None:
        """Return the rows of a table that compares the networks of two models."""
        return networks.differences([self.found.recipe(model.names) for model in (one, other)])

    def columns(self, models: Iterable[Model]) -> list[Column]:
        """Return each model's own recipe as it ran or runs, or as it is where it has no run."""
        columns = []
        for model in models:
            runs = self.found.runs(model.recipe)
            seeds = sorted({run.recipe.seed for run in runs})
            state = "as run" if model.recipe in self.found.groups else "as it runs"
            state += f", seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            recipe = runs[0].recipe if runs else self.found.recipes[model.recipe]
            columns.append(Column(model.called, recipe, state if runs else "not run yet"))
        return columns

    def details(self, columns: Iterable[Column]) -> list[list[Any]]:
        """Return the rows of a table of recipes in words: a label, and a cell for each."""
        words = [column.recipe.describe() for column in columns]
        labels = dict.fromkeys(label for said in words for label in said)
        return [[label, *(said.get(label, "–") for said in words)] for label in labels]

    # ---- pictures

    def pictures(self, group: Group) -> Pictures:
        """Return the pictures of the run that stands for a group."""
        return self.gallery.of(group.shown)

    def numbers(self, model: Model) -> dict[str, Any]:
        """Return the numbers of a model's pictures; none where there is no picture."""
        group = self.found.first(model.names)
        return self.pictures(group).numbers if group else {}

    def curves(self, models: Iterable[Model]) -> list[tuple[str, Run, str]]:
        """Return the learning curve of every model's runs that go on, or of one that ended.

        Returns:
            The run's name, the run, the picture's file.
        """
        found = []
        for model in models:
            group = self.found.first((model.recipe,))
            runs = [group.shown] if group else self.found.unfinished.get(model.recipe, [])
            for run in runs:
                files = self.gallery.of(run).files
                file = files.get("learning_curve") or files.get("curve")
                found += [(self.found.name(run), run, file)] if file else []
        return found

    def first_setting(self, section: Section, letters: str) -> Model | None:
        """Return the first of a section's settings, in the order of `letters`, that has a run."""
        ran = [s for s in section.settings if s.recipe in self.found.groups and s.called in letters]
        best = min(ran, key=lambda setting: letters.index(setting.called), default=None)
        return Model(best.called, best.recipe) if best else None

    # ---- what is behind them

    @property
    def last_ended(self) -> str:
        """The day on which the last run ended."""
        return max(str(run.result.get("finished", ""))[:10] for run in self.found.finished)

    @property
    def software(self) -> str:
        """The versions that ran; several where runs differ."""
        results = [run.result for run in self.found.finished]
        used = {", ".join(f"{name} {r[name]}" for name in VERSIONS if name in r) for r in results}
        return "; or ".join(sorted(used - {""})) or "unknown"

    @property
    def commands(self) -> list[str]:
        """Every run's command as it was typed."""
        typed = (run.result.get("command") for run in self.found.finished)
        return list(dict.fromkeys(command for command in typed if command))
