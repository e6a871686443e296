"""Training, whatever the task: the only file that knows Lightning's Trainer.

    fit(task, train, held_out, out)

trains `task.network`, keeps an exponential moving average (EMA) of its weights, measures that
average on the held-out split after every epoch, and leaves in the folder `out` what
`training/keep.py` lists. A task may say otherwise: what it exports, and when it is measured.

Every random draw is a function of (seed, epoch, step): the task seeds the global generators anew
before each step, and the order of the images is drawn for each epoch. So a run that was killed
ends as an uninterrupted one does.

Under torchrun every process trains on its share of each batch, `batch_size` in all, and the
gradients are averaged: the steps are those of one process.
"""

from __future__ import annotations

import logging
import math
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from tqdm import tqdm

from inference import UserError
from inference.device import fast_precisions
from inference.sharding import local_rank_and_world, rank_and_world
from training import depthwise, keep
from training.ahead import Ahead
from training.memory import Batches
from training.task import Task, expect_as_many


def fit(
    task: Task,
    train: Batches,
    held_out: Batches | None,
    out: Path,
    say: Callable[[str], None] = print,
) -> dict:
    """Trains, or goes on where a killed run stopped.

    Args:
        train: batches of uint8 images and what `task.loss` takes beside them.
        held_out: the same for `task.measure`; None with `select=last`.
        out: the run's folder; made if need be.

    Returns:
        `held_out` (the score that chose the epoch, or None), `metric` (its name), `best_epoch`
        (from 0), `epochs` done, `seconds` of all parts, `trained_on` images, `precision`.

    Raises:
        UserError: the loss is not finite; the folder cannot be written.
        KeyboardInterrupt: as it says.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the run's folder {out}: {error.strerror}") from error
    _set_up(task)
    task.steps = len(train)
    run = _Run(out, train, held_out, say)
    trainer = _trainer(task.recipe, run)
    _go(trainer, task, run, out / "last.ckpt")
    return {
        "held_out": None if math.isinf(run.best) else run.best,
        "metric": task.score_name,
        "best_epoch": run.best_epoch,
        "epochs": run.done,
        "seconds": run.seconds,
        "trained_on": len(train.indices),
        "precision": trainer.precision,
    }


def _set_up(task: Task) -> None:
    """Chooses how exactly and in which memory format the task computes."""
    exact = task.recipe.precision == "fp32"
    torch.set_float32_matmul_precision("highest" if exact else "high")
    torch.backends.cudnn.allow_tf32 = not exact  # convolutions have a switch of their own
    task.to(memory_format=torch.channels_last)
    if not torch.cuda.is_available():
        depthwise.speed_up(task.network)
    if task.recipe.compile:
        for network in task.compiled():
            network.compile()
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # not its tips, nor what is known


def _go(trainer: lightning.Trainer, task: Task, run: _Run, last: Path) -> None:
    with warnings.catch_warnings():
        # Lightning recommends DataLoader workers; batches come from memory, ahead of need.
        warnings.filterwarnings("ignore", module="lightning")
        try:
            trainer.fit(task, run.train, run.held_out, ckpt_path=last if last.exists() else None)
        except SystemExit as error:  # Lightning's way to say that somebody pressed Ctrl-C
            raise KeyboardInterrupt from error


def _trainer(recipe, run: _Run) -> lightning.Trainer:
    """One process a device: torchrun starts as many as there are to be."""
    _, world = rank_and_world()
    _, local = local_rank_and_world()
    gpus = torch.cuda.device_count()
    if recipe.batch_size % world:
        raise UserError(f"batch_size={recipe.batch_size} cannot be divided among {world} processes")
    if gpus and gpus < local:
        raise UserError(f"{local} processes on a host with {gpus} GPUs: start one for each")
    return lightning.Trainer(
        max_epochs=recipe.epochs,
        accelerator="gpu" if gpus else "cpu",
        devices=local,
        num_nodes=world // local,
        # The buffers of BN are averaged once an epoch instead, see Task; a task's counts must
        # not be overwritten by those of rank 0.
        strategy=DDPStrategy(broadcast_buffers=False) if world > 1 else "auto",
        sync_batchnorm=bool(gpus) and world > 1,
        precision=_precision(recipe.precision),
        callbacks=[run, *([_Bar()] if sys.stderr.isatty() else [])],
        plugins=[_Whole(), _Started()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )


def _precision(wanted: str) -> str:
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    fast = wanted == "auto" and "bf16" in fast_precisions(device)
    return "bf16-mixed" if fast or wanted == "bf16" else "32-true"


class _Whole(TorchCheckpointIO):
    """Checkpoints that are there whole or not at all, and hold nothing but plain values."""

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        keep.save(checkpoint, Path(path))

    def load_checkpoint(self, path, map_location=None, weights_only=None) -> dict:
        try:
            return torch.load(path, map_location or "cpu", weights_only=True)
        except Exception as error:  # strange bytes make an unpickler raise nearly anything
            raise UserError(f"cannot go on from {path}: remove it to begin anew") from error


class _Started(TorchElasticEnvironment):
    """The processes that torchrun started, or one alone.

    Left to itself, Lightning would take a batch job of SLURM, LSF or MPI for several processes.
    """

    def world_size(self) -> int:
        return rank_and_world()[1]

    def global_rank(self) -> int:
        return rank_and_world()[0]

    def local_rank(self) -> int:
        return local_rank_and_world()[0]

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        pass  # both are made of the same variables


class _Run(Callback):
    """The course of a run: which batches, which epoch is best, when to stop, what to keep."""

    def __init__(self, out: Path, train: Batches, held_out: Batches | None, say: Callable):
        self.out, self.say = out, say
        self.train = Ahead(train)
        self.held_out = None if held_out is None else Ahead(held_out)
        self.best, self.best_epoch, self.done = -math.inf, -1, 0
        self.seconds, self.curves = 0.0, None

    def state_dict(self) -> dict:
        return {name: getattr(self, name) for name in ("best", "best_epoch", "done", "seconds")}

    def load_state_dict(self, state: dict) -> None:
        vars(self).update(state)

    def on_fit_start(self, trainer, task) -> None:
        device = trainer.strategy.root_device
        if trainer.world_size > 1:
            expect_as_many(self.done, self.out, device)
        trainer.should_stop = self._is_patience_over(task.recipe)
        for batches, shared in ((self.train, True), (self.held_out, bool(task.counts))):
            if batches is not None:
                batches.device = device
                if shared:
                    batches.divide(trainer.global_rank, trainer.world_size)

    def on_train_epoch_start(self, trainer, task) -> None:
        self.start = time.monotonic()
        self.train.epoch(trainer.current_epoch)
        # Lightning looks at this at the epoch's end, and counts epochs: every one, or none.
        measured = task.is_measured_at(trainer.current_epoch)
        trainer.check_val_every_n_epoch = 1 if measured else trainer.max_epochs + 1

    def on_train_epoch_end(self, trainer, task) -> None:
        measured = task.measured()  # on every rank: it sums over them
        score = measured.get(task.score_name, -math.inf)
        self.done = trainer.current_epoch + 1
        seconds = time.monotonic() - self.start
        self.seconds += seconds
        if task.recipe.select == "last" or score > self.best:
            self.best, self.best_epoch = score, trainer.current_epoch
        images = len(self.train) * task.recipe.batch_size
        speed = {"seconds": round(seconds, 3), "images_per_second": round(images / seconds, 1)}
        if trainer.is_global_zero:
            self._write(task, {"epoch": trainer.current_epoch, **measured, **speed})
        if task.recipe.is_due(trainer.current_epoch):
            trainer.save_checkpoint(self.out / "last.ckpt", weights_only=False)  # on every rank
        if trainer.is_global_zero:
            self.say(self._line(task, measured, speed))
        trainer.should_stop = self._is_patience_over(task.recipe)

    def _write(self, task: Task, row: dict) -> None:
        if self.best_epoch == row["epoch"] and task.recipe.is_due(row["epoch"]):
            keep.save_weights(task.exported(), self.out / "best.pth")
        if self.done in task.recipe.kept():
            keep.save_weights(task.exported(), self.out / f"epoch-{self.done:04}.pth")
        keep.add_row(self.out / "metrics.csv", row)
        if self.curves is None:
            self.curves = keep.Curves(self.out / "tensorboard", row["epoch"])
        self.curves.add(row)

    def _line(self, task: Task, measured: dict, speed: dict) -> str:
        line = f"epoch {self.done}/{task.recipe.epochs}: loss {measured['loss']:.4f}"
        for name, value in task.told(measured).items():
            line += f", {name} {value:.4f}"
        if self.held_out is not None and task.recipe.select != "last":
            line += f" (best {self.best:.4f})"
        return f"{line}, {speed['seconds']:.1f} s, {speed['images_per_second']:.0f} images/s"

    def _is_patience_over(self, recipe) -> bool:
        return 0 < recipe.patience < self.done - self.best_epoch

    def teardown(self, trainer, task, stage) -> None:
        if self.curves:
            self.curves.close()


class _Bar(Callback):
    """A bar for each epoch, on a terminal."""

    def on_train_epoch_start(self, trainer, task) -> None:
        name = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.bar = tqdm(total=trainer.num_training_batches, desc=name, leave=False, unit="batch")

    def on_train_batch_end(self, *_) -> None:
        self.bar.update()

    def on_train_epoch_end(self, *_) -> None:
        self.bar.close()
