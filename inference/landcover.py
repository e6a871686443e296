"""The seven land-cover classes of P3: their colours and mask files.

A mask file shows each class as one colour, a corner of the RGB cube, so that a mask is read by
one bit a channel: code = 4R + 2G + B, where a channel is 1 from 128 up.  Seven of the eight
corners are classes; red (code 4) is none.  Importing this module imports only numpy.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import PurePath
from typing import Iterable

import numpy as np

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

# Row 7 is red: 255 wraps to 7 in a table of eight rows, so NO_CLASS survives the way to a file
# and back without a test on each pixel.
_COLOUR_TABLE = np.concatenate([COLOURS, np.array([(255, 0, 0)], dtype=np.uint8)])
_CLASS_OF_CODE = np.array([6, 4, 3, 0, NO_CLASS, 2, 1, 5], dtype=np.uint8)


def to_colours(indices: np.ndarray) -> np.ndarray:
    """Draw a mask as its picture.

    Args:
        indices: (H, W) uint8, classes 0-6 or `NO_CLASS` (shown red).

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return np.take(_COLOUR_TABLE, indices, axis=0, mode="wrap")


def to_indices(rgb: np.ndarray) -> np.ndarray:
    """Read the classes that a mask's colours mean; the inverse of `to_colours`.

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
    """Name the mask file of an image: `0013_sat.jpg` -> `0013_mask.png`, `7.jpg` -> `7.png`."""
    stem = PurePath(name).stem
    if stem.lower().endswith("_sat"):
        stem = stem[: -len("_sat")] + "_mask"
    return stem + ".png"


def encode_mask(mask: np.ndarray) -> bytes:
    """Return the PNG file of a mask; some four million pixels at a time are turned into colours.

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
    """Make the truecolour PNG file of a picture, (H, W, 3) uint8, H and W at least 1."""
    return _png(rgb.shape[0], rgb.shape[1], [rgb])


def _png(height: int, width: int, bands: Iterable[np.ndarray]) -> bytes:
    """Make a truecolour PNG file; for masks several times faster than a general encoder.

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
        packed.append(packer.compress(rows.data))
    packed.append(packer.flush())
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)  # 8 bits, colour type 2: RGB
    chunks = [(b"IHDR", header), (b"IDAT", b"".join(packed)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
