"""Learning-rate schedules: the factor on every rate at each step of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.engine.values import expect_at_least, expect_share, expect_word, named

UNITS = ("epoch", "step")


@dataclass(frozen=True)
class Schedule:
    """A constant rate, and what every schedule has."""

    def factor(self, step: int, steps: int, epochs: int, lr: float) -> float:
        """Return the factor on every rate at a step.

        Args:
            step: how many steps are done, from 0.
            steps: of one epoch.
            epochs: of the run.
            lr: the highest rate, for schedules that end at a rate of their own.
        """
        return 1.0

    def describe(self) -> str:
        """Return the schedule in words."""
        return "constant"


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate throughout."""


@dataclass(frozen=True)
class WarmupCosine(Schedule):
    """A rise from 0 over a share of the steps, then half a cosine down to `lr_min`."""

    warmup: float = 0.1
    lr_min: float = 0.0

    def __post_init__(self) -> None:
        """Raise UserError for a share out of its range."""
        expect_share(self, "warmup", below_one=True)
        expect_at_least(self, 0, "lr_min")

    def factor(self, step: int, steps: int, epochs: int, lr: float) -> float:
        """Return the factor at a step; arguments as `Schedule.factor`."""
        return warmup_cosine(step / (steps * epochs), self.warmup, self.lr_min / lr)

    def describe(self) -> str:
        """Return the schedule in words."""
        return f"rising over {100 * self.warmup:g} % of the steps, then a cosine to {self.lr_min:g}"


def warmup_cosine(progress: float, warmup: float, low: float = 0.0) -> float:
    """Return the factor on the rate: linear from 0 to 1, then half a cosine down to `low`.

    Args:
        progress: share of all steps done, in [0, 1].
        warmup: share of all steps that the rise takes.
    """
    if progress < warmup:
        return progress / warmup
    fallen = min(1.0, (progress - warmup) / (1 - warmup))
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * fallen))


@dataclass(frozen=True)
class Step(Schedule):
    """The rate times `gamma` after every `period` (torch's StepLR)."""

    period: int = 10
    gamma: float = 0.1
    unit: str = "epoch"

    def __post_init__(self) -> None:
        """Raise UserError for a period or a unit out of its range."""
        expect_at_least(self, 1, "period")
        expect_at_least(self, 0, "gamma")
        expect_word(self, "unit", UNITS)

    def factor(self, step: int, steps: int, epochs: int, lr: float) -> float:
        """Return the factor at a step; arguments as `Schedule.factor`."""
        return self.gamma ** (_done(self.unit, step, steps) // self.period)

    def describe(self) -> str:
        """Return the schedule in words."""
        return f"times {self.gamma:g} every {self.period} {self.unit}s"


@dataclass(frozen=True)
class CosineCycle(Schedule):
    """A cosine between `lr` and `lr_min` that goes on up and down, half a wave a `period`.

    It is torch's CosineAnnealingLR beyond its T_max: it does not restart.
    """

    period: int = 10
    lr_min: float = 0.0
    unit: str = "epoch"

    def __post_init__(self) -> None:
        """Raise UserError for a period or a unit out of its range."""
        expect_at_least(self, 1, "period")
        expect_at_least(self, 0, "lr_min")
        expect_word(self, "unit", UNITS)

    def factor(self, step: int, steps: int, epochs: int, lr: float) -> float:
        """Return the factor at a step; arguments as `Schedule.factor`."""
        low, done = self.lr_min / lr, _done(self.unit, step, steps)
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done / self.period))

    def describe(self) -> str:
        """Return the schedule in words."""
        return f"a cosine to {self.lr_min:g} and back, {self.period} {self.unit}s each way"


def _done(unit: str, step: int, steps: int) -> int:
    return step if unit == "step" else step // steps


SCHEDULES = named(WarmupCosine, Step, CosineCycle, Constant)
