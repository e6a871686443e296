"""Which epoch's weights a run leaves behind: chosen on held-out images, on val, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from training.engine.values import ShareBelowOne, Value, at_least, named

Patience = Annotated[int, at_least(0)]  # epochs without a better score that end the run; 0: never


@dataclass(frozen=True)
class Selection(Value):
    """What every selection has.

    Attributes:
        word: what result.json calls it.
        chooses: whether epochs are compared.
    """

    word: ClassVar[str]
    chooses: ClassVar[bool] = True

    @property
    def held_out(self) -> float:
        """The share of train that is measured and not trained on; 0: the course's val is."""
        return getattr(self, "val_fraction", 0.0)

    @property
    def stop_after(self) -> int:
        """Epochs without a better score that end the run; 0: never."""
        return getattr(self, "patience", 0)


@dataclass(frozen=True)
class HeldOut(Selection):
    """The best epoch on a share of train that is held out."""

    val_fraction: Annotated[ShareBelowOne, at_least(1e-9)] = 0.05
    patience: Patience = 0
    word = "held_out"

    def describe(self) -> str:
        return f"the best on {100 * self.val_fraction:g} % of train, held out"


@dataclass(frozen=True)
class BestOnVal(Selection):
    """The best epoch on the course's validation set: an old habit, whose score flatters."""

    patience: Patience = 0
    word = "val"
    words = "the best on the validation set, which flatters its score"


@dataclass(frozen=True)
class LastEpoch(Selection):
    """The last epoch: nothing is chosen. A share of train may be measured along the way."""

    val_fraction: ShareBelowOne = 0.0
    word = "last"
    chooses = False

    def describe(self) -> str:
        measured = f"; {100 * self.val_fraction:g} % of train are measured"
        return "the last, nothing is chosen" + (measured if self.val_fraction else "")


SELECTIONS = named(HeldOut, BestOnVal, LastEpoch)
