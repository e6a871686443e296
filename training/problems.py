"""The problems, and all their recipes: the only list of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from inference import UserError
from inference.spelling import listed
from training.byol import data as byol_data
from training.byol.module import Byol
from training.byol.recipes import CLAIMS as BYOL_CLAIMS
from training.byol.recipes import RECIPES as BYOL
from training.classification import p1, p2
from training.classification.module import Classification
from training.engine.problem import Problem
from training.engine.recipe import Recipe
from training.segmentation import data as tiles
from training.segmentation.module import Segmentation
from training.segmentation.recipes import CLAIMS as SEGMENTATION_CLAIMS
from training.segmentation.recipes import RECIPES as SEGMENTATION


def _classifier_figures(*arguments: Any) -> dict:
    from training.classification import figures  # matplotlib and scikit-learn: seconds

    return figures.draw(*arguments)


def _segmenter_figures(*arguments: Any) -> dict:
    from training.segmentation import figures

    return figures.draw(*arguments)


def _byol_figures(*arguments: Any) -> dict:
    from training.byol import figures

    return figures.draw(*arguments)


PROBLEMS = {
    "p1": Problem(
        name="p1",
        folder="p1_data",
        metric="accuracy",
        recipes=p1.RECIPES,
        module=Classification,
        batches=p1.batches,
        files=p1.files,
        evaluate=p1.evaluate,
        figures=partial(_classifier_figures, p1.read),
        words=p1.words,
        baselines=(0.75, 0.86),
        claims=p1.CLAIMS,
    ),
    "p2": Problem(
        name="p2",
        folder="p2_data",
        metric="accuracy",
        recipes=p2.RECIPES,
        module=Classification,
        batches=p2.batches,
        files=p2.files,
        evaluate=p2.evaluate,
        figures=partial(_classifier_figures, p2.read),
        words=p2.words,
        baselines=(0.36, 0.40),
        claims=p2.CLAIMS,
    ),
    # Before p2: backbones to start from, by the labels of `mini` or without any
    "mini": Problem(
        name="mini",
        folder="p2_data",
        metric="accuracy",
        recipes=p2.SUPERVISED,
        module=Classification,
        batches=p2.mini_batches,
        files=p2.mini_files,
        claims=p2.SUPERVISED_CLAIMS,
    ),
    "byol": Problem(
        name="byol",
        folder="p2_data",
        metric="k-NN accuracy",
        recipes=BYOL,
        module=Byol,
        batches=byol_data.batches,
        files=byol_data.files,
        figures=_byol_figures,
        claims=BYOL_CLAIMS,
    ),
    "p3": Problem(
        name="p3",
        folder="p3_data",
        metric="mIoU",
        recipes=SEGMENTATION,
        module=Segmentation,
        batches=tiles.batches,
        files=tiles.files,
        evaluate=tiles.evaluate,
        figures=_segmenter_figures,
        shows_chosen=True,
        baselines=(0.69, 0.73),
        claims=SEGMENTATION_CLAIMS,
    ),
}
RECIPES: dict[str, Recipe] = {
    name: recipe for problem in PROBLEMS.values() for name, recipe in problem.recipes.items()
}


def recipe_named(name: str) -> Recipe:
    """Return a recipe by its name, whatever its problem.

    Raises:
        UserError: there is none; the right names are listed.
    """
    if name not in RECIPES:
        raise UserError(f"no recipe '{name}'; there are: {listed(name, RECIPES)}")
    return RECIPES[name]
