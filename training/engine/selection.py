"""Which epoch's weights a run leaves behind: chosen on held-out images, on val, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from training.engine.values import expect_at_least, expect_share, named


@dataclass(frozen=True)
class Selection:
    """What every selection has.

    Attributes:
        word: what result.json calls it.
        chooses: whether epochs are compared.
    """

    word = ""
    chooses = True

    @property
    def held_out(self) -> float:
        """The share of train that is measured and not trained on; 0: the course's val is."""
        return 0.0

    @property
    def stop_after(self) -> int:
        """Epochs without a better score that end the run; 0: never."""
        return 0

    def describe(self) -> str:
        """Return in words which epoch is taken."""
        raise NotImplementedError


@dataclass(frozen=True)
class HeldOut(Selection):
    """The best epoch on a share of train that is held out."""

    val_fraction: float = 0.05
    patience: int = 0

    word = "held_out"

    def __post_init__(self) -> None:
        """Raise UserError for a share or a patience out of its range."""
        expect_share(self, "val_fraction", below_one=True)
        expect_at_least(self, 1e-9, "val_fraction")
        expect_at_least(self, 0, "patience")

    @property
    def held_out(self) -> float:
        """The share of train that chooses the epoch."""
        return self.val_fraction

    @property
    def stop_after(self) -> int:
        """Epochs without a better score that end the run."""
        return self.patience

    def describe(self) -> str:
        """Return in words which epoch is taken."""
        return f"the best on {100 * self.val_fraction:g} % of train, held out"


@dataclass(frozen=True)
class BestOnVal(Selection):
    """The best epoch on the course's validation set: an old habit, whose score flatters."""

    patience: int = 0

    word = "val"

    def __post_init__(self) -> None:
        """Raise UserError for a patience out of its range."""
        expect_at_least(self, 0, "patience")

    @property
    def stop_after(self) -> int:
        """Epochs without a better score that end the run."""
        return self.patience

    def describe(self) -> str:
        """Return in words which epoch is taken."""
        return "the best on the validation set, which flatters its score"


@dataclass(frozen=True)
class LastEpoch(Selection):
    """The last epoch: nothing is chosen. A share of train may be measured along the way."""

    val_fraction: float = 0.0

    word = "last"
    chooses = False

    def __post_init__(self) -> None:
        """Raise UserError for a share out of its range."""
        expect_share(self, "val_fraction", below_one=True)

    @property
    def held_out(self) -> float:
        """The share of train that is measured for the curve alone."""
        return self.val_fraction

    def describe(self) -> str:
        """Return in words which epoch is taken."""
        said = "the last, nothing is chosen"
        if self.val_fraction:
            said += f"; {100 * self.val_fraction:g} % of train are measured"
        return said


SELECTIONS = named(HeldOut, BestOnVal, LastEpoch)
