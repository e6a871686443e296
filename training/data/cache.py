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
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock

import mean_iou_evaluate
from inference import UserError, landcover
from inference.images import read_ahead, read_pixels, read_rgb, reason

CACHE = Path("runs/cache")
AHEAD, CHUNK = 256, 16  # images that threads decode ahead of need, and at a time


def images(paths: Sequence[Path], size: int, cache: Path = CACHE) -> np.ndarray:
    """Return images as uint8 (N, size, size, 3), RGB, memory-mapped and read-only.

    Raises:
        UserError: an image cannot be read (it is named); the cache cannot be written, or read.
    """
    return _mapped(paths, f"rgb-{size}", (size, size, 3), partial(read_pixels, size=size), cache)


def masks(paths: Sequence[Path], size: int, cache: Path = CACHE) -> np.ndarray:
    """Return land-cover masks as uint8 (N, size, size) of class indices, 255 where no class.

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
    whole = (len(paths), *shape)
    found = _open(file, whole)
    if found is not None:
        return found
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the cache {cache}: {error.strerror}") from error
    with _one_at_a_time(cache) as alone:
        if alone:  # among this host's processes; what a killed one left
            for stale in cache.glob(f".{file.name}.{platform.node()}.*.tmp"):
                with contextlib.suppress(OSError):  # it is in nobody's way
                    stale.unlink()
        if _open(file, whole) is None:  # by now another process may have built it
            _build(file, paths, shape, read)
    found = _open(file, whole)
    if found is None:
        raise UserError(f"the cache {file} was written and cannot be read: is the drive sound?")
    return found


def _open(file: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Map a file of the cache; None where there is none, or a damaged one, to be built anew.

    Raises:
        UserError: there is one that may not be read.
    """
    try:
        array = np.lib.format.open_memmap(file, "r")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"cannot read the cache {file}: {error.strerror}; remove it, and it is built again"
        ) from error
    except Exception:  # numpy can raise anything on garbage
        return None
    return array if (array.shape, array.dtype) == (shape, np.uint8) else None


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder in the block, and yield whether there is one to hold.

    When a process dies, the system releases its lock. Some network drives have no locks: there each
    process builds a file of its own. On others a lock keeps out processes of the same host alone:
    hosts build side by side, and the file of the last one is kept.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(FileLock(folder / ".lock"))
            alone = True
        except (OSError, NotImplementedError):
            alone = False
        yield alone


def _key(paths: Sequence[Path]) -> str:
    """Return a name of the images' content, by their places, sizes and times: a change is seen."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        place = os.fsencode(path.resolve())
        digest.update(place + f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _build(file: Path, paths: Sequence[Path], shape: tuple[int, ...], read: Callable) -> None:
    # Hosts that share the folder may have the same process numbers, in containers above all.
    alone = f"{platform.node()}.{os.urandom(8).hex()}"
    temporary = file.with_name(f".{file.name}.{alone}.tmp")
    try:
        _allocate(temporary, (len(paths), *shape))
        array = np.lib.format.open_memmap(temporary, "r+")
        for index, image in enumerate(read_ahead(paths, read, AHEAD, CHUNK, os.cpu_count() or 1)):
            if isinstance(image, Exception):  # a decoder can raise anything on garbage
                raise UserError(
                    f"cannot read {paths[index]}: {reason(image)}; mend or remove it"
                ) from image
            array[index] = image
        # Else, after a power loss, a file of the full length could be there whose pages are zeros.
        array.flush()
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    except OSError as error:
        size = math.ceil(len(paths) * math.prod(shape) / 1e6)
        raise UserError(
            f"cannot write the cache {file} ({size} MB): {error.strerror}; make room there"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _allocate(file: Path, shape: tuple[int, ...]) -> None:
    """Make an .npy file with room on the disk for all of it.

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
