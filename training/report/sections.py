"""What the page answers, in the order of the original report, and the recipes that answer."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from training.classification.comparison import SETTINGS, Setting
from training.report.html import HERE

NOTES = HERE / "templates" / "notes.md.j2"  # the questions, as authors are given them
QUESTION = re.compile(r"^# (P\d\.\d) (.+)\n\n<!-- .*?(?:[:;] say (.+)\.)? -->$", re.MULTILINE)


class Question(NamedTuple):
    """A question by its number (`P1.1`), and the place for the author's words on it.

    Attributes:
        place: what the author might say; empty where numbers say it all.
    """

    number: str
    title: str
    place: str


@functools.cache
def questions() -> dict[str, Question]:
    """Return the questions by their numbers, in the order of the page."""
    found = QUESTION.finditer(NOTES.read_text(encoding="utf-8"))
    return {match[1]: Question(match[1], match[2], match[3] or "") for match in found}


class Model(NamedTuple):
    """What the page calls a model, and the recipes that make it.

    Attributes:
        recipe: ours.
        original: the original report's, the baseline; none where there was no such model.
        small: for machines without a GPU; they stand in where the others have no run.
        optional: whether nobody misses it where it has no run.
    """

    called: str
    recipe: str
    original: str = ""
    small: Sequence[str] = ()
    optional: bool = False

    @property
    def names(self) -> list[str]:
        """The recipes whose runs may stand for the model, the best first."""
        return [name for name in (self.recipe, self.original, *self.small) if name]


class Section(NamedTuple):
    """A problem's part of the page.

    Attributes:
        template: in `templates/`; it answers each question in a block of its number.
        models: in the order in which tables list them.
        summary: the models whose scores stand on the cover, and what it calls them.
        settings: ways to fine-tune, by what comes after `p2-` in their recipes' names.
        pretraining: what the settings start from.
    """

    number: str
    title: str
    template: str
    models: Sequence[Model]
    summary: Sequence[tuple[str, Model]]
    settings: Mapping[str, Setting] = {}
    pretraining: Sequence[Model] = ()

    @property
    def questions(self) -> list[Question]:
        """Its questions in their order."""
        return [one for number, one in questions().items() if number.startswith(self.number)]

    @property
    def names(self) -> set[str]:
        """Every recipe that the section says something of."""
        models = [*self.models, *self.pretraining, *(model for _, model in self.summary)]
        return {n for m in models for n in m.names} | {f"p2-{letter}" for letter in self.settings}

    @property
    def columns(self) -> list[Model]:
        """Each model with its own recipe, then each with the original's, then the small ones."""
        others = [(f"{m.called}, original", m.original) for m in self.models if m.original]
        others += [("for a CPU", name) for model in self.models for name in model.small]
        return [*self.models, *(Model(*pair, optional=True) for pair in others)]


P1_A = Model("A", "p1-a", "p1-a-report", ["p1-a-lite"])
P1_B = Model("B", "p1-b", "p1-b-report", ["p1-b-lite"])
P3_A = Model("A", "p3-a", "p3-a-report")
P3_B = Model("B", "p3-b", "p3-b-report", ["p3-b-lite", "p3-lite"])
SECTIONS = (
    Section(
        "P1",
        "Image classification",
        "p1.html.j2",
        models=(P1_A, P1_B),
        summary=(("P1, model A", P1_A), ("P1, model B", P1_B)),
    ),
    Section(
        "P2",
        "Self-supervised pre-training",
        "p2.html.j2",
        models=(Model("A", "p2-a"), Model("B, C", "p2-c"), Model("D, E", "p2-e")),
        summary=(("P2, setting C", Model("C", "p2-c", "p2-c-report")),),
        settings=SETTINGS,
        pretraining=(
            Model("BYOL", "p2-byol"),
            Model("original", "p2-byol-report", optional=True),
            Model("supervised backbone", "p2-supervised", optional=True),
        ),
    ),
    Section(
        "P3",
        "Land-cover segmentation",
        "p3.html.j2",
        models=(P3_A, P3_B),
        summary=(("P3, model A", P3_A), ("P3, model B", P3_B)),
    ),
)
