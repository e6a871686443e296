"""A land-cover mask drawn over its image."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from inference import UserError
from inference.files import check_writable, write_whole
from inference.images import read_rgb
from inference.landcover import NO_CLASS, encode_png, to_colours, to_indices

OUTLINE_WIDTH = 5  # pixels


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
    try:
        return np.asarray(read_rgb(path))
    except Exception as error:  # a decoder can raise anything on garbage
        reason = getattr(error, "strerror", None) or "not an image"
        raise UserError(f"cannot read {path}: {reason}; give an image and its mask") from error
