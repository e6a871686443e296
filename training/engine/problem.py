"""What a problem plugs into the engine, which names none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from inference.zoo import Record
from training.data.batches import Batches
from training.engine.claim import Claim
from training.engine.recipe import Recipe

if TYPE_CHECKING:
    from training.engine.module import TrainingModule


class Files(NamedTuple):
    """Files that a run trains on, and their labels where they have any, int64 (N,)."""

    paths: list[Path]
    labels: np.ndarray | None = None


class Evaluation(NamedTuple):
    """What weights predict on the validation set, through the graded path, and what that is worth.

    predictions, truth: int64 (N,) labels, or uint8 (pixels,) classes of all masks in a row.
    score: in [0, 1]; of P3 nan where a class is neither in the masks nor predicted.
    names: of the N images' files, in that order.
    table: the content of predictions.csv, which a run keeps; None where that would be too large.
    """

    predictions: np.ndarray
    truth: np.ndarray
    score: float
    names: list[str]
    table: bytes | None = None


@dataclass(frozen=True)
class Problem:
    """One problem: its data, its recipes, and what trains and judges them."""

    name: str  # what recipe.json calls it
    folder: str  # of hw1_data
    metric: str  # of its scores, in words: "accuracy"
    recipes: Mapping[str, Recipe]
    module: type[TrainingModule]  # network, loss and metric
    # (recipe, data) -> training batches, and those that are measured or None
    batches: Callable[[Any, Path], tuple[Batches, Batches | None]]
    # (recipe, data) -> what the data's fingerprint is made of
    files: Callable[[Any, Path], list[Files]]
    # (record, data, weights, precision, device) -> predictions on the validation set and their
    # score; None for pre-training, whose weights no graded script uses
    evaluate: Callable[[Record, Path, Path, str, str], Evaluation] | None = None
    # (run, data, out, names of images to show) -> what figures.json holds; without data the
    # learning curve alone is drawn. None: nothing is
    figures: Callable[[Any, Path | None, Path, Sequence[str]], dict] | None = None
    shows_chosen: bool = False  # whether its figures show the images that are named
    # (data) -> the names of the classes that those of the files tell; none if they do not
    words: Callable[[Path], list[str]] = lambda data: []
    baselines: tuple[float, float] | None = None  # the course's on val, (simple, strong)
    claims: Mapping[str, Sequence[Claim]] = field(default_factory=dict)  # by recipes' names

    @property
    def recipe_type(self) -> type[Recipe]:
        """The class of its recipes."""
        return type(next(iter(self.recipes.values())))
