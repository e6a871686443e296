"""The training loop: one epoch after the other, read from top to bottom.

    train(module, batches, measured, folder)

trains `module.network`, keeps an exponential moving average (EMA) of its weights, measures that
average on the held-out images after every epoch, and leaves in `folder` what
`training/engine/checkpoint.py` lists.

Every random draw is a function of (seed, epoch, step): the generators are seeded anew before each
step, and the order of the images is drawn for each epoch. So a run that was killed ends as an
uninterrupted one does, to the bit at an equal number of threads (see `training/engine/threads.py`).

Devices, precision and processes are Lightning Fabric's (`training/engine/devices.py`). Under
torchrun every process trains on its share of each batch, `batch_size` in all, and the gradients are
averaged: the steps are those of one process.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from lightning.fabric import Fabric
from torch import nn
from tqdm import tqdm

from inference import UserError
from training.data.batches import Batches
from training.engine import checkpoint
from training.engine.devices import (
    expect_as_many,
    make_fabric,
    precision_of,
    prepare,
    sync_bn_buffers,
)
from training.engine.ema import EMA
from training.engine.module import TrainingModule
from training.engine.prefetch import Prefetcher
from training.engine.threads import Threads

UNSEEN = 50  # losses on a GPU from one check that they are finite to the next: a check waits


@dataclass(frozen=True)
class Outcome:
    """What a run came to: its progress, and how many images it trained on."""

    progress: checkpoint.Progress
    trained_on: int

    @property
    def score(self) -> float | None:
        """The score that chose the epoch, or the last one where none did; None without."""
        return None if math.isinf(self.progress.best) else self.progress.best


def train(
    module: TrainingModule,
    batches: Batches,
    measured: Batches | None,
    folder: Path,
    log: Callable[[str], None] = print,
) -> Outcome:
    """Train, or go on where a killed run stopped.

    Args:
        batches: of uint8 images and what `module.loss` takes beside them.
        measured: the same for `module.measure`; None where nothing is.
        folder: the run's; made if need be.
        log: takes a line an epoch.

    Raises:
        UserError: the loss is not finite; the folder cannot be written.
    """
    last = folder / "last.ckpt"
    recipe, state = module.recipe, checkpoint.load_state(last)
    folder.mkdir(parents=True, exist_ok=True)
    fabric = make_fabric(recipe)
    module, ema = prepare(module, fabric)
    optimizer = recipe.optimizer.build(module.network, recipe.starts_pretrained)
    peaks = [group["lr"] for group in optimizer.param_groups]
    parts: checkpoint.Parts = {"module": module, "ema": ema, "optimizer": optimizer}
    progress = checkpoint.restore(parts, state, last)
    before, progress.precision = progress.precision, precision_of(recipe.precision)
    if fabric.is_global_zero:
        _note_change(before, progress.precision, log)
    if fabric.world_size > 1:
        expect_as_many(progress.epochs, folder, fabric.device)
    steps = Steps(fabric, module, ema, optimizer, peaks, batches, log)
    held_out = None if measured is None else _divided(measured, module, fabric)
    with checkpoint.Curves(folder / "tensorboard") as curves:
        while not progress.is_over(recipe):
            epoch, start = progress.epochs, time.monotonic()
            losses = steps.take(epoch)
            if fabric.world_size > 1:
                sync_bn_buffers(module, ema, fabric.world_size)
            due = held_out if module.is_measured_at(epoch) else None
            scores = evaluate(module, ema.network, due, fabric) if due is not None else {}
            values = _epoch_values(module, losses, scores, fabric)
            seconds = time.monotonic() - start
            progress.add(recipe, values.get(module.metric, -math.inf), seconds)
            if fabric.is_global_zero:
                row = _row(progress, values, len(batches) * recipe.batch_size, seconds)
                checkpoint.save_epoch(module.exported(ema.network), progress, recipe, folder)
                checkpoint.add_row(folder / "metrics.csv", row)
                curves.add(row)
                if recipe.is_due(epoch):
                    checkpoint.save_state(parts, progress, last)
                log(_line(module, row, progress, held_out is not None))
    return Outcome(progress, len(batches.indices))


class Steps:
    """The optimiser's steps, an epoch at a time.

    Args:
        peaks: the highest rate of each group of the optimiser.
        batches: of all processes; each takes its share.
    """

    def __init__(
        self,
        fabric: Fabric,
        module: TrainingModule,
        ema: EMA,
        optimizer: torch.optim.Optimizer,
        peaks: Sequence[float],
        batches: Batches,
        log: Callable[[str], None],
    ) -> None:
        self.module, self.ema, self.batches, self.fabric = module, ema, batches, fabric
        self.optimizer, self.peaks = optimizer, peaks
        batches.rank, batches.world = fabric.global_rank, fabric.world_size
        self.ahead = Prefetcher(batches, fabric.device)
        with warnings.catch_warnings():
            # torch's own remark on an optimiser that was wrapped; nothing that is decided here
            warnings.filterwarnings("ignore", module="lightning")
            self.wrapped, self.stepper = fabric.setup(module, optimizer)
        one_cpu = fabric.device.type == "cpu" and fabric.world_size == 1
        self.threads = Threads(module.recipe.precision == "fp32", one_cpu, log)

    def take(self, epoch: int) -> Losses:
        """Take the steps of an epoch, counted from 0."""
        module, recipe, steps = self.module, self.module.recipe, len(self.batches)
        module.epoch = self.batches.epoch = epoch
        module.start_epoch()
        module.train()
        losses = Losses(epoch * steps, recipe.optimizer.rates)
        began = time.perf_counter()
        for step, batch in enumerate(_bar(self.ahead, epoch, recipe.epochs)):
            done = epoch * steps + step
            seed_draws(recipe.seed, epoch, step, self.fabric.global_rank)
            factor = recipe.schedule.factor(done, steps, recipe.epochs, recipe.optimizer.lr)
            for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
                group["lr"] = peak * factor
            loss = self.wrapped(*batch)
            self.optimizer.zero_grad()
            self.fabric.backward(loss)
            losses.add(loss, max(group["lr"] for group in self.optimizer.param_groups))
            self.stepper.step()
            module.after_step(done, recipe.epochs * steps)
            self.ema.update(done + 1)
            ended = time.perf_counter()
            self.threads.after_step(ended - began)
            began = ended
        return losses


def _note_change(before: str, now: str, log: Callable[[str], None]) -> None:
    """Say so where a run that goes on computes in another precision than it did before."""
    if before not in ("", now):
        log(
            f"note: this run was computed in {before} up to now and goes on in {now}, which is "
            "faster here: it ends otherwise than it would have ended there"
        )


def _divided(measured: Batches, module: TrainingModule, fabric: Fabric) -> Prefetcher:
    """Return the batches that this process measures: its share, where counters are summed up."""
    if module.reduced_counters:
        measured.rank, measured.world = fabric.global_rank, fabric.world_size
    return Prefetcher(measured, fabric.device)


def seed_draws(seed: int, epoch: int, step: int, rank: int) -> None:
    """Make all draws of a step, dropout's included, a function of (seed, epoch, step, rank)."""
    place = (seed, epoch, step, rank)
    number = int(np.random.SeedSequence(place).generate_state(1)[0])
    # torch.manual_seed does the same, for every device that there might be.
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(number)


class Losses:
    """The losses of an epoch's steps, each with its rate; one that is not finite ends the run."""

    def __init__(self, first: int, remedy: str) -> None:
        self.first, self.seen = first, 0  # the run's step that is the epoch's first
        self.remedy = remedy  # what is to be lowered
        self.values: list[torch.Tensor] = []
        self.rates: list[float] = []

    def add(self, loss: torch.Tensor, rate: float) -> None:
        """Note a step's loss; `check` it at once on a CPU, on a GPU every `UNSEEN` losses."""
        self.values.append(loss.detach())
        self.rates.append(rate)
        # Looking at a GPU's value means to wait for it.
        if loss.device.type == "cpu" or len(self.values) - self.seen >= UNSEEN:
            self.check()

    def check(self) -> None:
        """Raise UserError where a loss that nobody has looked at is not finite."""
        if self.seen == len(self.values):
            return
        for index, loss in enumerate(torch.stack(self.values[self.seen :]).tolist(), self.seen):
            if not math.isfinite(loss):
                step, rate = self.first + index, self.rates[index]
                where = f"at step {step}, rate {rate:.3g}"
                raise UserError(f"the loss is {loss} {where}: lower {self.remedy}")
        self.seen = len(self.values)


@torch.no_grad()
def evaluate(
    module: TrainingModule, network: nn.Module, batches: Iterable, fabric: Fabric
) -> dict[str, float]:
    """Return the scores of the averaged network on held-out images, over all processes."""
    module.eval()
    exact = module.full_precision if module.measures_in_fp32 else fabric.autocast
    for batch in batches:
        with exact():
            module.measure(network, *batch)
    module.train()
    if fabric.world_size > 1:
        for name in module.reduced_counters:
            own = getattr(module, name)
            total = torch.as_tensor(own, device=fabric.device)
            dist.all_reduce(total)
            setattr(module, name, total if torch.is_tensor(own) else total.item())
    return module.score()


def _epoch_values(
    module: TrainingModule, losses: Losses, scores: dict[str, float], fabric: Fabric
) -> dict[str, float]:
    """Return what was measured in an epoch: loss, scores, the last rate, and the module's own.

    Raises:
        UserError: a loss is not finite, or the module sees no sense in going on.
    """
    losses.check()
    own = {key: value.double() for key, value in module.epoch_values().items()}
    means = {"loss": torch.stack(losses.values).double().mean(), **own}
    if fabric.world_size > 1:
        for mean in means.values():
            dist.all_reduce(mean)
            mean /= fabric.world_size
    values = {key: mean.item() for key, mean in means.items()}
    module.check_epoch(values)
    return {"loss": values.pop("loss"), **scores, "lr": losses.rates[-1], **values}


def _row(
    progress: checkpoint.Progress, values: dict[str, float], images: int, seconds: float
) -> dict[str, float]:
    """Return an epoch's row of metrics.csv: what was measured, and how fast it was.

    Its epochs count from 1, as those that are said do.
    """
    return {
        "epoch": progress.epochs,
        **values,
        "seconds": round(seconds, 3),
        "images_per_second": round(images / seconds, 1),
        "best_epoch": progress.best_epoch + 1,
    }


def _bar(batches: Prefetcher, epoch: int, epochs: int) -> Iterable:
    """Return batches, with a bar where stderr is a terminal."""
    if not sys.stderr.isatty():
        return batches
    name = f"epoch {epoch + 1}/{epochs}"
    return tqdm(batches, desc=name, total=len(batches), leave=False, unit="batch")


def _line(
    module: TrainingModule, row: dict[str, float], progress: checkpoint.Progress, measured: bool
) -> str:
    """Return what is said of an epoch."""
    line = f"epoch {progress.epochs}/{module.recipe.epochs}: loss {row['loss']:.4f}"
    for name, value in module.log_values(row).items():
        line += f", {name} {value:.4f}"
    if measured and module.recipe.select_epoch_by.chooses:
        line += f" (best {progress.best:.4f})"
    return f"{line}, {row['seconds']:.1f} s, {row['images_per_second']:.0f} images/s"
