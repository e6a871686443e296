"""The page: what the templates are filled with, and the command that fills them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from inference import UserError
from inference.files import check_outputs, write_whole
from training.engine.recipe import Recipe
from training.problems import PROBLEMS
from training.publish import zoo_page
from training.report import groups
from training.report import notes as author_notes
from training.report.drawing import draw
from training.report.figures import Gallery
from training.report.groups import Found, Group
from training.report.html import HERE, below_here, render
from training.report.sections import SECTIONS, Model, Section, questions
from training.report.trace import network_of

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
    others: Sequence[Path] = (),
) -> Path:
    """Make the page of the runs in a folder, and its figures; return the page's file.

    Args:
        runs: the folder; None: `runs`, which need not be there.
        out: folder of index.html and figures/, made if it is missing.
        data: hw1_data, for runs whose own data is no longer where it was.
        author: for the cover, as is `student`; the notes may say them too.
        notes: the author's words, Markdown: see `training.report.notes`.
        command: what makes the page again.
        log: takes a line for each damaged run, which is left out, and for each that is drawn.
        others: files that will be written later; whether they can be is found out before.

    Raises:
        UserError: no such folder, notes that cannot be read, a file that cannot be written.
    """
    root = _expect_runs(runs)
    said = author_notes.read(notes, log) if notes else author_notes.Notes({})
    check_outputs([out / "index.html", *others], [notes] if notes else [], [out])
    found = groups.find(root, PROBLEMS)
    for line in found.damaged:
        log(f"note: left out {line}")
    report = Report(found, Gallery(out, data, found.name, log), said.words)
    page = _page(report, author or said.author, student or said.student, command)
    write_whole(out / "index.html", page.encode())
    return out / "index.html"


def _expect_runs(runs: Path | None) -> Path:
    """Return the folder of the runs; raise UserError where it is none."""
    root = runs or Path("runs")
    if runs and not root.is_dir():
        raise UserError(f"no folder {root}: give the folder that holds the runs, like runs")
    if any((root / name).is_file() for name in ("recipe.json", "result.json")):
        raise UserError(f"{root} is a run: give the folder that holds it, {root.resolve().parent}")
    return root


def _page(report: Report, author: str, student: str, command: str) -> str:
    """Return the page; pictures that are missing are drawn."""
    return render(
        "page.html.j2",
        report=report,
        sections=report.sections,
        left_out=[section.number for section in SECTIONS if section not in report.sections],
        questions=questions(),
        network=network_of,
        draw=draw,
        title=TITLE,
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
        author=author,
        student=student,
        today=date.today().isoformat(),
        command=command,
        zoo_head=zoo_page.HEAD,
        zoo=zoo_page.rows(),
    )


class Report(NamedTuple):
    """What the templates ask: runs, scores, recipes, pictures, the author's words."""

    found: Found
    gallery: Gallery
    notes: dict[str, Markup]

    # ---- problems

    @property
    def sections(self) -> list[Section]:
        """The sections of which there are runs or the author's words; all where there are none."""
        return [section for section in SECTIONS if self._has(section)] or list(SECTIONS)

    def _has(self, section: Section) -> bool:
        ran = section.names & (self.found.groups.keys() | self.found.unfinished.keys())
        told = any(self.notes.get(question.number) for question in section.questions)
        return bool(ran or told or (section.settings and self.found.comparisons))

    def data(self, folder: str) -> Path:
        """Return where a problem's data is, as commands say it: where its newest run had it.

        Never a path of this machine alone: what is not below the working folder is in hw1_data.

        Args:
            folder: the problem's, of hw1_data.
        """
        unfinished = [run for runs in self.found.unfinished.values() for run in runs]
        runs = sorted(self.found.finished, key=lambda run: run.ended, reverse=True)
        places = [run.data for run in (*runs, *unfinished) if run.problem.folder == folder]
        known = (below_here(place) for place in places if place)
        given = self.gallery.data
        if given.is_absolute():
            given = below_here(given) or Path("hw1_data")
        return next((place for place in known if place), given / folder)

    # ---- scores

    def groups(self, models: Iterable[Model]) -> list[tuple[str, Group]]:
        """Return every group of the models' own recipes, with what the models are called."""
        return [(m.called, group) for m in models for group in self.found.groups.get(m.recipe, [])]

    def others(self) -> list[Group]:
        """Return the groups of recipes that no section shows."""
        shown = {name for section in SECTIONS for name in section.names}
        return [g for name, gs in self.found.groups.items() if name not in shown for g in gs]

    # ---- networks and recipes

    def columns(self, models: Iterable[Model]) -> list[tuple[str, Recipe, str]]:
        """Return what the page calls each model, its own recipe, and the state of its runs."""
        columns = []
        for model in models:
            runs = self.found.runs(model.recipe)
            seeds = sorted({run.recipe.seed for run in runs})
            state = "as run" if model.recipe in self.found.groups else "as it runs"
            state += f", seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            recipe = runs[0].recipe if runs else self.found.recipe([model.recipe])
            columns.append((model.called, recipe, state if runs else "not run yet"))
        return columns

    def details(self, recipes: Iterable[Recipe]) -> list[list[Any]]:
        """Return the rows of a table of recipes in words: a label, and a cell for each."""
        words = [recipe.describe() for recipe in recipes]
        labels = dict.fromkeys(label for said in words for label in said)
        return [[label, *(said.get(label, "–") for said in words)] for label in labels]

    # ---- pictures

    def numbers(self, model: Model) -> dict[str, Any]:
        """Return the numbers of a model's pictures; none where there is no picture."""
        group = self.found.first(model.names)
        return self.gallery.of(group.shown).numbers if group else {}

    def first_setting(self, letters: str) -> Model | None:
        """Return the first of P2's settings, in the order of `letters`, that has a run."""
        ran = [letter for letter in letters if f"p2-{letter}" in self.found.groups]
        return Model(ran[0].upper(), f"p2-{ran[0]}") if ran else None

    # ---- what is behind them

    @property
    def software(self) -> str:
        """The versions that ran; several where runs differ."""
        results = [run.result for run in self.found.finished]
        used = {", ".join(f"{name} {r[name]}" for name in VERSIONS if name in r) for r in results}
        return "; or ".join(sorted(used - {""})) or "unknown"
