"""Finding and reading images; odd modes and broken files. Imports no torch: reading starts first.

Every image becomes 8-bit RGB, whatever it was: greyscale is repeated, a palette is looked up,
transparency is dropped, CMYK is converted, of 16 bits the upper eight are kept. Reading is strict,
but for salvage.py, by which the graded path takes what a damaged file still holds.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Callable, Iterable, Iterator, Sequence, TypeVar

import numpy as np
from PIL import Image

from inference import UserError, landcover
from inference.colours import to_rgb
from inference.files import in_one_line

T = TypeVar("T")

# What every Pillow reads. Only where a folder holds other files is it asked for the rest: 20 ms.
EXTENSIONS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif"),
    *(".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm"),
)
# It knows these by name, but reads them by other programs' help, if at all.
_FOREIGN = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
_SYSTEMS_OWN = ("thumbs.db", "desktop.ini")  # by Windows, in any folder of pictures

# Against decompression bombs Pillow warns above 9,459 x 9,459 pixels, and refuses twice as many.
# Satellite scenes of 20,000 x 20,000 shall pass: now it warns above 23,170 x 23,170 and refuses
# above 32,768 x 32,768.
Image.MAX_IMAGE_PIXELS = 2**29

# Of a damaged TIFF it logs why; where nobody has set logging up, that would come out on stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# What a network sees at once, in pixels; a larger image is seen window by window. A whole scene of
# DeepGlobe, 2,448 x 2,448, still is one. Measured in fp32 on a CPU, FCN32s and DeepLabV3 need 650
# bytes a pixel (4 GB here), LRASPP 130.
LARGEST = 2500 * 2500


def list_images(folder: Path | str, note: Callable[[str], None] | None = None) -> list[Path]:
    """Return the images of a folder, sorted by name.

    An image is a file with an extension that this Pillow reads, in either case; hidden files,
    sub-folders, pipes and everything else are left out. A link that leads nowhere, or to itself,
    is an image that cannot be read.

    Args:
        note: is given a line on what was left out, if anything was.

    Raises:
        UserError: there is no such folder, or no image in it.
    """
    names = _names(folder)
    found = _images(names)
    if not found:
        others = f", but {_first(names)}" if names else ""
        wanted = "it should hold files like 0000.png or 0000.jpg"
        raise UserError(f"no image in {folder}{others}: {wanted}")
    if note:
        _note_rest(folder, names, found, "no images that can be read here", note)
    return [Path(folder) / name for name in found]


def _names(folder: Path | str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if _may_be_image(entry))
    except OSError as error:
        raise UserError(
            f"cannot read the folder {folder}: {error.strerror}; give the folder of the images"
        ) from error


def _may_be_image(entry: os.DirEntry) -> bool:
    if entry.name.startswith(".") or entry.name.lower() in _SYSTEMS_OWN:
        return False
    # A regular file without another look at the disk; os.path.isdir bears a link to itself.
    linked = entry.is_symlink() and not os.path.isdir(entry.path)
    return linked or entry.is_file(follow_symlinks=False)


def _images(names: Iterable[str]) -> list[str]:
    found = {name for name in names if name.lower().endswith(EXTENSIONS)}
    others = [name for name in names if name not in found]
    if others:
        more = {
            extension
            for extension, kind in Image.registered_extensions().items()
            if kind in Image.OPEN and kind not in _FOREIGN
        }
        found.update(name for name in others if os.path.splitext(name.lower())[1] in more)
    return [name for name in names if name in found]


def _note_rest(folder, names: Iterable[str], taken: Iterable[str], why: str, note) -> None:
    taken = set(taken)
    rest = [name for name in names if name not in taken]
    if rest:
        note(in_one_line(f"note: left out of {folder}: {_first(rest)}, {why}"))


def _first(names: Sequence[str]) -> str:
    return f"{len(names)} files, {names[0]} first" if len(names) > 1 else f"1 file, {names[0]}"


def list_tiles(folder: Path | str, note: Callable[[str], None] | None = None) -> list[Path]:
    """Return the satellite images of a folder, sorted by name; masks beside them are ignored.

    When any file is called `*_sat.*`, only those are images. Otherwise all are but `*_mask.*`,
    and of two files of one stem, which would share one mask, a JPEG is the image.

    Args:
        note: is given a line on what was left out, if that was more than masks.

    Raises:
        UserError: there is no such folder, or no satellite image in it.
    """
    paths = list_images(folder)
    satellite = [path for path in paths if path.stem.lower().endswith("_sat")]
    tiles = satellite or [path for path in paths if not path.stem.lower().endswith("_mask")]
    if not tiles:
        raise UserError(f"only masks in {folder}: it should hold images like 0000_sat.jpg")
    by_mask: dict[str, Path] = {}
    for path in sorted(tiles, key=lambda path: not path.suffix.lower().startswith(".jp")):
        by_mask.setdefault(landcover.mask_name(path.name), path)
    if note:
        masks = {landcover.mask_name(path.name) for path in tiles}
        names = [name for name in _names(folder) if name not in masks]
        names = [name for name in names if not Path(name).stem.lower().endswith("_mask")]
        why = "no *_sat.* images" if satellite else "no images that can be read here"
        _note_rest(folder, names, [path.name for path in tiles], why, note)
        # The 2022 edition has truth, 0000.png, beside 0000.jpg.
        others = [path.name for path in tiles if path.suffix.lower() != ".png"]
        chosen = [path.name for path in by_mask.values()]
        _note_rest(folder, others, chosen, "another image has the same mask's name", note)
    return sorted(by_mask.values(), key=lambda path: path.name)


def read_rgb(path: Path | str) -> Image.Image:
    """Return an image file as 8-bit RGB.

    Raises:
        Exception: whatever the decoder raises on a broken file (OSError, SyntaxError, ...).
    """
    with _open(path) as image:
        image.load()
        return to_rgb(image)


def _open(path: Path | str) -> Image.Image:
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe would be waited for for ever
        raise OSError(errno.ESPIPE, "it is not a file, but a pipe or a device")
    return Image.open(path)


def read_pixels(path: Path | str, size: int | None = None) -> np.ndarray:
    """Return an image as uint8 (H, W, 3); with `size`, resized to a square of that side.

    Bilinear with Pillow's antialiasing and without regard to the aspect: pixel for pixel what
    torchvision's `Resize((size, size))` makes of a Pillow image.
    """
    return resized(read_rgb(path), size)


def resized(image: Image.Image, size: int | None) -> np.ndarray:
    """Return the pixels of an RGB image, uint8 (H, W, 3), as `read_pixels` says."""
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def read_or_defer(path: Path | str, read: Callable = read_pixels):
    """Return the image that `read` returns, or above `LARGEST` pixels a function that reads it.

    Sixteen large scenes, read ahead of their use, would fill gigabytes; and reading one takes a
    hundredth of the time that segmenting it does.
    """
    height, width = size_of(path) or (0, 0)
    if height * width > LARGEST:
        return partial(read, path)
    return read(path)


def read_ahead(
    paths: Iterable[Path], read: Callable, ahead: int, chunk: int = 1, threads: int = 0
) -> Iterator[np.ndarray | Exception]:
    """Read images in threads, ahead of their use and in their order.

    Reading begins with the call, not with the first `next`. One broken image among many does
    not stop the others: its place is taken by the exception that it raised.

    Args:
        read: makes an array of a path.
        ahead: how many images may lie read and unused, at least `chunk`; memory is bounded by it.
        chunk: images that one thread reads at a time; a thread's hand-over costs as much as
            decoding a 32 x 32 PNG.
        threads: that read; 0 leaves one core to the network, and takes eight at most.
    """

    def read_chunk(part: list[Path]) -> list:
        return [attempt(read, path) for path in part]

    Image.preinit()  # decoders would wait where torch's libraries are being loaded meanwhile
    # One core is left to the network; more than eight readers wait for each other in Python.
    pool = ThreadPoolExecutor(threads or max(1, min(8, (os.cpu_count() or 2) - 1)))
    rest = iter(paths)
    chunks = iter(lambda: list(islice(rest, chunk)), [])
    first = islice(chunks, max(1, ahead // chunk))
    waiting = deque(pool.submit(read_chunk, part) for part in first)

    def results() -> Iterator:
        try:
            while waiting:
                for result in waiting.popleft().result():
                    yield result
                for part in islice(chunks, 1):
                    waiting.append(pool.submit(read_chunk, part))
        finally:
            for future in waiting:
                future.cancel()
            pool.shutdown(wait=False)

    return results()


def attempt(read: Callable[..., T], *arguments) -> T | Exception:
    """Read, or return the exception that reading raised."""
    try:
        return read(*arguments)
    except Exception as error:  # a decoder can raise anything on garbage; the caller names it
        return error


def reason(error: Exception) -> str:
    """Return in one line why an image could not be read."""
    if type(error).__name__ == "UnidentifiedImageError":  # whose text repeats the path
        return "not an image"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def size_of(path: Path | str) -> tuple[int, int] | None:
    """Read height and width from an image's header, or return None where that is broken too."""
    try:
        with _open(path) as image:
            return image.height, image.width
    except Exception:
        return None
