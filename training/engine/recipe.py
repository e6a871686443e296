"""What every recipe has: a run is a function of its recipe and its data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from inference import UserError
from inference.zoo import Record
from training.engine.optimizers import OPTIMIZERS, SGD, Optimizer
from training.engine.schedules import SCHEDULES, Schedule, WarmupCosine
from training.engine.selection import SELECTIONS, HeldOut, Selection
from training.engine.values import (
    Count,
    ShareBelowOne,
    WholeNumber,
    as_argument,
    check_ranges,
    choice,
    from_plain,
    leaves,
    one_of,
    override,
    shortest,
    to_plain,
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INITS = {
    "he": "He’s start",
    "torch": "PyTorch’s own start",
    "torchvision": "torchvision’s start",
}
PRETRAINED = {
    "": "a pre-trained backbone’s file",
    "imagenet": "ImageNet’s weights",
    "coco": "COCO’s weights",
    "coco_trunk": "COCO’s weights, but for the head",
}
R = TypeVar("R", bound="Recipe")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; a problem's own recipe adds its images, augmentations and loss."""

    name: str
    problem: str  # a key of training.problems.PROBLEMS
    network: str  # a key of inference.networks.NETWORKS
    classes: Count
    arguments: dict = field(default_factory=dict)  # of the network
    # none, a file (a state dict of this network) or what is hosted: see engine/pretrained.py
    pretrained: str = "none"
    # How weights start that are not pretrained: he (inference.networks.initialise), torch
    # (PyTorch's defaults) or torchvision (the same, but convolutions as with he)
    init: Annotated[str, one_of(INITS)] = "he"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    epochs: Count = 100
    batch_size: Count = 64  # of all processes together
    optimizer: Optimizer = choice(OPTIMIZERS, SGD())
    schedule: Schedule = choice(SCHEDULES, WarmupCosine())
    ema: ShareBelowOne = 0.999  # decay of the averaged weights, per step; 0: no average
    select_epoch_by: Selection = choice(SELECTIONS, HeldOut())
    # Epochs from one last.ckpt to the next, and from one measurement to the next (but: knn_every)
    save_every: Count = 1
    keep_epochs: tuple[int, ...] = ()  # epochs (from 1) kept for figures; none: first and middle
    tta: bool = False  # average over the views of an image at prediction
    # auto (bf16 where the machine is fast in it), bf16, or fp32 (on a GPU too: no TF32)
    precision: Annotated[str, one_of(("auto", "fp32", "bf16"))] = "auto"
    compile: bool = False  # torch.compile: minutes at first, then faster steps
    seed: WholeNumber = 0

    def __post_init__(self) -> None:
        """Raise UserError for a field out of its range."""
        check_ranges(self)
        for name in ("mean", "std"):
            value = getattr(self, name)
            if len(value) != 3:
                raise UserError(f"{name}={as_argument(value)}: it is three numbers, of RGB")
        if not min(self.std) > 0:
            raise UserError(f"std={as_argument(self.std)}: a deviation is above 0")
        if self.seed >= 1 << 63:
            raise UserError(f"seed={self.seed}: it is below 2^63")

    @property
    def input_size(self) -> int | None:
        """The side of the network's input in pixels; None where any will do."""
        return None

    @property
    def starts_pretrained(self) -> bool:
        """Whether the network starts from somebody's weights."""
        return self.pretrained != "none"

    @property
    def views(self) -> str:
        """What a prediction with `tta` is averaged over, in words."""
        return "with the mirror image’s"

    @property
    def free(self) -> tuple[str, ...]:
        """The fields that change no result: runs that differ in these alone are of one kind."""
        fields = ("seed", "keep_epochs", "compile")
        # An epoch that is not measured cannot be chosen.
        return fields if self.select_epoch_by.chooses else (*fields, "save_every")

    def is_due(self, epoch: int) -> bool:
        """Return whether a run measures, and saves its state, after an epoch, counted from 0."""
        return (epoch + 1) % self.save_every == 0 or epoch + 1 == self.epochs

    def kept_epochs(self) -> tuple[int, ...]:
        """Return the epochs, from 1, whose weights are kept for figures beside the best."""
        return self.keep_epochs or (1, (self.epochs + 1) // 2)

    def with_changes(self: R, pairs: Sequence[str]) -> R:
        """Return the recipe with fields replaced: see `training.engine.values.override`."""
        return override(self, pairs, fixed=("name", "problem"))

    def record(self, name: str | None = None) -> Record:
        """Return the zoo's record of a run's `best.pth`, under its own name or another."""
        name = self.name if name is None else name
        return Record(
            name=name,
            task=self.problem,
            network=self.network,
            arguments=self.arguments,
            classes=self.classes,
            input={"size": self.input_size, "mean": list(self.mean), "std": list(self.std)},
            tta=self.tta,
            file=f"{name}.pth",
            bytes=0,
            sha256="",
            urls=[],
            trained_on="",
            recipe=self.name,
            scores={},
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the recipe as recipe.json and result.json hold it."""
        plain = to_plain(self)
        del plain["kind"]
        return plain

    @classmethod
    def from_plain(cls: type[R], fields: Mapping[str, Any]) -> R:
        """Return the recipe that recipe.json describes.

        A field that came later has its default, which is what the run did without it.

        Raises:
            UserError: it is of another version of this program.
        """
        return from_plain(cls, fields)

    def changes_from(self, other: Recipe) -> list[str]:
        """Return the key=value words that turn `other` into this recipe, without name and seed.

        A field that holds a value of another class is written whole; of a value of the same class
        only the fields that differ are written.
        """
        whole, single = [], []
        mine, theirs = list(leaves(self)), dict(leaves(other))
        every = [path for path, _ in mine]
        for slot in dataclasses.fields(self):
            name, held = slot.name, getattr(self, slot.name)
            if name in ("name", "problem", "seed") or held == theirs.get((name,)):
                continue
            composed = "kinds" in slot.metadata
            if not composed or not _are_alike(held, theirs.get((name,))):
                whole.append(f"{name}={'none' if composed and held == () else as_argument(held)}")
                continue
            for path, leaf in mine:
                if path[0] == name and len(path) > 1 and leaf != theirs[path]:
                    single.append(f"{shortest(path, every)}={as_argument(leaf)}")
        return [*whole, *single]

    def describe(self) -> dict[str, str | list[str]]:
        """Return the recipe in words: each row's title ("Optimiser") and its text or lines."""
        arguments = ", ".join(f"{key} = {value}" for key, value in self.arguments.items())
        network = self.network + (f" ({arguments})" if arguments else "")
        start = f"nothing: {INITS[self.init]}"
        if self.starts_pretrained:
            given = PRETRAINED.get(self.pretrained, self.pretrained)
            start = f"{given}; the rest: {INITS[self.init]}"
        rates = self.optimizer.describe_rates(self.starts_pretrained)
        wait = self.select_epoch_by.stop_after
        stopped = f", stopped after {wait} without a gain" if wait else ""
        exact = self.precision != "auto"
        return {
            "Network": f"{network}, {self.classes} outputs",
            "Starts from": start,
            **self._describe_problem(),
            "Normalisation": self._normalisation(),
            "Optimiser": self.optimizer.describe(),
            "Learning rate": "; ".join(
                [f"{self.optimizer.lr:g}", self.schedule.describe(), *rates]
            ),
            "Batch, length": f"{self.batch_size} images, {self.epochs} epochs{stopped}",
            "Epoch chosen": self.select_epoch_by.describe(),
            **self._describe_prediction(),
            "Precision": self.precision if exact else "bf16 where the machine is fast in it",
        }

    def _describe_problem(self) -> dict[str, str | list[str]]:
        return {}

    def _describe_prediction(self) -> dict[str, str | list[str]]:
        return {
            "Averaged weights": f"decay {self.ema:g} a step" if self.ema else "no",
            "Prediction": f"the mean {self.views}" if self.tta else "of the image alone",
        }

    def _normalisation(self) -> str:
        if (tuple(self.mean), tuple(self.std)) == (IMAGENET_MEAN, IMAGENET_STD):
            return "by ImageNet’s mean and deviation"
        if not any(self.mean) and set(self.std) == {1.0}:
            return "none"
        mean, std = (", ".join(f"{n:g}" for n in numbers) for numbers in (self.mean, self.std))
        return f"mean {mean}, deviation {std}"


def identity(recipe: Recipe) -> str:
    """Return what runs of one kind share: the recipe without its seed and what changes nothing."""
    kept = {key: value for key, value in recipe.to_plain().items() if key not in recipe.free}
    return json.dumps(kept, sort_keys=True)


def _are_alike(one: Any, other: Any) -> bool:
    """Return whether two values, or tuples of them, are of the same classes, each there once."""
    kinds, others = (
        [type(item) for item in (value if isinstance(value, tuple) else (value,))]
        for value in (one, other)
    )
    return kinds == others and len(set(kinds)) == len(kinds)
