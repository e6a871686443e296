"""Decode once: a list of images becomes one memory-mapped uint8 array, reused by every run.

Training then reads no files: a batch is a slice of the array, which may be larger than RAM.

Images are squashed to the asked-for square without regard to their aspect, exactly as
`inference.images.read_pixels` does when predicting; a recipe that crops at random stores them
larger than its crops, so that a crop keeps its detail.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import platform
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

import numpy as np
import torch

import mean_iou_evaluate
from inference import UserError, landcover
from inference.images import read_pixels, read_rgb, reason
from training.locks import locked

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
    mask = read_mask(path)
    if mask.shape != (size, size):
        raise ValueError(f"it is {mask.shape[1]} x {mask.shape[0]}, not {size} x {size}")
    return mask


def read_mask(path: Path) -> np.ndarray:
    """Read a true mask, uint8 (H, W) of class indices, 255 where no class.

    Raises:
        Exception: whatever a decoder raises on a broken file; ValueError where it seems to hold
            class indices in place of colours, all of which would be read as Unknown.
    """
    mask = landcover.to_indices(np.asarray(read_rgb(path)))
    black_and_white = mask >= landcover.CLASSES.index("Barren land")
    is_odd = black_and_white.all() or (mask == landcover.NO_CLASS).any()
    if is_odd and mean_iou_evaluate.doubt(path) == mean_iou_evaluate.INDICES:
        raise ValueError(f"it seems to hold {mean_iou_evaluate.INDICES}; {mean_iou_evaluate.PAINT}")
    return mask


def _mapped(
    paths: Sequence[Path], kind: str, shape: tuple[int, ...], read: Callable, cache: Path
) -> np.ndarray:
    file = cache / f"{kind}-{_key(paths)}.npy"
    if not file.exists():
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the cache {cache}: {error.strerror}") from error
        with _one_at_a_time(cache) as alone:
            if alone:  # among this host's processes; what a killed one left
                for stale in cache.glob(f".{file.name}.{platform.node()}.*.tmp"):
                    stale.unlink()
            if not file.exists():  # by now another process may have built it
                _build(file, paths, shape, read)
    return np.load(file, mmap_mode="r")


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[bool]:
    """Lets one process after the other in; the system opens the gate when one of them dies.

    NOTE: On a network drive the lock may be one among this host's processes alone. Then hosts build
    side by side, each a file of its own, and the last one's is kept.

    Yields:
        Whether it could: some network drives have no locks, and each process builds its own.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, wait=True))
            alone = True
        except OSError:
            alone = False
        yield alone


def _key(paths: Sequence[Path]) -> str:
    """Names the images' content by their places, sizes and times: a change makes a new array."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        digest.update(os.fsencode(path.resolve()))
        digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _build(file: Path, paths: Sequence[Path], shape: tuple[int, ...], read: Callable) -> None:
    # Hosts that share the folder may have the same process numbers, in containers above all.
    alone = f"{platform.node()}.{os.urandom(8).hex()}"
    temporary = file.with_name(f".{file.name}.{alone}.tmp")
    try:
        _allocate(temporary, (len(paths), *shape))
        _decode(temporary, paths, read)
        os.replace(temporary, file)
    except OSError as error:
        size = math.ceil(len(paths) * math.prod(shape) / 1e6)
        raise UserError(
            f"cannot write the cache {file} ({size} MB): {error.strerror}; make room there"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _allocate(file: Path, shape: tuple[int, ...]) -> None:
    """Makes an .npy file with room on the disk for all of it.

    Without that, writing to a mapped page of a full disk would kill the process (SIGBUS).
    """
    with file.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.flush()
        start, size = stream.tell(), math.prod(shape)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), start, max(1, size))
                return
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
        stream.truncate(start + size)  # macOS, or such a drive: a full disk is not foreseen


def _decode(file: Path, paths: Sequence[Path], read: Callable) -> None:
    every = np.arange(len(paths))
    workers = min(_cores(), len(paths) // 100)
    if workers < 2:  # starting processes would take longer
        _fill(file, every, paths, read=read)
        return
    parts = np.array_split(every, min(len(paths), 4 * workers))
    work = partial(_fill, file, read=read)
    with warnings.catch_warnings():
        # A fork of a process with threads, of which the workers use none. New interpreters would
        # import everything once more.
        warnings.simplefilter("ignore", DeprecationWarning)
        pool = ProcessPoolExecutor(workers, get_context("fork"), _serve)
        try:
            list(pool.map(work, parts, [[paths[i] for i in part] for part in parts]))
        finally:
            pool.shutdown(cancel_futures=True)


def _serve() -> None:
    """Prepares a worker, which is to report nothing and to outlive nobody."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent reports Ctrl-C, once
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A parent that was killed tells no one; its end of this pipe closes all the same.
    connection.wait([parent_process().sentinel])
    os._exit(1)


def _fill(file: Path, indices: np.ndarray, paths: Sequence[Path], *, read: Callable) -> None:
    array = np.lib.format.open_memmap(file, "r+")
    for index, path in zip(indices, paths, strict=True):
        try:
            array[index] = read(path)
        except Exception as error:  # a decoder can raise anything on garbage
            raise UserError(f"cannot read {path}: {reason(error)}; mend or remove it") from error


def _cores() -> int:
    return os.cpu_count() or 1


class Batches:
    """An epoch's batches: a seeded permutation of the images, cut into equal parts.

    Iterating yields tensors `(first array's items, second array's items, ...)`, in pinned memory
    where there is a GPU. The order is a function of the seed and the epoch alone. Among several
    processes each takes its share of every batch's images.

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
        # No thread: gathering takes microseconds, and while a GPU trains nobody waits for it.
        for chosen in self.parts():
            yield tuple(_gather(array, chosen) for array in self.arrays)


def _gather(array: np.ndarray, chosen: np.ndarray) -> torch.Tensor:
    """Copies items of an array straight to where they are sent from."""
    kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
    shape = (len(chosen), *array.shape[1:])
    items = torch.empty(shape, dtype=kind, pin_memory=torch.cuda.is_available())
    # mode: with the default, numpy fills a buffer of its own first
    np.take(array, chosen, 0, out=items.numpy(), mode="clip")
    return items
