"""A recipe's network in numbers, and two of them side by side."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence

from inference import UserError
from training.engine.recipe import Recipe
from training.report.html import shape
from training.report.trace import Network, take_apart

SIDE = 512  # pixels, of the image that is drawn where a network takes any: a satellite tile's


def network_of(recipe: Recipe) -> Network | None:
    """Return a recipe's network, taken apart; None where this version of the program has none."""
    arguments = json.dumps(recipe.arguments)
    return _take_apart(recipe.network, recipe.classes, arguments, recipe.input_size or SIDE)


@functools.cache
def _take_apart(name: str, classes: int, arguments: str, size: int) -> Network | None:
    try:
        return take_apart(name, classes, json.loads(arguments), size)
    except UserError:
        return None
    except Exception:  # arguments from a file can be anything, and so can what a network raises
        if arguments == "{}":
            raise
        return None


def gflop(network: Network) -> str:
    """Return how much arithmetic an image takes, in words."""
    billions = network.flops / 1e9
    return f"{billions:,.0f} GFLOP" if billions >= 100 else f"{billions:,.2g} GFLOP"


def differences(recipes: Sequence[Recipe]) -> list[list[str]] | None:
    """Return rows that compare networks in numbers, a label and a cell for each recipe.

    Returns:
        None where a network is of another version of this program.
    """
    networks = [network_of(recipe) for recipe in recipes]
    known = [network for network in networks if network is not None]
    if len(known) < len(networks):
        return None
    words = [recipe.describe() for recipe in recipes]
    rows = [
        ["Parameters", *(f"{net.parameters / 1e6:,.1f} million" for net in known)],
        ["Arithmetic an image", *map(gflop, known)],
        ["Input", *(shape(net.shape) for net in known)],
        ["Deepest map", *map(_deepest, known)],
        ["Dilations", *(", ".join(map(str, net.rates)) for net in known)],
        ["Back to full size", *map(_enlargement, known)],
        ["Head for training alone", *("yes" if net.side else "no" for net in known)],
        *([key, *(str(said.get(key, "–")) for said in words)] for key in ("Starts from", "Loss")),
    ]
    return [row for row in rows if any(row[1:])]


def _deepest(network: Network) -> str:
    ratio = network.shape[1] // network.deepest[1]
    return f"{shape(network.deepest)}, 1/{ratio} of the input"


def _enlargement(network: Network) -> str:
    steps = [line for box in network.boxes if box.kind == "up" for line in box.text()]
    return "".join(steps[:1]) + (f", and {len(steps) - 1} more" if len(steps) > 1 else "")
