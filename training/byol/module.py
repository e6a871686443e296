"""BYOL in training (arXiv 2006.07733)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from inference import UserError
from training.byol.networks import (
    OnlineNetwork,
    TargetNetwork,
    distance,
    expect_plain_head,
    spread,
)
from training.byol.recipes import Momentum
from training.engine.knn import knn_accuracy
from training.engine.module import TrainingModule


class Byol(TrainingModule):
    """Predict a target's projection of one view from the other view.

    Each view passes the networks by itself, as in the paper: the views' distributions differ, and
    statistics of both together would tell the network which is which.

    What a run leaves is the bare online backbone with its running statistics, those of the views
    in training. It has a `fc` that was never trained, with its random start: torchvision's
    `resnet50()` has the same keys, and loads it strictly.

    Attributes:
        network: online; is trained.
        target: its average, moved after each step; None where the online network is the target.
    """

    metric = "knn"
    measures_in_fp32 = False  # neighbours are not moved by rounding

    def __init__(self, recipe) -> None:
        super().__init__(recipe)
        expect_plain_head(self.network, recipe.network)
        heads = recipe.projector, recipe.hidden, recipe.projection
        self.network = OnlineNetwork(self.network, *heads)
        momentum = isinstance(recipe.target, Momentum)
        self.target = TargetNetwork(self.network, recipe.target.norm) if momentum else None
        self.spreads: list[Tensor] = []  # of the epoch
        self.features: list[Tensor] = []  # of the images that watch, and their labels
        self.labels: list[Tensor] = []
        self._moved: tuple[list[Tensor], list[Tensor]] | None = None

    def exported(self, average: nn.Module) -> nn.Module:
        """Return the online backbone."""
        return average.get_submodule("backbone")

    def modules_to_compile(self) -> tuple[nn.Module, ...]:
        return (self.network,) if self.target is None else (self.network, self.target)

    def loss(self, images: Tensor) -> Tensor:
        """Return the mean loss of uint8 images (N, S, S, 3) at the cache's size."""
        by, size = self.recipe.views_by, self.recipe.size
        with self.full_precision():  # a convolution of an augmentation would round the pixels
            views = by.pair(self.to_float(images), size, self.normalise)
        return self.compare(*views)

    def compare(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss of two views (N, 3, size, size): each predicts the other, in [0, 8]."""
        one, predicted_other = self.network(first)
        other, predicted_one = self.network(second)
        self.spreads.append(spread(one))
        if self.target is None:
            # byol_pytorch up to 0.7 computes the same values anew, without a gradient.
            targets = one.detach(), other.detach()
        else:
            with torch.no_grad():
                targets = self.target(first), self.target(second)
        with self.full_precision():
            return distance(predicted_one, targets[0]) + distance(predicted_other, targets[1])

    def start_epoch(self) -> None:
        self.spreads = []

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Move the target: target <- tau * target + (1 - tau) * online."""
        if self.target is None:
            return
        if self._moved is None:  # walking through a network takes milliseconds
            self._moved = _pairs(self.target.named_parameters(), self.network.named_parameters())
            self._copied = _pairs(self.target.named_buffers(), self.network.named_buffers())
        decay = tau(self.recipe.target.tau, step, steps)
        torch._foreach_lerp_(*self._moved, 1 - decay)  # one launch, not hundreds
        if self._copied[0]:  # with norm=running
            torch._foreach_copy_(*self._copied)

    def epoch_values(self) -> dict[str, Tensor]:
        return {"spread": torch.stack(self.spreads).double().mean()}

    def check_epoch(self, values: dict[str, float]) -> None:
        """Raise UserError where the projections have collapsed."""
        if values["spread"] < self.recipe.collapse:
            raise UserError(
                f"collapsed: in epoch {self.epoch + 1} all images have nearly one projection "
                f"(spread {values['spread']:.4f}, below collapse={self.recipe.collapse}): begin "
                f"anew with a lower {self.recipe.optimizer.rates}, more warmup= or another "
                "batch_size="
            )

    def log_values(self, values: dict[str, float]) -> dict[str, float]:
        names = {"spread": "spread", self.metric: "k-NN accuracy"}
        return {said: values[name] for name, said in names.items() if name in values}

    def is_measured_at(self, epoch: int) -> bool:
        """Return whether it is the first epoch, the last, or one of every `knn_every`."""
        return epoch in (0, self.recipe.epochs - 1) or (epoch + 1) % self.recipe.knn_every == 0

    def measure(self, network: Any, images: Tensor, labels: Tensor) -> None:
        """Note features; images uint8 (N, size, size, 3), labels int64 (N,)."""
        images = self.normalise(self.to_float(images))
        self.features.append(network.backbone.features(images).float())
        self.labels.append(labels)

    def score(self) -> dict[str, float]:
        """Return the leave-one-out k-NN accuracy of the backbone's features, in [0, 1]."""
        accuracy = knn_accuracy(torch.cat(self.features), torch.cat(self.labels))
        self.features, self.labels = [], []
        return {self.metric: accuracy}


def tau(first: float, step: int, steps: int) -> float:
    """Return the target's decay at a step, counted from 0: `first` rises to 1 by a cosine."""
    return 1 - (1 - first) * (math.cos(math.pi * step / steps) + 1) / 2


def _pairs(some: Iterable, many: Iterable) -> tuple[list[Tensor], list[Tensor]]:
    """Return the tensors of `some`, and those of the same names in `many`."""
    named, others = dict(some), dict(many)
    return list(named.values()), [others[name] for name in named]
