"""What a run leaves on disk: every file whole or not at all, so that a kill at any moment is safe.

last.ckpt        everything that the same command needs to go on from the last saved epoch
best.pth         bare fp32 state dict of what is exported at the epoch that was chosen
epoch-0001.pth   the same at the epochs that the recipe keeps, counted from 1
metrics.csv      what was measured, an epoch a row, counted from 1
tensorboard/     the same for TensorBoard
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from inference import UserError
from training.engine.recipe import Recipe

FORMAT = 2  # of last.ckpt
Parts = Mapping[str, Any]  # module, average and optimiser, each with a state


@dataclass
class Progress:
    """How far a run has come."""

    epochs: int = 0  # that are done
    best: float = -math.inf  # the best score, or the last if none is chosen; -inf without one
    best_epoch: int = -1  # the epoch of best.pth, from 0; -1 before there is one
    seconds: float = 0.0  # of all parts of the run
    precision: str = ""  # in which the last epoch was computed; "" where that was not noted

    def is_over(self, recipe: Recipe) -> bool:
        """Return whether the last epoch is done, or too many were without a better score.

        A score can get better only where it is measured, and last.ckpt is written there too.
        """
        patience, measured = recipe.select_epoch_by.stop_after, recipe.is_due(self.epochs - 1)
        stopped = measured and 0 < patience < self.epochs - self.best_epoch
        return self.epochs >= recipe.epochs or stopped

    def add(self, recipe: Recipe, score: float, seconds: float) -> None:
        """Note an epoch that is done: its score, -inf where it has none, and what it took."""
        epoch = self.epochs
        self.epochs += 1
        self.seconds += seconds
        if not recipe.select_epoch_by.chooses:
            self.best = score
            self.best_epoch = epoch if recipe.is_due(epoch) else self.best_epoch
        elif score > self.best:
            self.best, self.best_epoch = score, epoch


def write_whole(file: Path, content: bytes | memoryview) -> None:
    """Write a file beside its place and rename it into place.

    The name beside it is always the same: a run that was killed while it wrote does not litter.

    Raises:
        UserError: a full disk, say; what was there before is untouched.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, file)
    except OSError as error:
        raise UserError(
            f"cannot write {file}: {error.strerror}; make room there and run the same command "
            "again: it goes on from the last saved epoch"
        ) from error
    finally:  # after Ctrl-C too
        temporary.unlink(missing_ok=True)


def save(content: Mapping[str, Any], file: Path) -> None:
    """Write what `torch.load` reads; raises as `write_whole`."""
    # Not straight to the file: torch reports a full disk as an internal error of its own.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(file, buffer.getbuffer())


def save_state(parts: Parts, progress: Progress, file: Path) -> None:
    """Write what a run goes on from: its parts' states, and how far it is; as `write_whole`."""
    states = {name: part.state_dict() for name, part in parts.items()}
    save({"format": FORMAT, **states, "progress": asdict(progress)}, file)


def load_state(file: Path) -> dict[str, Any] | None:
    """Return what a run goes on from, on the CPU; None where nothing is there yet.

    Raises:
        UserError: the file is damaged, or of another version of this program.
    """
    if not file.exists():
        return None
    try:
        state = torch.load(file, "cpu", weights_only=True)
        if state.get("format") == FORMAT:
            return state
        reason = "another version of this program wrote it"
    except Exception as error:  # strange bytes make an unpickler raise nearly anything
        reason = f"it cannot be read ({type(error).__name__})"
    raise UserError(f"cannot go on from {file}: {reason}; remove it to begin anew")


def restore(parts: Parts, state: Mapping[str, Any] | None, file: Path) -> Progress:
    """Load what `load_state` has read into a run's parts; return how far the run has come.

    Raises:
        UserError: the file is of another run.
    """
    if state is None:
        return Progress()
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        return Progress(**state["progress"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"cannot go on from {file}: it is of another run ({reason}); remove it to begin anew"
        ) from error


def save_weights(network: nn.Module, file: Path) -> None:
    """Write a bare state dict: fp32, on the CPU, contiguous as the networks are built."""
    state = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    for key, value in state.items():
        state[key] = (value.float() if value.is_floating_point() else value).contiguous()
    save(state, file)


def save_epoch(exported: nn.Module, progress: Progress, recipe: Recipe, folder: Path) -> None:
    """Leave the weights of the epoch that is done, if it is the best or to be kept."""
    if progress.best_epoch == progress.epochs - 1:
        save_weights(exported, folder / "best.pth")
    if progress.epochs in recipe.kept_epochs():
        save_weights(exported, folder / f"epoch-{progress.epochs:04}.pth")


def add_row(file: Path, row: Mapping[str, Any]) -> None:
    """Add an epoch's row to a csv; rows of epochs that are done again are dropped.

    Args:
        row: `epoch`, from 1, and what was measured.

    Raises:
        UserError: the file there is damaged, or cannot be written.
    """
    rows = []
    if file.exists():
        try:
            with file.open(newline="") as text:
                there = from_one(list(csv.DictReader(text)))
            rows = [old for old in there if int(old["epoch"]) < row["epoch"]]
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise UserError(f"{file} is damaged: mend it, or remove it") from error
    names = dict.fromkeys([*(rows[0] if rows else []), *row])  # some are not measured each epoch
    write_whole(file, to_csv(names, [*rows, row]))


def to_csv(names: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the content of a csv of these columns; what a row lacks stays empty."""
    content = io.StringIO(newline="")
    writer = csv.DictWriter(content, [*names], lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return content.getvalue().encode("utf-8", "surrogateescape")


def from_one(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return rows of metrics.csv with epochs that count from 1; older versions counted from 0."""
    if not rows or rows[0].get("epoch") != "0":
        return rows
    return [
        row | {name: str(int(row[name]) + 1) for name in ("epoch", "best_epoch") if name in row}
        for row in rows
    ]


class Curves:
    """TensorBoard's curves, a point an epoch, in a folder that the first one makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer: Any = None
        self.handle: int | None = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a point to every curve; the row is as `add_row` takes it."""
        if self.writer is None:
            self._begin(row["epoch"])
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, row["epoch"])
        self.writer.flush()

    def _begin(self, epoch: int) -> None:
        """Open the files; points from this epoch on, of an earlier part of the run, are dropped."""
        # A second's import, for which inference and the recipes' tests have no use.
        from torch.utils.tensorboard import SummaryWriter

        place = str(self.folder)
        try:
            place.encode()
        except UnicodeEncodeError:  # TensorBoard takes no names but UTF-8
            self.folder.mkdir(parents=True, exist_ok=True)
            self.handle = os.open(self.folder, os.O_RDONLY)
            place = f"/dev/fd/{self.handle}"
        self.writer = SummaryWriter(place, purge_step=epoch)

    def __enter__(self) -> Curves:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Close the files, except after Ctrl-C.

        Ctrl-C may have interrupted a message to the writer's thread, and closing would then wait
        for it for ever. Every earlier point is on the disk, since `add` flushes.
        """
        if self.writer is not None and kind is not KeyboardInterrupt:
            self.writer.close()
        if self.handle is not None:
            os.close(self.handle)
