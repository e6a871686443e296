"""BYOL in training (arXiv 2006.07733)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import nn

from inference import UserError
from training.byol import views
from training.byol.networks import Online, Target, distance, spread, tau
from training.byol.watch import knn_accuracy
from training.engine.module import Task


class Byol(Task):
    """Predicts a target's projection of one view from the other view.

    Each view passes the networks by itself, as in the paper: the views' distributions differ, and
    statistics of both together would tell the network which is which.

    What a run leaves is the bare online backbone with its running statistics, those of the views
    in training. It has a `fc` that was never trained, with its random start: torchvision's
    `resnet50()` has the same keys, and loads it strictly.

    Attributes:
        network: online; is trained.
        target: its average, moved after each step; None with `target=online`.
    """

    score_name = "knn"

    def __init__(self, recipe):
        super().__init__(recipe)
        self.network = self.average = Online(self.network, recipe)
        self.target = (
            Target(self.network, recipe.target_norm) if recipe.target == "momentum" else None
        )
        self.spreads: list[torch.Tensor] = []  # of the epoch
        self.features: list[torch.Tensor] = []  # of the images that watch, and their labels
        self.labels: list[torch.Tensor] = []

    def exported(self) -> nn.Module:
        """The online backbone."""
        return self.network.backbone

    def compiled(self) -> tuple[nn.Module, ...]:
        """Both networks."""
        return (self.network,) if self.target is None else (self.network, self.target)

    def loss(self, images: torch.Tensor) -> torch.Tensor:
        """Args: images uint8 (N, S, S, 3) at the cache's size."""
        with self.exact():  # a convolution of an augmentation would round the pixels
            pair = views.pair(self.unit(images), self.recipe, self.normalise)
        return self.compare(*pair)

    def compare(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Gives the loss of two views (N, 3, size, size): each predicts the other, in [0, 8]."""
        one, predicted_other = self.network(first)
        other, predicted_one = self.network(second)
        self.spreads.append(spread(one))
        if self.target is None:
            # byol_pytorch computes the same values anew, without a gradient.
            targets = one.detach(), other.detach()
        else:
            with torch.no_grad():
                targets = self.target(first), self.target(second)
        with self.exact():
            return distance(predicted_one, targets[0]) + distance(predicted_other, targets[1])

    def on_train_start(self):
        """Looks up once what moves: walking through a network takes milliseconds."""
        if self.target is not None:
            self._moved = _pairs(self.target.named_parameters(), self.network.named_parameters())
            self._copied = _pairs(self.target.named_buffers(), self.network.named_buffers())

    def on_train_epoch_start(self):
        """Forgets what was measured of the last epoch."""
        super().on_train_epoch_start()
        self.spreads = []

    @torch.no_grad()
    def on_train_batch_end(self, outputs, batch, step):
        """Moves the target after the optimiser: target <- tau * target + (1 - tau) * online."""
        if self.target is not None:
            done = self.current_epoch * self.steps + step
            decay = tau(self.recipe.tau, done, self.recipe.epochs * self.steps)
            torch._foreach_lerp_(*self._moved, 1 - decay)  # one launch, not hundreds
            if self._copied[0]:  # with target_norm=running
                torch._foreach_copy_(*self._copied)
        super().on_train_batch_end(outputs, batch, step)

    def measured(self) -> dict[str, float]:
        """Gives the loss, the spread of the projections and, some epochs, the k-NN accuracy.

        Raises:
            UserError: a loss is not finite; the projections have collapsed.
        """
        found = super().measured()
        mean = torch.stack(self.spreads).double().mean()
        if self.trainer.world_size > 1:
            dist.all_reduce(mean)
            mean /= self.trainer.world_size
        if mean < self.recipe.collapse:
            raise UserError(
                f"collapsed: in epoch {self.current_epoch + 1} all images have nearly one "
                f"projection (spread {mean:.4f}, below collapse={self.recipe.collapse}): begin "
                "anew with a lower lr=, more warmup= or another batch_size="
            )
        return {**found, "spread": mean.item()}

    def told(self, measured: dict[str, float]) -> dict[str, float]:
        """The spread, and the k-NN accuracy where it was measured."""
        names = {"spread": "spread", self.score_name: "k-NN accuracy"}
        return {said: measured[name] for name, said in names.items() if name in measured}

    def is_measured_at(self, epoch: int) -> bool:
        """After the first epoch, the last, and every `watch` epochs."""
        return epoch in (0, self.recipe.epochs - 1) or (epoch + 1) % self.recipe.watch == 0

    def validation_step(self, batch, _):
        """Measures in the run's own precision: neighbours are not moved by rounding."""
        self.measure(*batch)

    def measure(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Notes features; images uint8 (N, size, size, 3), labels int64 (N,)."""
        images = self.normalise(self.unit(images))
        self.features.append(self.network.backbone.features(images).float())
        self.labels.append(labels)

    def score(self) -> float:
        """k-NN accuracy of the backbone's features, in [0, 1]."""
        accuracy = knn_accuracy(torch.cat(self.features), torch.cat(self.labels))
        self.features, self.labels = [], []
        return accuracy


def _pairs(some: Iterable, many: Iterable) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Gives the tensors of `some`, and those of the same names in `many`."""
    named, others = dict(some), dict(many)
    return list(named.values()), [others[name] for name in named]
