"""Eight-bit RGB of whatever pixels a file has."""

from __future__ import annotations

import numpy as np
from PIL import Image

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # TIFF's tags
_WHITE_IS_ZERO, _SIGNED = 0, 2  # their values


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded image as 8-bit RGB.

    Raises:
        ValueError: its values (floats, signed or 32-bit) have no known range, so no known black.
    """
    if image.mode == "RGB" and image.format != "TIFF":
        return image
    tags = getattr(image, "tag_v2", {})
    signed = _SIGNED in _values(tags.get(_SAMPLE_FORMAT))
    # Pillow's mode I: of a PNG or a PPM its 16 bits; else 32 of them, or whole numbers with a sign.
    if signed or (image.mode == "I" and image.format not in ("PNG", "PPM", None)):
        raise ValueError("its pixels are whole numbers, of a range that nobody knows")
    if image.mode[0] == "F":
        raise ValueError("its pixels are floating-point numbers, of a range that nobody knows")
    if image.mode[0] == "I":  # 16 bits in Pillow's modes I;16, I;16B or I; in a TIFF perhaps 12
        bits = 12 if 12 in _values(tags.get(_BITS)) else 16
        values = np.clip(np.asarray(image).astype(np.int64) >> (bits - 8), 0, 255).astype(np.uint8)
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow turns that round up to 8 bits only
            values = 255 - values
        return Image.fromarray(values).convert("RGB")
    if "transparency" in image.info:  # its colours, not Pillow's guess of a background
        image = image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


def _values(tag) -> tuple:
    return tag if isinstance(tag, tuple) else (tag,)
