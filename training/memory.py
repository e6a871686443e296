"""Decode once: a list of images becomes one memory-mapped uint8 array, reused by every run.

Training then reads no files: a batch is a slice of the array, which may be larger than RAM.

Images are squashed to the asked-for square without regard to their aspect, exactly as
`inference.images.read_pixels` does when predicting; a recipe that crops at random stores them
larger than its crops, so that a crop keeps its detail.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from queue import Queue

import numpy as np
import torch

from inference import UserError, landcover
from inference.images import read_pixels, read_rgb

CACHE = Path("runs/cache")


def images(paths: Sequence[Path], size: int, cache: Path = CACHE) -> np.ndarray:
    """Gives images as uint8 (N, size, size, 3), RGB, memory-mapped and read-only.

    Raises:
        UserError: an image cannot be read (it is named); the cache cannot be written.
    """
    return _mapped(paths, f"rgb-{size}", (size, size, 3), partial(read_pixels, size=size), cache)


def masks(paths: Sequence[Path], size: int, cache: Path = CACHE) -> np.ndarray:
    """Gives land-cover masks as uint8 (N, size, size) of class indices, 255 where no class.

    Raises:
        UserError: as `images`; a mask of another size, since masks are never resized.
    """
    return _mapped(paths, f"mask-{size}", (size, size), partial(_read_mask, size=size), cache)


def _read_mask(path: Path, size: int) -> np.ndarray:
    rgb = np.asarray(read_rgb(path))
    if rgb.shape[:2] != (size, size):
        raise ValueError(f"it is {rgb.shape[1]} x {rgb.shape[0]}, not {size} x {size}")
    return landcover.to_indices(rgb)


def _mapped(
    paths: Sequence[Path], kind: str, shape: tuple[int, ...], read: Callable, cache: Path
) -> np.ndarray:
    file = cache / f"{kind}-{_key(paths)}.npy"
    if not file.exists():
        _build(file, paths, shape, read)
    return np.load(file, mmap_mode="r")


def _key(paths: Sequence[Path]) -> str:
    """Names the images' content by their places, sizes and times: a change makes a new array."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        digest.update(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _build(file: Path, paths: Sequence[Path], shape: tuple[int, ...], read: Callable) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = (len(paths), *shape)
        np.lib.format.open_memmap(temporary, "w+", np.uint8, whole).flush()
        parts = np.array_split(np.arange(len(paths)), max(1, min(len(paths), 4 * _cores())))
        with ProcessPoolExecutor(_cores()) as pool:
            work = partial(_fill, temporary, read=read)
            list(pool.map(work, parts, [[paths[i] for i in part] for part in parts]))
        os.replace(temporary, file)
    except OSError as error:
        raise UserError(f"cannot write the cache {file}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _fill(file: Path, indices: np.ndarray, paths: Sequence[Path], *, read: Callable) -> None:
    array = np.lib.format.open_memmap(file, "r+")
    for index, path in zip(indices, paths, strict=True):
        try:
            array[index] = read(path)
        except Exception as error:  # a decoder can raise anything on garbage
            raise UserError(f"cannot read {path}: {error}; mend or remove it") from error
    array.flush()


def _cores() -> int:
    return os.cpu_count() or 1


class Batches:
    """An epoch's batches: a seeded permutation of the images, cut into equal parts.

    Iterating yields tensors `(first array's items, second array's items, ...)`; a thread prepares
    the next ones, in pinned memory where there is a GPU. The order is a function of the seed and
    the epoch alone. Among several processes each takes its share of every batch's images.

    Args:
        arrays: of equal length N, numpy.
        indices: which of the N to use.
        batch_size: of all processes together, which share it equally.
        shuffle: whether to permute, and to drop a last batch that is not full; else all are
            given, in order.
    """

    def __init__(self, arrays, indices, batch_size, shuffle, seed=0, rank=0, world=1):
        # Plain views: each slice of a memory map would be made a memory map of its own.
        self.arrays = [np.asarray(array) for array in arrays]
        self.batch_size, self.shuffle = batch_size, shuffle
        self.indices = np.asarray(indices)
        self.seed, self.rank, self.world, self.epoch = seed, rank, world, 0
        if shuffle and len(self.indices) < batch_size:
            raise UserError(f"{len(self.indices)} images make no batch: lower batch_size")

    def __len__(self) -> int:
        full, rest = divmod(len(self.indices), self.batch_size)
        return full if self.shuffle else full + (rest > 0)

    def parts(self) -> list[np.ndarray]:
        """Gives the indices of this process's part of each batch."""
        order = self.indices
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return [order[i : i + self.batch_size][self.rank :: self.world] for i in starts]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        queue: Queue = Queue(maxsize=3)
        stop = threading.Event()
        work = (self.parts(), queue, stop)
        thread = threading.Thread(target=self._prepare, args=work, daemon=True)
        thread.start()
        try:
            while (batch := queue.get()) is not None:
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            stop.set()
            while thread.is_alive():  # it may be waiting for room
                while not queue.empty():
                    queue.get()
                thread.join(0.01)

    def _prepare(self, parts: list[np.ndarray], queue: Queue, stop: threading.Event) -> None:
        try:
            for chosen in parts:
                batch = tuple(_gather(array, chosen) for array in self.arrays)
                if stop.is_set():
                    return
                queue.put(batch)
            queue.put(None)
        except Exception as error:  # raised again by whoever iterates
            queue.put(error)


def _gather(array: np.ndarray, chosen: np.ndarray) -> torch.Tensor:
    """Copies items of an array straight to where they are sent from."""
    kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
    shape = (len(chosen), *array.shape[1:])
    items = torch.empty(shape, dtype=kind, pin_memory=torch.cuda.is_available())
    # mode: with the default, numpy fills a buffer of its own first
    np.take(array, chosen, 0, out=items.numpy(), mode="clip")
    return items
