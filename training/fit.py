"""Training, whatever the task: the only file that knows Lightning's Trainer.

    fit(task, train, held_out, out)

trains `task.network`, keeps an exponential moving average (EMA) of its weights, validates that
average on the held-out split after every epoch, and leaves in the folder `out`

    last.ckpt      everything that the same command needs to go on from the last whole epoch
    best.pth       bare fp32 state dict of the average at the best epoch
    metrics.csv    what was logged, an epoch a row

Every random draw is a function of (seed, epoch, step): the task seeds the global generators anew
before each step, and the order of the images is drawn for each epoch.
"""

from __future__ import annotations

import csv
import math
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from inference import UserError
from inference.device import fast_precisions
from training.memory import Batches
from training.task import Task


class _Keep(Callback):
    """Keeps the run's files: whole or not at all, after every epoch."""

    def __init__(self, out: Path, say: Callable[[str], None]):
        self.out, self.say, self.best, self.best_epoch = out, say, -math.inf, -1

    def state_dict(self) -> dict:
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state: dict) -> None:
        self.best, self.best_epoch = state["best"], state["best_epoch"]

    def on_train_epoch_end(self, trainer, task) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        score = metrics[task.score_name]
        if score > self.best:
            self.best, self.best_epoch = score, trainer.current_epoch
        temporary = self.out / ".last.ckpt.tmp"
        trainer.save_checkpoint(temporary)  # on every rank: Lightning's own rule
        if not trainer.is_global_zero:
            return
        if self.best_epoch == trainer.current_epoch:
            _save(task.average, self.out / "best.pth")
        _append(self.out / "metrics.csv", {"epoch": trainer.current_epoch, **metrics})
        os.replace(temporary, self.out / "last.ckpt")
        self.say(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: loss {metrics['loss']:.4f}, "
            f"held-out {task.score_name} {score:.4f} (best {self.best:.4f})"
        )


def _save(network: nn.Module, file: Path) -> None:
    temporary = file.with_name(f".{file.name}.tmp")
    torch.save({k: v.float().cpu() if v.is_floating_point() else v.cpu()
                for k, v in network.state_dict().items()}, temporary)  # fmt: skip
    os.replace(temporary, file)


def _append(file: Path, row: dict) -> None:
    """Adds an epoch's row; rows of epochs that are done again after a resume are dropped."""
    rows = []
    if file.exists():
        with file.open(newline="") as text:
            rows = [old for old in csv.DictReader(text) if int(old["epoch"]) < row["epoch"]]
    temporary = file.with_name(f".{file.name}.tmp")
    with temporary.open("w", newline="") as text:
        writer = csv.DictWriter(text, row, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows([*rows, row])
    os.replace(temporary, file)


class _Epochs(Callback):
    """Tells the batches which epoch it is: their order depends on it."""

    def __init__(self, train: Batches):
        self.train = train

    def on_train_epoch_start(self, trainer, task) -> None:
        self.train.epoch = trainer.current_epoch
        self.train.rank, self.train.world = trainer.global_rank, trainer.world_size


def fit(
    task: Task, train: Batches, held_out: Iterable, out: Path, say: Callable[[str], None] = print
) -> dict:
    """Trains, or goes on where a killed run stopped.

    Args:
        train: batches of uint8 images and what `task.loss` takes beside them.
        held_out: the same for `task.measure`.
        out: the run's folder; made if need be.

    Returns:
        `held_out` (best score) and `best_epoch` (from 0).

    Raises:
        UserError: the loss is not finite; the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the run's folder {out}: {error.strerror}") from error
    torch.set_float32_matmul_precision("high")
    task.to(memory_format=torch.channels_last)
    keep = _Keep(out, say)
    trainer = lightning.Trainer(
        max_epochs=task.recipe.epochs,
        precision=_precision(task.recipe.precision),
        callbacks=[_Epochs(train), keep],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    last = out / "last.ckpt"
    with warnings.catch_warnings():
        # Lightning recommends DataLoader workers; batches come from memory, ahead of need.
        warnings.filterwarnings("ignore", module="lightning")
        trainer.fit(task, train, held_out, ckpt_path=last if last.exists() else None)
    return {"held_out": keep.best, "best_epoch": keep.best_epoch}


def _precision(wanted: str) -> str:
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    fast = wanted == "auto" and "bf16" in fast_precisions(device)
    return "bf16-mixed" if fast or wanted == "bf16" else "32-true"
