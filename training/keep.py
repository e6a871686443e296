"""What a run leaves on disk: every file whole or not at all, so that a kill at any moment is safe.

last.ckpt        everything that the same command needs to go on from the last whole epoch
best.pth         bare fp32 state dict of what the task exports at the epoch that was chosen
epoch-0001.pth   the same at the epochs that the recipe keeps, counted from 1
metrics.csv      what was measured, an epoch a row, counted from 0
tensorboard/     the same for TensorBoard
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from inference import UserError
from training.finished import read_columns


def write_whole(file: Path, content: bytes | memoryview) -> None:
    """Writes a file beside its place and renames it into place.

    The name beside it is always the same: a run that was killed while it wrote does not litter.

    Raises:
        UserError: a full disk, say; what was there before is untouched.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(
            f"cannot write {file}: {error.strerror}; make room there and run the same command "
            "again: it goes on from the last whole epoch"
        ) from error


def save(content: Mapping, file: Path) -> None:
    """Writes what `torch.load` reads.

    Raises:
        UserError: as `write_whole`.
    """
    # Not straight to the file: torch reports a full disk as an internal error of its own.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(file, buffer.getbuffer())


def save_weights(network: nn.Module, file: Path) -> None:
    """Writes a bare state dict: fp32, on the CPU, contiguous as the networks are built."""
    state = network.state_dict()
    save({key: _plain(value) for key, value in state.items()}, file)


def _plain(value: torch.Tensor) -> torch.Tensor:
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() else value).contiguous()


def add_row(file: Path, row: Mapping[str, object]) -> None:
    """Adds an epoch's row to a csv; rows of epochs that are done again are dropped.

    Args:
        row: `epoch` and what was measured.
    """
    rows = []
    if file.exists():
        read_columns(file)  # or a damaged one is said to be so
        with file.open(newline="", encoding="utf-8-sig") as text:
            rows = [old for old in csv.DictReader(text) if float(old["epoch"]) < row["epoch"]]
    text = io.StringIO(newline="")
    names = dict.fromkeys([*(rows[0] if rows else []), *row])  # some are not measured each epoch
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows([*rows, row])
    write_whole(file, text.getvalue().encode())


class Curves:
    """TensorBoard's curves, a point an epoch.

    Args:
        folder: where its files go; made if need be.
        first: the epoch to come; later points of an earlier part of the run are done again.
    """

    def __init__(self, folder: Path, first: int):
        # A second's import, for which inference and the recipes' tests have no use.
        from torch.utils.tensorboard import SummaryWriter

        self.handle = None
        place = str(folder)
        if not _is_utf8(place):  # which TensorBoard takes no other names than
            folder.mkdir(parents=True, exist_ok=True)
            self.handle = os.open(folder, os.O_RDONLY)
            place = f"/dev/fd/{self.handle}"
        self.writer = SummaryWriter(place, purge_step=first)

    def add(self, row: Mapping[str, float]) -> None:
        """Adds a point to every curve.

        Args:
            row: as `add_row` takes it.
        """
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, row["epoch"])
        self.writer.flush()

    def close(self) -> None:
        """Writes what is left."""
        self.writer.close()
        if self.handle is not None:
            os.close(self.handle)


def _is_utf8(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False
