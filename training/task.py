"""What every task trains: a network, its moving average, the optimiser and its schedule."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import lightning
import numpy as np
import torch
from torch import nn

from inference import UserError, checkpoint
from inference.networks import build, check_state, initialise


class Task(lightning.LightningModule):
    """What the tasks share: the network, its average, the optimiser and its schedule.

    A subclass gives `loss(*batch)` and `measure(*batch)`, and `score()` from what was measured.

    Args:
        recipe: a frozen dataclass; the fields used here are documented in the recipes.
    """

    score_name = "score"

    def __init__(self, recipe):
        super().__init__()
        self.recipe = recipe
        self.network = build(recipe.network, recipe.classes, **recipe.arguments)
        initialise(self.network, zero_residual=True)
        if recipe.pretrained != "none":
            _start_from(self.network, Path(recipe.pretrained))
        self.last_loss = None
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.register_buffer("mean", torch.tensor(recipe.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(recipe.std).view(3, 1, 1), persistent=False)

    def loss(self, *batch: torch.Tensor) -> torch.Tensor:
        """Augments a uint8 batch and gives its mean loss."""
        raise NotImplementedError

    def measure(self, *batch: torch.Tensor) -> None:
        """Takes a held-out batch into account, predicted by the average."""
        raise NotImplementedError

    def score(self) -> float:
        """Gives the score of what was measured since the last call, higher is better."""
        raise NotImplementedError

    def unit(self, images: torch.Tensor) -> torch.Tensor:
        """Turns uint8 (N, H, W, 3) into float (N, 3, H, W) in [0, 1], channels_last."""
        return images.permute(0, 3, 1, 2).float().div_(255)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Subtracts the recipe's mean and divides by its standard deviation."""
        return images.sub(self.mean).div(self.std).contiguous(memory_format=torch.channels_last)

    def on_train_batch_start(self, batch, step):
        """Makes all draws of this step, dropout's included, a function of (seed, epoch, step)."""
        place = (self.recipe.seed, self.current_epoch, step, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def training_step(self, batch, step):
        """One step; a loss that is not finite ends the run."""
        loss = self.loss(*batch)
        self._check(self.last_loss)
        self.last_loss = loss.detach()
        self.log("loss", self.last_loss, on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def _check(self, loss):
        # The loss of the step before: asking for this step's would stop the GPU's queue.
        if loss is not None and not math.isfinite(loss.item()):
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            step = self.global_step
            raise UserError(f"the loss is {loss.item()} at step {step}, rate {rate:.3g}: lower lr=")

    def on_train_epoch_end(self):
        """Checks the epoch's last loss, before anything of the epoch is kept."""
        self._check(self.last_loss)
        self.last_loss = None

    def on_train_batch_end(self, *_):
        """Moves the average: average <- decay * average + (1 - decay) * network."""
        # A young average would be mostly its random start: the decay grows with the steps done.
        decay = min(self.recipe.ema, (1 + self.global_step) / (10 + self.global_step))
        pairs = zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        )
        floats = [(ours, theirs) for ours, theirs in pairs if ours.is_floating_point()]
        ours, theirs = zip(*floats, strict=True)
        torch._foreach_lerp_(ours, theirs, 1 - decay)  # one launch, not hundreds

    def validation_step(self, batch, _):
        """Measures the average."""
        self.measure(*batch)

    def on_validation_epoch_end(self):
        """Logs the score of the epoch."""
        self.log(self.score_name, self.score(), prog_bar=True)

    def configure_optimizers(self):
        """SGD or AdamW; weight decay on weights alone, not on norms and biases."""
        recipe = self.recipe
        weights = [p for p in self.network.parameters() if p.dim() > 1]
        others = [p for p in self.network.parameters() if p.dim() <= 1]
        groups = [
            {"params": weights, "weight_decay": recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        if recipe.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, recipe.lr, momentum=0.9, nesterov=True)
        else:
            optimizer = torch.optim.AdamW(groups, recipe.lr)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: warm_cosine(step / steps, recipe.warmup)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _start_from(network: nn.Module, file: Path) -> None:
    """Loads weights to start from; a classifier (`fc`) of another shape keeps its random start.

    Raises:
        UserError: the file is missing, no checkpoint, or another network's.
    """
    try:
        with file.open("rb") as stream:
            given = checkpoint.state_dict(stream, file)
    except OSError as error:
        raise UserError(f"cannot read pretrained={file}: {error.strerror}") from error
    own = network.state_dict()
    heads = [{k: v.shape for k, v in s.items() if k.startswith("fc.")} for s in (own, given)]
    if heads[0] != heads[1]:
        trunk = {key: value for key, value in given.items() if not key.startswith("fc.")}
        given = {**trunk, **{key: value for key, value in own.items() if key.startswith("fc.")}}
    check_state(type(network).__name__, own, given)
    network.load_state_dict(given)


def warm_cosine(progress: float, warmup: float) -> float:
    """Gives the factor on the rate: linear from 0 to 1, then half a cosine down to 0.

    Args:
        progress: share of all steps done, in [0, 1].
        warmup: share of all steps that the rise takes.
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))
