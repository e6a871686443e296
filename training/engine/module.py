"""What every task trains: a network, its moving average, and one step of it."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from pathlib import Path

import lightning
import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from inference import UserError
from inference.networks import build, initialise
from training.engine import schedules as schedule
from training.engine.pretrained import start_from

UNSEEN = 50  # losses that a GPU may compute before somebody looks whether they are finite


class Task(lightning.LightningModule):
    """What the tasks share: the network, its average, the optimiser and its schedule.

    A subclass gives `loss(*batch)` and `measure(*batch)`, and `score()` from what was measured.

    Attributes:
        network: is trained.
        average: is measured and, if a task does not say otherwise, exported: the moving average,
            or with `ema=0` the network.
        counts: names of the attributes, numbers or tensors, that `measure` adds to. Of several
            processes each then measures a share, and the sums are what `score` sees. Without
            names each process measures everything.
        steps: of an epoch; `fit` sets it.

    Args:
        recipe: a frozen dataclass; the fields used here are documented in the recipes.
    """

    score_name = "score"
    counts: tuple[str, ...] = ()

    def __init__(self, recipe):
        super().__init__()
        self.recipe, self.steps = recipe, 0
        self.network = build(recipe.network, recipe.classes, **recipe.arguments)
        if recipe.initialise == "he":
            initialise(self.network, zero_residual=True)
        elif recipe.initialise == "torchvision":
            for layer in self.network.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        start_from(self.network, recipe.network, recipe.pretrained)
        self.average = self.network
        if recipe.ema:
            self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.register_buffer("mean", torch.tensor(recipe.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(recipe.std).view(3, 1, 1), persistent=False)
        self.losses: list[torch.Tensor] = []  # of the epoch, each with its rate
        self.rates: list[float] = []
        self.looked_at, self.scores = 0, {}

    @contextlib.contextmanager
    def exact(self) -> Iterator[None]:
        """Computes everything in fp32, whatever the precision: without autocast and TF32."""
        matmul, tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        try:
            with torch.autocast(self.device.type, enabled=False):
                yield
        finally:
            torch.set_float32_matmul_precision(matmul)
            torch.backends.cudnn.allow_tf32 = tf32

    def loss(self, *batch: torch.Tensor) -> torch.Tensor:
        """Augments a uint8 batch and gives its mean loss."""
        raise NotImplementedError

    def measure(self, *batch: torch.Tensor) -> None:
        """Takes a held-out batch into account, predicted by the average."""
        raise NotImplementedError

    def score(self) -> float:
        """Gives the score of what was measured since the last call, higher is better."""
        raise NotImplementedError

    def exported(self) -> nn.Module:
        """Gives the network whose weights a run leaves behind."""
        return self.average

    def compiled(self) -> tuple[nn.Module, ...]:
        """Gives what a step calls, to be compiled with `compile=true`."""
        return (self.network,)

    def is_measured_at(self, epoch: int) -> bool:
        """Whether the held-out images are measured after an epoch, counted from 0."""
        return self.recipe.is_due(epoch)

    def told(self, measured: dict[str, float]) -> dict[str, float]:
        """Gives what an epoch's line says beside the loss, by name."""
        if self.score_name not in measured:
            return {}
        split = "held-out" if self.recipe.holds_out() else "val"
        return {f"{split} {self.score_name}": measured[self.score_name]}

    def unit(self, images: torch.Tensor) -> torch.Tensor:
        """Turns uint8 (N, H, W, 3) into float (N, 3, H, W) in [0, 1], channels_last."""
        return images.permute(0, 3, 1, 2).float().div_(255)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Subtracts the recipe's mean and divides by its standard deviation."""
        return images.sub(self.mean).div(self.std).contiguous(memory_format=torch.channels_last)

    def on_train_epoch_start(self):
        """Forgets what was measured of the last epoch."""
        self.losses, self.rates, self.looked_at, self.scores = [], [], 0, {}

    def on_train_batch_start(self, batch, step):
        """Makes all draws of this step, dropout's included, a function of (seed, epoch, step)."""
        place = (self.recipe.seed, self.current_epoch, step, self.global_rank)
        seed = int(np.random.SeedSequence(place).generate_state(1)[0])
        # torch.manual_seed does the same, for every device that there might be.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def training_step(self, batch, step):
        """One step; a loss that is not finite ends the run."""
        loss = self.loss(*batch)
        self.losses.append(loss.detach())
        groups = self.optimizers(use_pl_optimizer=False).param_groups
        self.rates.append(max(group["lr"] for group in groups))
        # Looking at a GPU's value means to wait for it.
        if loss.device.type == "cpu" or len(self.losses) - self.looked_at >= UNSEEN:
            self._check()
        return loss

    def _check(self):
        unseen = torch.stack(self.losses[self.looked_at :])
        for index, loss in enumerate(unseen.tolist(), self.looked_at):
            if not math.isfinite(loss):
                step = self.current_epoch * self.steps + index
                rate = self.rates[index]
                raise UserError(f"the loss is {loss} at step {step}, rate {rate:.3g}: lower lr=")
        self.looked_at = len(self.losses)

    def measured(self) -> dict[str, float]:
        """Gives the epoch's mean loss, its score where there is one, and its last rate, the
        highest of all layers'.

        Raises:
            UserError: a loss is not finite.
        """
        if self.looked_at < len(self.losses):
            self._check()
        loss = torch.stack(self.losses).double().mean()
        if self.trainer.world_size > 1:
            dist.all_reduce(loss)
            loss /= self.trainer.world_size
        return {"loss": loss.item(), **self.scores, "lr": self.rates[-1]}

    def on_train_batch_end(self, outputs, batch, step):
        """Moves the average: average <- decay * average + (1 - decay) * network."""
        if self.recipe.ema:
            # A young average would be mostly its start: the decay grows with the steps done.
            decay = min(self.recipe.ema, (1 + self.global_step) / (10 + self.global_step))
            torch._foreach_lerp_(*self._floats, 1 - decay)  # one launch, not hundreds
        if self.trainer.world_size > 1 and step + 1 == self.steps:
            self._agree()

    def on_train_start(self):
        """Looks the tensors up once: walking through a large network takes milliseconds."""
        both = self.average.state_dict().values(), self.network.state_dict().values()
        self._floats = [[v for v in values if v.is_floating_point()] for values in both]

    @torch.no_grad()
    def _agree(self):
        """Averages the statistics of BN over the processes, each of which saw other images."""
        networks = (self.network, self.average) if self.recipe.ema else (self.network,)
        buffers = [b for n in networks for b in n.buffers() if b.is_floating_point()]
        if not buffers:
            return
        flat = torch.cat([buffer.flatten() for buffer in buffers])
        dist.all_reduce(flat)
        flat /= self.trainer.world_size
        parts = flat.split([buffer.numel() for buffer in buffers])
        for buffer, part in zip(buffers, parts, strict=True):
            buffer.copy_(part.view_as(buffer))

    def validation_step(self, batch, _):
        """Measures the average, in fp32: rounded logits might choose another epoch."""
        with self.exact():
            self.measure(*batch)

    def on_validation_epoch_end(self):
        """Sums the processes' counts and keeps the score."""
        if self.trainer.world_size > 1:
            for name in self.counts:
                own = getattr(self, name)
                total = torch.as_tensor(own, device=self.device)
                dist.all_reduce(total)
                setattr(self, name, total if torch.is_tensor(own) else total.item())
        self.scores = {self.score_name: self.score()}

    def configure_optimizers(self):
        """The recipe's optimiser, its rates set before every step."""
        optimizer = schedule.optimizer(self.recipe, self.network)
        rates = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: schedule.factor(self.recipe, step, self.steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}


def expect_as_many(epochs: int, out: Path, device: torch.device) -> None:
    """Makes sure that every process goes on from the same epoch, as it must in each step.

    Raises:
        UserError: a host has another `last.ckpt` than the others, or none.
    """
    bounds = torch.tensor([epochs, -epochs], device=device)
    dist.all_reduce(bounds, dist.ReduceOp.MAX)
    if bounds[0].item() != -bounds[1].item():
        raise UserError(
            f"{epochs} epochs are done here, and not as many on every host: {out} has to be one "
            "folder, which all of them share; or copy its last.ckpt to each"
        )
