"""What several answers are made of: drawings, recipes side by side, pictures of a run."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import NamedTuple

from inference import UserError
from training.engine.recipe import Recipe
from training.report import details, drawing, scores
from training.report.figures import Gallery
from training.report.markup import Html, code, figure, join, missing, paragraph, table, tag
from training.report.runs import Entry, Found
from training.report.trace import Network, take_apart

SIDE = 512  # of a satellite tile, pixels


class Sources(NamedTuple):
    """What answers are made from."""

    found: Found
    gallery: Gallery


def chosen(found: Found, *recipes: str) -> Recipe:
    """Gives the recipe of the first of these that has a run, as it ran, or else the first."""
    group = found.first(*recipes)
    return group.recipe if group else scores.RECIPES[recipes[0]]


def _as_run(found: Found, name: str) -> tuple[str, Recipe]:
    """Gives a recipe as it ran or runs, and which of them that is."""
    group, going = found.groups.get(name), found.unfinished.get(name)
    if group:
        return f"as run, {_seeds(group[0].entries)}", group[0].recipe
    if going:
        return f"as it runs, {_seeds(going[:1])}", going[0].recipe
    return "not run yet", scores.RECIPES[name]


def network(recipe: Recipe) -> Network | None:
    """Takes a recipe's network apart; None where this version of the program has it no more."""
    size = getattr(recipe, "size", SIDE) if recipe.task != "p3" else SIDE
    return _apart(recipe.network, recipe.classes, json.dumps(recipe.arguments), size)


@functools.cache
def _apart(name: str, classes: int, arguments: str, size: int) -> Network | None:
    try:
        return take_apart(name, classes, json.loads(arguments), size)
    except UserError:
        return None
    except Exception:  # arguments from a file can be anything, and so can what a network raises
        if arguments == "{}":
            raise
        return None


def drawn(recipe: Recipe, called: str) -> Html:
    """Draws a recipe's network, with how large it is."""
    net = network(recipe)
    if net is None:
        return missing(f"The network of {recipe.name} is of another version of this program.")
    title = f"{called}: {recipe.network}, drawn from its modules"
    side = f"{net.shape[1]} × {net.shape[2]}"
    size = f"{net.parameters / 1e6:,.1f} million parameters, {flops(net)} for an image of {side}"
    caption = join(
        [
            code(recipe.network),
            " of ",
            code(recipe.name),
            f": {size}. On the arrows: channels × height × width. BN: batch normalisation.",
        ]
    )
    picture = Html(drawing.draw(net, title, f"{recipe.classes} classes"))
    return tag("figure", join([picture, tag("figcaption", caption)]))


def flops(net: Network) -> str:
    """Writes how much arithmetic an image takes."""
    billions = net.flops / 1e9
    return f"{billions:,.0f} GFLOP" if billions >= 100 else f"{billions:,.2g} GFLOP"


def recipes(found: Found, names: Sequence[tuple[str, str]], title: str) -> Html:
    """Sets recipes side by side, each as it ran, or as it is where it has no run.

    Args:
        names: what a recipe is called here, and its name.
    """
    columns = []
    for called, name in names:
        state, recipe = _as_run(found, name)
        head = join([f"{called} ", code(name), Html(f"<br><small>{state}</small>")])
        columns.append((head, recipe))
    return details.compare(columns, title)


def _seeds(entries: Sequence[Entry]) -> str:
    seeds = sorted({entry.recipe.seed for entry in entries})
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def picture(sources: Sources, recipes: Sequence[str], name: str, alt: str, said: str) -> Html:
    """Shows a picture of the run that stands for the first of these recipes that has runs.

    Args:
        name: in the run's figures.json: `pca`.
        alt: what it shows.
        said: below it.
    """
    group = sources.found.first(*recipes)
    if not group:
        return scores.no_run(sources.found, recipes[0])
    made = sources.gallery.of(group.shown)
    if name not in made.files:
        reasons = [f"No {alt} of {group.shown.name}.", *made.notes]
        return missing(join(reasons, " "))
    caption = join([code(group.shown.name), f": {said}"])
    return figure(made.files[name], f"{alt} of {group.shown.name}", caption)


def notes(sources: Sources, recipes: Sequence[str]) -> Html:
    """Says what a run's figures lack."""
    group = sources.found.first(*recipes)
    said = sources.gallery.of(group.shown).notes if group else []
    return join(paragraph(note, class_="soft") for note in said)


def numbers(sources: Sources, *recipes: str) -> dict:
    """Gives the numbers of the pictures of these recipes' run; none where there is no picture."""
    group = sources.found.first(*recipes)
    return sources.gallery.of(group.shown).numbers if group else {}


def versus(one: tuple[str, Recipe], other: tuple[str, Recipe], name: str) -> Html:
    """Compares two networks in numbers that come from their modules.

    Args:
        one, other: what the model is called, and its recipe.
    """
    pair = [(called, network(recipe), recipe) for called, recipe in (one, other)]
    if any(net is None for _, net, _ in pair):
        return missing("A network is of another version of this program.")
    rows = [
        ("Parameters", *(f"{net.parameters / 1e6:,.1f} million" for _, net, _ in pair)),
        ("Arithmetic an image", *(flops(net) for _, net, _ in pair)),
        ("Input", *(drawing.shape(net.shape) for _, net, _ in pair)),
        ("Deepest map", *(_deepest(net) for _, net, _ in pair)),
        ("Dilations", *(", ".join(map(str, net.rates)) for _, net, _ in pair)),
        ("Back to full size", *(_up(net) for _, net, _ in pair)),
        ("Head for training alone", *("yes" if net.side else "no" for _, net, _ in pair)),
        ("Starts from", *(details.rows(recipe)["Starts from"] for _, _, recipe in pair)),
        ("Loss", *(details.rows(recipe)["Loss"] for _, _, recipe in pair)),
    ]
    rows = [row for row in rows if any(row[1:])]
    return table(["", *(called for called, _, _ in pair)], rows, name)


def _deepest(net: Network) -> str:
    return f"{drawing.shape(net.deepest)}, 1/{net.shape[1] // net.deepest[1]} of the input"


def _up(net: Network) -> str:
    steps = [line for box in net.boxes if box.kind == "up" for line in box.text()]
    return "; then ".join(steps[:1]) + (f", and {len(steps) - 1} more" if len(steps) > 1 else "")
