"""What every recipe has, and `key=value` on the command line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from inference import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; a run is a function of its recipe and its data."""

    name: str
    task: str  # p1, p2 or p3
    network: str  # a key of inference.networks.NETWORKS
    classes: int
    arguments: dict = field(default_factory=dict)  # of the network
    pretrained: str = "none"  # or a file: a state dict of this very network to start from
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    epochs: int = 100
    batch_size: int = 64
    optimizer: str = "sgd"  # or adamw
    lr: float = 0.1  # the highest
    warmup: float = 0.1  # share of the steps in which the rate rises
    weight_decay: float = 5e-4
    ema: float = 0.999  # decay of the averaged weights, per step
    held_out: float = 0.05  # share of train that chooses the epoch
    tta: bool = False  # average the prediction with the mirror image's
    precision: str = "auto"  # auto (bf16 where the machine has it), fp32 or bf16
    seed: int = 0


def recipe_of(fields: dict) -> Recipe:
    """Rebuilds a recipe from the plain dict that a run's `result.json` holds.

    Raises:
        UserError: it is of another version of this program.
    """
    from training.classification.recipes import Recipe as Classification
    from training.segmentation.recipes import Recipe as Segmentation

    kind = Segmentation if fields.get("task") == "p3" else Classification
    known = {f.name for f in dataclasses.fields(kind)}
    if set(fields) != known:
        odd = ", ".join(sorted(set(fields) ^ known))
        raise UserError(f"the run's recipe is of another version (it differs in {odd}): train anew")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def override(recipe: Recipe, pairs: Sequence[str]) -> Recipe:
    """Gives a recipe with fields replaced, from words like `lr=0.05` or `seed=1`.

    Raises:
        UserError: not a `key=value`, no such field, or a value of another type.
    """
    changes = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UserError(f"'{pair}' is not key=value")
        if key not in {f.name for f in dataclasses.fields(recipe)} - {"name", "task"}:
            known = ", ".join(f.name for f in dataclasses.fields(recipe)[2:])
            raise UserError(f"no field '{key}' in {recipe.name}; fields: {known}")
        changes[key] = _parse(key, text, getattr(recipe, key))
    return dataclasses.replace(recipe, **changes)


def _parse(key: str, text: str, now: object) -> object:
    if isinstance(now, str):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(now, float) and type(value) is int:
        value = float(value)
    if isinstance(now, tuple) and isinstance(value, list):
        value = tuple(value)
    if type(value) is not type(now):
        raise UserError(f"{key}={text} is no {type(now).__name__}; now it is {json.dumps(now)}")
    return value
