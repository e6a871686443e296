"""What a problem trains: a network, its loss on a batch, and its score on held-out images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from inference import UserError
from inference.networks import build, initialise
from training.engine.pretrained import start_from


class TrainingModule(nn.Module):
    """A network with its loss and its metric: plain torch, which knows nothing of a loop.

    A subclass has `loss(*batch)`, `measure(network, *batch)` and `score()`. It is made of a
    `training.engine.recipe.Recipe`.

    Attributes:
        metric: the score's column in metrics.csv.
        reduced_counters: names of the attributes, numbers or tensors, that `measure` adds to. Of
            several processes each then measures a share, and the sums are what `score` sees.
            Without names each process measures everything.
        measures_in_fp32: whether held-out images are predicted without autocast: rounded logits
            might choose another epoch.
        network: is trained.
        epoch: the one that is being trained, from 0; the loop sets it.
    """

    metric = "score"
    reduced_counters: tuple[str, ...] = ()
    measures_in_fp32 = True
    mean: Tensor
    std: Tensor

    def __init__(self, recipe: Any) -> None:
        super().__init__()
        self.recipe, self.epoch = recipe, 0
        self.network = build(recipe.network, recipe.classes, **recipe.arguments)
        if recipe.init == "he":
            initialise(self.network, zero_residual=True)
        elif recipe.init == "torchvision":
            for layer in self.network.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        start_from(self.network, recipe.network, recipe.pretrained)
        self.register_buffer("mean", torch.tensor(recipe.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(recipe.std).view(3, 1, 1), persistent=False)

    def forward(self, *batch: Tensor) -> Tensor:
        """Return the loss: what Fabric calls, with autocast and among several processes.

        Raises:
            UserError: BatchNorm would have to normalise a single value by itself.
        """
        try:
            return self.loss(*batch)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UserError(
                f"batch_size={self.recipe.batch_size} is too small for the BatchNorm of "
                f"{self.recipe.network}: each process needs two images or more"
            ) from error

    def loss(self, *batch: Tensor) -> Tensor:
        """Return the mean loss of a uint8 batch, augmented."""
        raise NotImplementedError

    def measure(self, network: nn.Module, *batch: Tensor) -> None:
        """Predict a held-out batch with `network`, and add the result to what `score` sums up."""
        raise NotImplementedError

    def score(self) -> dict[str, float]:
        """Return the score of what was measured since the last call, under `metric`.

        Higher is better. Further numbers, the IoU of each class say, may stand beside it.
        """
        raise NotImplementedError

    def exported(self, average: nn.Module) -> nn.Module:
        """Return the network whose weights a run leaves behind: the averaged one."""
        return average

    def is_trained(self, key: str) -> bool:
        """Return whether what has this key in the network's state dict is trained, not frozen."""
        return True

    def modules_to_compile(self) -> tuple[nn.Module, ...]:
        """Return what a step calls, to be compiled with `compile=true`."""
        return (self.network,)

    def is_measured_at(self, epoch: int) -> bool:
        """Return whether the held-out images are measured after an epoch, counted from 0."""
        return self.recipe.is_due(epoch)

    def start_epoch(self) -> None:
        """Forget what was noted of the last epoch."""

    def after_step(self, step: int, steps: int) -> None:
        """Do what follows each optimiser step, such as moving a target.

        Args:
            step: how many steps were taken before this one.
            steps: of the whole run.
        """

    def epoch_values(self) -> dict[str, Tensor]:
        """Return further scalars of the epoch for metrics.csv, where processes are averaged."""
        return {}

    def check_epoch(self, values: dict[str, float]) -> None:
        """Raise UserError where an epoch's numbers say that it makes no sense to go on."""

    def log_values(self, values: dict[str, float]) -> dict[str, float]:
        """Return what an epoch's line says beside the loss, by name."""
        if self.metric not in values:
            return {}
        split = "held-out" if self.recipe.select_epoch_by.held_out else "val"
        return {f"{split} {self.metric}": values[self.metric]}

    def to_float(self, images: Tensor) -> Tensor:
        """Return uint8 (N, H, W, 3) as float (N, 3, H, W) in [0, 1], channels_last."""
        return images.permute(0, 3, 1, 2).float().div_(255)

    def normalise(self, images: Tensor) -> Tensor:
        """Return images less the recipe's mean, divided by its standard deviation."""
        return images.sub(self.mean).div(self.std).contiguous(memory_format=torch.channels_last)

    @contextlib.contextmanager
    def full_precision(self) -> Iterator[None]:
        """Compute everything in fp32, whatever the precision: without autocast and TF32."""
        matmul, tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        try:
            with torch.autocast(self.mean.device.type, enabled=False):
                yield
        finally:
            torch.set_float32_matmul_precision(matmul)
            torch.backends.cudnn.allow_tf32 = tf32
