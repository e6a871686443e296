"""Learning-rate schedules: the factor on every rate at each step of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from training.engine.values import Count, NotNegative, ShareBelowOne, Value, named, one_of

Unit = Annotated[str, one_of(("epoch", "step"))]


@dataclass(frozen=True)
class Schedule(Value):
    """What every schedule has."""

    def factor(self, step: int, steps: int, epochs: int, lr: float) -> float:
        """Return the factor on every rate at a step.

        Args:
            step: how many steps are done, from 0.
            steps: of one epoch.
            epochs: of the run.
            lr: the highest rate, for schedules that end at a rate of their own.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate throughout."""

    words = "constant"

    def factor(self, step: int, steps: int, epochs: int, lr: float) -> float:
        return 1.0


@dataclass(frozen=True)
class WarmupCosine(Schedule):
    """A rise from 0 over a share of the steps, then half a cosine down to `lr_min`."""

    warmup: ShareBelowOne = 0.1
    lr_min: NotNegative = 0.0

    def factor(self, step: int, steps: int, epochs: int, lr: float) -> float:
        return warmup_cosine(step / (steps * epochs), self.warmup, self.lr_min / lr)

    def describe(self) -> str:
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
    return _cosine(math.pi * fallen, low)


def _cosine(angle: float, low: float) -> float:
    return low + (1 - low) * 0.5 * (1 + math.cos(angle))


@dataclass(frozen=True)
class Step(Schedule):
    """The rate times `gamma` after every `period` (torch's StepLR)."""

    period: Count = 10
    gamma: NotNegative = 0.1
    unit: Unit = "epoch"
    words = "times {gamma:g} every {period} {unit}s"

    def factor(self, step: int, steps: int, epochs: int, lr: float) -> float:
        return self.gamma ** (_done(self.unit, step, steps) // self.period)


@dataclass(frozen=True)
class CosineCycle(Schedule):
    """A cosine between `lr` and `lr_min` that goes on up and down, half a wave a `period`.

    It is torch's CosineAnnealingLR beyond its T_max: it does not restart.
    """

    period: Count = 10
    lr_min: NotNegative = 0.0
    unit: Unit = "epoch"
    words = "a cosine to {lr_min:g} and back, {period} {unit}s each way"

    def factor(self, step: int, steps: int, epochs: int, lr: float) -> float:
        angle = math.pi * _done(self.unit, step, steps) / self.period
        return _cosine(angle, self.lr_min / lr)


def _done(unit: str, step: int, steps: int) -> int:
    return step if unit == "step" else step // steps


SCHEDULES = named(WarmupCosine, Step, CosineCycle, Constant)
