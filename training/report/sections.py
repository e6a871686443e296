"""What the page answers, in the order of the original report, and the recipes that answer."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    """A question by its number (`P1.1`), and the place for the author's words on it.

    Attributes:
        place: what the author might say; empty where numbers say it all.
    """

    number: str
    title: str
    place: str = ""


class Model(NamedTuple):
    """What the page calls a model, and the recipes that make it.

    Attributes:
        recipe: ours.
        original: the original report's, the baseline; none where there was no such model.
        optional: whether nobody misses it where it has no run.
    """

    called: str
    recipe: str
    original: str = ""
    optional: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The recipes whose runs may stand for the model, the best first."""
        return (self.recipe, self.original) if self.original else (self.recipe,)


class Setting(NamedTuple):
    """A way to fine-tune: what its backbone learnt from, and what is trained."""

    called: str
    recipe: str
    pretraining: str
    trained: str


class Section(NamedTuple):
    """A problem's part of the page.

    Attributes:
        template: in `templates/`; it answers each question in a block of its number.
        models: in the order in which tables list them.
        summary: the models whose scores stand on the cover, and what it calls them.
        settings: ways to fine-tune.
        pretraining: what the settings start from.
    """

    number: str
    title: str
    template: str
    questions: tuple[Question, ...]
    models: tuple[Model, ...]
    summary: tuple[tuple[str, Model], ...]
    settings: tuple[Setting, ...] = ()
    pretraining: tuple[Model, ...] = ()

    @property
    def names(self) -> set[str]:
        """Every recipe that the section says something of."""
        models = [*self.models, *self.pretraining, *(model for _, model in self.summary)]
        return {n for m in models for n in m.names} | {s.recipe for s in self.settings}

    @property
    def columns(self) -> list[Model]:
        """Each model with its own recipe, then each with the original's."""
        required = [model for model in self.models if not model.optional]
        optional = [model for model in self.models if model.optional]
        originals = [(f"{m.called}, original", m.original) for m in self.models if m.original]
        return [*required, *(Model(*pair, optional=True) for pair in originals), *optional]


P1_A, P1_B = Model("A", "p1-a", "p1-a-report"), Model("B", "p1-b", "p1-b-report")
P3_A, P3_B = Model("A", "p3-a", "p3-a-report"), Model("B", "p3-b", "p3-b-report")
P3_LITE = Model("for a CPU", "p3-lite", optional=True)

P1 = Section(
    "P1",
    "Image classification",
    "p1.html.j2",
    questions=(
        Question("P1.1", "The network of model A"),
        Question("P1.2", "The accuracy of both models on the validation set"),
        Question("P1.3", "How model A was trained", "why it was trained this way"),
        Question("P1.4", "Model B, and how it differs from A", "what makes the difference"),
        Question("P1.5", "PCA of model A’s second-last layer", "what the picture shows"),
        Question(
            "P1.6", "t-SNE of the same layer at three epochs", "what changes from first to last"
        ),
        Question("P1.7", "Beyond: learning curves, confusions, mistakes"),
    ),
    models=(P1_A, P1_B),
    summary=(("P1, model A", P1_A), ("P1, model B", P1_B)),
)
P2 = Section(
    "P2",
    "Self-supervised pre-training",
    "p2.html.j2",
    questions=(
        Question("P2.1", "How the backbone was pre-trained", "the method, and why"),
        Question("P2.2", "Five ways to fine-tune, compared", "an analysis of the five settings"),
        Question("P2.3", "Beyond: how the pre-training went, and what is mistaken"),
    ),
    models=(Model("A", "p2-a"), Model("B, C", "p2-c"), Model("D, E", "p2-e")),
    summary=(("P2, setting C", Model("C", "p2-c", "p2-c-report")),),
    settings=(
        Setting("A", "p2-a", "none", "all"),
        Setting("B", "p2-b", "supervised", "all"),
        Setting("C", "p2-c", "self-supervised", "all"),
        Setting("D", "p2-d", "supervised", "classifier alone"),
        Setting("E", "p2-e", "self-supervised", "classifier alone"),
    ),
    pretraining=(
        Model("BYOL", "p2-byol"),
        Model("original", "p2-byol-report", optional=True),
        Model("supervised backbone", "p2-supervised", optional=True),
    ),
)
P3 = Section(
    "P3",
    "Land-cover segmentation",
    "p3.html.j2",
    questions=(
        Question("P3.1", "The network of model A, VGG16-FCN32s"),
        Question("P3.2", "The network of model B, and the difference", "what the difference does"),
        Question("P3.3", "The mIoU of both models on the validation set"),
        Question("P3.4", "Predicted masks in the course of training", "what the masks show"),
        Question("P3.5", "Beyond: each class, confusions, the worst tiles"),
    ),
    models=(P3_A, P3_B, P3_LITE),
    summary=(("P3, model A", P3_A), ("P3, model B", P3_B), ("P3, for a CPU", P3_LITE)),
)
SECTIONS = (P1, P2, P3)
BY_NUMBER = {question.number: question for section in SECTIONS for question in section.questions}
