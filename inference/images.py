"""Finding and reading images; odd modes and broken files. Imports no torch: reading starts first.

Every image becomes 8-bit RGB, whatever it was: greyscale is repeated, a palette is looked up,
transparency is dropped, CMYK is converted, of 16 bits the upper eight are kept.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Callable, Iterable, Iterator

import numpy as np
from PIL import Image

from inference import UserError, landcover

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")

# Pillow takes pictures from 9,500 x 9,500 for attacks: it warns, and refuses those of twice as many
# pixels. A satellite scene of 20,000 x 20,000 is none; a damaged header may well ask for more. So
# it warns from 23,170 x 23,170 and refuses from 32,768 x 32,768.
Image.MAX_IMAGE_PIXELS = 2**29

# What a network sees at once, in pixels; a larger image is seen window by window. A whole scene of
# DeepGlobe, 2,448 x 2,448, still is one. Measured in fp32 on a CPU, FCN32s and DeepLabV3 need 650
# bytes a pixel (4 GB here), LRASPP 130.
LARGEST = 2500 * 2500


def list_images(folder: Path | str) -> list[Path]:
    """Lists the images of a folder, sorted by name.

    An image is a file with one of `EXTENSIONS`, in either case; hidden files, sub-folders and
    everything else are ignored. A link that leads nowhere is an image that cannot be read.

    Raises:
        UserError: there is no such folder, or no image in it.
    """
    folder = Path(folder)
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise UserError(
            f"cannot read the folder {folder}: {error.strerror}; give the folder of the images"
        ) from error
    names = [
        entry.name
        for entry in entries
        if entry.name.lower().endswith(EXTENSIONS)
        and not entry.name.startswith(".")
        and not entry.is_dir()
    ]
    if not names:
        raise UserError(f"no image in {folder}: it should hold files like 0000.png or 0000.jpg")
    return [folder / name for name in sorted(names)]


def list_tiles(folder: Path | str) -> list[Path]:
    """Lists the satellite images of a folder, sorted by name; masks beside them are ignored.

    When any file is called `*_sat.*`, only those are images. Otherwise all are but `*_mask.*`,
    and of two files of one stem, which would share one mask, a JPEG is the image.

    Raises:
        UserError: there is no such folder, or no satellite image in it.
    """
    paths = list_images(folder)
    satellite = [path for path in paths if path.stem.lower().endswith("_sat")]
    tiles = satellite or [path for path in paths if not path.stem.lower().endswith("_mask")]
    if not tiles:
        raise UserError(f"only masks in {folder}: it should hold images like 0000_sat.jpg")
    by_mask = {}
    for path in sorted(tiles, key=lambda path: not path.suffix.lower().startswith(".jp")):
        by_mask.setdefault(landcover.mask_name(path.name), path)
    return sorted(by_mask.values(), key=lambda path: path.name)


def read_rgb(path: Path | str) -> Image.Image:
    """Reads an image file as 8-bit RGB.

    Raises:
        Exception: whatever the decoder raises on a broken file (OSError, SyntaxError, ...).
    """
    with Image.open(path) as image:
        image.load()
        if image.mode == "RGB":
            return image
        if image.mode[0] == "F":
            raise ValueError("its pixels are floating-point numbers, of a range that nobody knows")
        if image.mode[0] == "I":  # 16 bits in Pillow's modes I;16, I;16B or I
            values = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255)
            return Image.fromarray(values.astype(np.uint8)).convert("RGB")
        if "transparency" in image.info:  # its colours, not Pillow's guess of a background
            image = image.convert("RGBA")
        return image.convert("RGB")


def read_pixels(path: Path | str, size: int | None = None) -> np.ndarray:
    """Reads an image as uint8 (H, W, 3); with `size`, resized to a square of that side.

    Bilinear with Pillow's antialiasing and without regard to the aspect: pixel for pixel what
    torchvision's `Resize((size, size))` makes of a Pillow image.
    """
    image = read_rgb(path)
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def read_or_defer(path: Path | str) -> np.ndarray | Callable[[], np.ndarray]:
    """Reads an image, uint8 (H, W, 3); of one above `LARGEST` gives what will read it.

    Sixteen large scenes, read ahead of their use, would fill gigabytes; and reading one takes a
    hundredth of the time that segmenting it does.
    """
    height, width = size_of(path) or (0, 0)
    return partial(read_pixels, path) if height * width > LARGEST else read_pixels(path)


def read_ahead(
    paths: Iterable[Path], read: Callable, ahead: int, chunk: int = 1, threads: int = 0
) -> Iterator[np.ndarray | Exception]:
    """Reads images in threads, ahead of their use and in their order.

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


def attempt(read: Callable, *arguments) -> np.ndarray | Exception:
    """Reads, or gives the exception that reading raised."""
    try:
        return read(*arguments)
    except Exception as error:  # a decoder can raise anything on garbage; the caller names it
        return error


def reason(error: Exception) -> str:
    """Says in one line why an image could not be read."""
    if type(error).__name__ == "UnidentifiedImageError":  # whose text repeats the path
        return "not an image"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def size_of(path: Path | str) -> tuple[int, int] | None:
    """Reads height and width from an image's header, or gives None where that is broken too."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except Exception:
        return None
