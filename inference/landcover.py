"""The seven land-cover classes of P3: their colours, mask files and overlays.

A mask file shows each class as one colour, a corner of the RGB cube, so that a mask is read by
one bit a channel: code = 4R + 2G + B, where a channel is 1 from 128 up.  Seven of the eight
corners are classes; red (code 4) is none.  Importing this module imports only numpy.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path, PurePath
from typing import Iterable

import numpy as np

from inference import UserError
from inference.files import check_writable, write_whole

CLASSES = (
    "Urban land",
    "Agriculture land",
    "Rangeland",
    "Forest land",
    "Water",
    "Barren land",
    "Unknown",
)
COLOURS = np.array(
    [
        (0, 255, 255),
        (255, 255, 0),
        (255, 0, 255),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 255),
        (0, 0, 0),
    ],
    dtype=np.uint8,
)
UNKNOWN = 6
NO_CLASS = 255  # what a red pixel (code 4) means: it matches no class

OUTLINE_WIDTH = 5  # pixels

# Row 7 is red: 255 wraps to 7 in a table of eight rows, so NO_CLASS survives the way to a file
# and back without a test on each pixel.
_COLOUR_TABLE = np.concatenate([COLOURS, np.array([(255, 0, 0)], dtype=np.uint8)])
_CLASS_OF_CODE = np.array([6, 4, 3, 0, NO_CLASS, 2, 1, 5], dtype=np.uint8)


def to_colours(indices: np.ndarray) -> np.ndarray:
    """Draws a mask as its picture.

    Args:
        indices: (H, W) uint8, classes 0-6 or `NO_CLASS` (shown red).

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return np.take(_COLOUR_TABLE, indices, axis=0, mode="wrap")


def to_indices(rgb: np.ndarray) -> np.ndarray:
    """Reads the classes that a mask's colours mean; the inverse of `to_colours`.

    Args:
        rgb: (H, W, 3) uint8, any values: a channel counts as on from 128 up.

    Returns:
        (H, W) uint8, classes 0-6 or `NO_CLASS`.
    """
    code = (rgb[..., 0] & 128) >> 5
    code |= (rgb[..., 1] & 128) >> 6
    code |= rgb[..., 2] >> 7
    return np.take(_CLASS_OF_CODE, code, mode="wrap")


def mask_name(name: str) -> str:
    """Names the mask file of an image: `0013_sat.jpg` -> `0013_mask.png`, `7.jpg` -> `7.png`."""
    stem = PurePath(name).stem
    if stem.lower().endswith("_sat"):
        stem = stem[: -len("_sat")] + "_mask"
    return stem + ".png"


def encode_mask(mask: np.ndarray) -> bytes:
    """Makes the PNG file of a mask; as pictures its rows exist some four million pixels at a time.

    Args:
        mask: (H, W) uint8, classes 0-6 or `NO_CLASS`, H and W at least 1.

    Returns:
        The bytes of the file.
    """
    height, width = mask.shape
    rows = max(1, 2**22 // width)
    bands = (to_colours(mask[start : start + rows]) for start in range(0, height, rows))
    return _png(height, width, bands)


def encode_png(rgb: np.ndarray) -> bytes:
    """Makes the truecolour PNG file of a picture, (H, W, 3) uint8, H and W at least 1."""
    return _png(*rgb.shape[:2], [rgb])


def _png(height: int, width: int, bands: Iterable[np.ndarray]) -> bytes:
    """Makes a truecolour PNG file; for masks several times faster than a general encoder.

    Masks are long runs of equal pixels, which zlib's fastest level finds without the help of a
    row filter.  Truecolour rather than palette: old imageio reads a palette file as RGBA or as
    a 2-D array.  Format: https://www.w3.org/TR/png-3/.

    Args:
        bands: the picture's rows, (rows, W, 3) uint8 each, from the top down.
    """
    packer, packed = zlib.compressobj(1), []
    for rgb in bands:
        rows = np.zeros((len(rgb), 1 + 3 * width), dtype=np.uint8)  # byte 0 of a row: filter 0
        rows[:, 1:] = rgb.reshape(len(rgb), 3 * width)
        packed.append(packer.compress(rows))
    packed.append(packer.flush())
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)  # 8 bits, colour type 2: RGB
    chunks = [(b"IHDR", header), (b"IDAT", b"".join(packed)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draws the land cover over its image.

    Each region is tinted 30 % with its class's colour (rounded half up) and outlined with the
    opaque colour, `OUTLINE_WIDTH` pixels wide, inside the region.  The picture's own borders
    are no outline; pixels of `NO_CLASS` stay as the image has them.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8 class indices, 0-6 or `NO_CLASS`.

    Returns:
        (H, W, 3) uint8 RGB, a new array.

    Raises:
        UserError: the two sizes differ.
    """
    if image.shape[:2] != mask.shape:
        raise UserError(
            "the image is {} x {} pixels but the mask is {} x {}: give the mask that belongs "
            "to this image".format(*image.shape[1::-1], *mask.shape[::-1])
        )
    colours = to_colours(mask)
    tinted = (7 * image.astype(np.uint16) + 3 * colours.astype(np.uint16) + 5) // 10
    result = np.where(_outline(mask)[..., None], colours, tinted.astype(np.uint8))
    unclassed = mask == NO_CLASS
    result[unclassed] = image[unclassed]
    return result


def _outline(mask: np.ndarray) -> np.ndarray:
    """Marks, (H, W) bool, the pixels with another class within `OUTLINE_WIDTH` steps along an axis.

    The nearest such pixel ends the region on the way to it, so no run lengths are needed.
    """
    outline = np.zeros(mask.shape, dtype=bool)
    for labels, marks in ((mask, outline), (mask.T, outline.T)):  # .T are views
        for step in range(1, min(OUTLINE_WIDTH, len(labels) - 1) + 1):
            differs = labels[step:] != labels[:-step]
            marks[step:] |= differs
            marks[:-step] |= differs
    return outline


def write_overlay(image_path: Path, mask_path: Path, out_path: Path | None = None) -> Path:
    """Writes the overlay of an image and a mask file as a PNG and says where on stderr.

    Args:
        mask_path: a mask in the classes' colours, of the image's size.
        out_path: `<image's stem>_overlay.png` in the current folder if None.

    Returns:
        The path written.

    Raises:
        UserError: a file cannot be read or written, or the sizes differ.
    """
    image, mask = _read(image_path), to_indices(_read(mask_path))
    out_path = Path(out_path or Path(image_path).stem + "_overlay.png")
    check_writable(out_path, [image_path, mask_path])
    write_whole(out_path, encode_png(overlay(image, mask)))
    print(f"wrote {out_path}", file=sys.stderr)
    return out_path


def _read(path: Path) -> np.ndarray:
    from inference.images import read_rgb  # here, since images.py names masks by this module

    try:
        return np.asarray(read_rgb(path))
    except Exception as error:  # a decoder can raise anything on garbage
        reason = getattr(error, "strerror", None) or "not an image"
        raise UserError(f"cannot read {path}: {reason}; give an image and its mask") from error
