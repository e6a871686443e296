"""Batches on the device that trains, there before they are needed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from training.data.batches import Batches

RESIDENT = 2 << 30  # bytes of images that may lie on a GPU for a whole run
SHARE = 0.2  # of the GPU's free memory that they may take


class Prefetcher:
    """The batches of `Batches` on a device.

    On a CPU they are passed on. What is used of a small array lies on the GPU, and batches are
    gathered there. Of a larger one, batch k + 1 is copied from pinned memory while k trains: on a
    stream of its own, so that neither waits for the other.
    """

    def __init__(self, batches: Batches, device: torch.device) -> None:
        self.batches, self.device = batches, device
        self.resident: list[torch.Tensor] | None = None
        self.rows = np.unique(batches.indices)  # of the arrays, those that are used

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        if self.device.type != "cuda":
            return iter(self.batches)
        if self.resident is None and self._is_small():
            arrays = self.batches.arrays
            self.resident = [_upload(array, self.rows, self.device) for array in arrays]
        return self._copied() if self.resident is None else self._gathered(self.resident)

    def _is_small(self) -> bool:
        free, _ = torch.cuda.mem_get_info(self.device)
        size = sum(array[:1].nbytes * len(self.rows) for array in self.batches.arrays)
        return size <= min(RESIDENT, SHARE * free)

    def _gathered(self, resident: list[torch.Tensor]) -> Iterator[tuple[torch.Tensor, ...]]:
        parts = self.batches.parts()
        places = np.searchsorted(self.rows, np.concatenate(parts))
        order = torch.from_numpy(places).to(self.device)  # once an epoch
        for chosen in order.split([len(part) for part in parts]):
            yield tuple(array.index_select(0, chosen) for array in resident)

    def _copied(self) -> Iterator[tuple[torch.Tensor, ...]]:
        stream, waiting = torch.cuda.Stream(self.device), None
        for batch in self.batches:  # pinned
            with torch.cuda.stream(stream):
                copies = tuple(item.to(self.device, non_blocking=True) for item in batch)
                ready = stream.record_event()
            if waiting:
                yield _arrived(*waiting)
            waiting = copies, ready
        if waiting:
            yield _arrived(*waiting)


def _arrived(copies: tuple[torch.Tensor, ...], ready: torch.cuda.Event) -> tuple:
    """Return a batch once the training stream waits for its copy, not for those after it."""
    stream = torch.cuda.current_stream(copies[0].device)
    stream.wait_event(ready)
    for copy in copies:
        copy.record_stream(stream)  # its memory is not used again until the step is over
    return copies


def _upload(array: np.ndarray, rows: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return rows of an array on a GPU, copied in chunks: memory may not hold them twice."""
    first = torch.tensor(array[:1])
    whole = torch.empty((len(rows), *array.shape[1:]), dtype=first.dtype, device=device)
    for start in range(0, len(rows), 4096):
        chosen = rows[start : start + 4096]
        whole[start : start + len(chosen)] = torch.from_numpy(array[chosen])
    return whole
