"""The classification recipes by name."""

from training.classification.p1 import P1
from training.classification.p2 import P2
from training.classification.recipe import Recipe

__all__ = ["RECIPES", "Recipe"]

RECIPES = {**P1, **P2}
