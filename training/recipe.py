"""What every recipe has, and `key=value` on the command line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from inference import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
WORDS = {
    "optimizer": ("sgd", "adam", "adamw", "lars"),
    "schedule": ("warm_cosine", "step", "cosine_restart", "constant"),
    "period_unit": ("epoch", "step"),
    "select": ("held_out", "val", "last"),
    "precision": ("auto", "fp32", "bf16"),
    "initialise": ("he", "torch", "torchvision"),
}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; a run is a function of its recipe and its data.

    Attributes:
        graded: whether the scripts can answer with what it trains, and so score it.
    """

    graded: ClassVar[bool] = True

    name: str
    task: str  # p1, p2 or p3; mini and byol are what comes before p2
    network: str  # a key of inference.networks.NETWORKS
    classes: int
    arguments: dict = field(default_factory=dict)  # of the network
    # none, a file (a state dict of this network) or what torchvision hosts, see
    # training/pretrained.py
    pretrained: str = "none"
    # What pretrained weights do not replace: he (inference.networks.initialise), torch, which is
    # PyTorch's own default, or torchvision, which is that but for he's convolutions
    initialise: str = "he"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    epochs: int = 100
    patience: int = 0  # epochs without a better score that end the run; 0: never
    batch_size: int = 64  # of all processes together
    # Or adamw; adam, whose weight decay is part of the gradient; lars, for large batches
    optimizer: str = "sgd"
    momentum: float = 0.9  # of sgd and lars
    nesterov: bool = True  # of sgd
    lr: float = 0.1  # the highest
    lr_min: float = 0.0  # where a cosine ends
    head_lr: float = 1.0  # factor on the classifier's rate
    # Factor on the rate from each stage of a ResNet to the one before; of pretrained weights only
    layer_decay: float = 1.0
    schedule: str = "warm_cosine"  # or step, cosine_restart, constant: see training/schedule.py
    warmup: float = 0.1  # of warm_cosine: share of the steps in which the rate rises
    period: int = 10  # of step: from fall to fall; of cosine_restart: half a wave
    period_unit: str = "epoch"  # or step (a batch): what `period` counts
    gamma: float = 0.1  # of step: factor of a fall
    weight_decay: float = 5e-4
    decay_all: bool = False  # weight decay on norms and biases too
    ema: float = 0.999  # decay of the averaged weights, per step; 0: no average
    held_out: float = 0.05  # share of train that chooses the epoch
    # What chooses the epoch: held_out; val, the course's own (an old habit: its score flatters);
    # or last, no choice, for which held_out may be 0
    select: str = "held_out"
    # Epochs from one measurement, and from one state that a killed run goes on from, to the next
    every: int = 1
    keep: tuple[int, ...] = ()  # epochs (from 1) kept for figures; none: the first and the middle
    tta: bool = False  # average with the mirror image's prediction; P3: all eight flips and turns
    # auto (bf16 where the machine has it), bf16, or fp32 (on a GPU too: no TF32)
    precision: str = "auto"
    compile: bool = False  # torch.compile: minutes at first, then faster steps
    seed: int = 0

    def __post_init__(self):
        """Refuses what no run could mean.

        Raises:
            UserError: a word that is none of the known, a number out of its range.
        """
        for key, words in WORDS.items():
            if getattr(self, key) not in words:
                raise UserError(f"{key}={getattr(self, key)}: it is one of {', '.join(words)}")
        for key in ("epochs", "batch_size", "period", "every"):
            if getattr(self, key) < 1:
                raise UserError(f"{key}={getattr(self, key)}: it is a whole number from 1 up")
        if self.seed < 0:
            raise UserError(f"seed={self.seed}: it is a whole number from 0 up")
        for key in ("ema", "held_out", "warmup"):
            if not 0 <= getattr(self, key) < 1:
                raise UserError(f"{key}={getattr(self, key)}: it is a share, from 0 to less than 1")
        for key in ("mean", "std"):
            if len(getattr(self, key)) != 3:
                raise UserError(f"{key}={list(getattr(self, key))}: it is three numbers, of RGB")
        if self.lr <= 0:
            raise UserError(f"lr={self.lr}: a rate is above 0")
        if self.held_out == 0 and self.select == "held_out":
            raise UserError("held_out=0 leaves nothing to choose the epoch on: add select=last")
        if self.patience and self.select == "last":
            raise UserError(
                f"patience={self.patience} waits for a better epoch, and select=last compares "
                "none: add patience=0"
            )

    def holds_out(self) -> bool:
        """Whether a part of train is measured, and not the course's validation set or nothing."""
        return self.held_out > 0 and self.select != "val"

    def stage_factor(self) -> float:
        """Gives `layer_decay` where something is pretrained: what starts at random has to move."""
        return self.layer_decay if self.pretrained != "none" else 1.0

    def is_due(self, epoch: int) -> bool:
        """Whether a run measures, and saves its state, after an epoch, counted from 0."""
        return (epoch + 1) % self.every == 0 or epoch + 1 == self.epochs

    def kept(self) -> tuple[int, ...]:
        """Gives the epochs, from 1, whose weights are kept for figures beside the best."""
        return self.keep or (1, (self.epochs + 1) // 2)


def recipe_of(fields: dict) -> Recipe:
    """Rebuilds a recipe from the plain dict that a run's `result.json` holds.

    A field that came later has its default, which is what the run did without it.

    Raises:
        UserError: it is of another version of this program.
    """
    from training.byol.recipes import Recipe as Byol
    from training.classification.recipes import Recipe as Classification
    from training.segmentation.recipes import Recipe as Segmentation

    kinds = {"p1": Classification, "p2": Classification, "mini": Classification}
    kinds |= {"p3": Segmentation, "byol": Byol}
    task = fields.get("task")
    if not isinstance(task, str) or task not in kinds:
        raise UserError(f"the run's recipe is of another version (its task is {task!r:.40})")
    known = {f.name: f for f in dataclasses.fields(kinds[task])}
    needed = {f.name for f in dataclasses.fields(kinds[task])[:4]}  # the others have a default
    odd = (set(fields) ^ known.keys()) - (known.keys() - needed)
    odd |= {name for name in set(fields) & known.keys() if not _fits(fields[name], known[name])}
    if odd:
        listed = ", ".join(sorted(odd))
        raise UserError(f"the run's recipe is of another version (it differs in {listed})")
    return kinds[task](**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def _fits(value: object, of: dataclasses.Field) -> bool:
    """Whether a value is of a field's type; a tuple is a list in json."""
    kind = of.type.partition("[")[0]  # in words, as annotations are not evaluated
    if kind == "tuple":
        whole = of.default and "..." not in of.type
        numbers = isinstance(value, (list, tuple)) and all(type(v) in (int, float) for v in value)
        return numbers and (not whole or len(value) == len(of.default))
    wanted = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "dict": (dict,)}
    return type(value) in wanted[kind]


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
