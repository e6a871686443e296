"""Batches of images that lie in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from inference import UserError


class Batches:
    """An epoch's batches: a seeded permutation of the images, cut into equal parts.

    Iterating yields tensors `(first array's items, second array's items, ...)`, in pinned memory
    where there is a GPU. The order is a function of the seed and the epoch alone. Among several
    processes each takes its share of every batch's images.

    Attributes:
        epoch: which the next iteration is of, from 0.
        rank, world: which of how many processes this is.

    Args:
        arrays: of equal length N, numpy.
        indices: which of the N to use.
        batch_size: of all processes together, which share it equally.
        shuffle: whether to permute, and to drop a last batch that is not full; else all are
            given, in order.
        repeat: times that an epoch goes through the images, in a new order each time; with
            `shuffle`. In a batch that is not larger than all images, an image is at most twice.
    """

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        indices: Sequence[int] | np.ndarray | range,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        repeat: int = 1,
    ) -> None:
        # Plain views: each slice of a memory map would be made a memory map of its own.
        self.arrays = [np.asarray(array) for array in arrays]
        self.indices = np.asarray(indices)
        self.batch_size, self.shuffle, self.repeat = batch_size, shuffle, repeat
        self.seed, self.rank, self.world, self.epoch = seed, 0, 1, 0
        if shuffle and len(self.indices) * repeat < batch_size:
            raise UserError(f"{len(self.indices)} images make no batch: lower batch_size")

    def __len__(self) -> int:
        full, rest = divmod(len(self.indices) * self.repeat, self.batch_size)
        return full if self.shuffle else full + (rest > 0)

    def parts(self) -> list[np.ndarray]:
        """Return the indices of this process's part of each batch."""
        order = self._order()
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return [order[i : i + self.batch_size][self.rank :: self.world] for i in starts]

    def _order(self) -> np.ndarray:
        if not self.shuffle:
            return self.indices
        seed = [self.seed, self.epoch]
        if self.repeat == 1:
            return np.random.default_rng(seed).permutation(self.indices)
        turns = range(self.repeat)
        orders = [np.random.default_rng([*seed, turn]).permutation(self.indices) for turn in turns]
        return np.concatenate(orders)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        # No thread: gathering takes microseconds, and while a GPU trains nobody waits for it.
        for chosen in self.parts():
            yield tuple(_gather(array, chosen) for array in self.arrays)


def _gather(array: np.ndarray, chosen: np.ndarray) -> torch.Tensor:
    """Return chosen items of an array, copied straight to where they are sent from."""
    kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
    shape = (len(chosen), *array.shape[1:])
    items = torch.empty(shape, dtype=kind, pin_memory=torch.cuda.is_available())
    # mode: with the default, numpy fills a buffer of its own first
    np.take(array, chosen, 0, out=items.numpy(), mode="clip")
    return items
