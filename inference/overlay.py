"""A land-cover mask drawn over its image."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

import numpy as np

from inference import UserError
from inference.files import check_writable, in_one_line, write_whole
from inference.images import read_rgb, reason
from inference.landcover import CLASSES, COLOURS, NO_CLASS, encode_png, to_colours, to_indices

OUTLINE_WIDTH = 5  # pixels


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw the land cover over its image.

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
    """Return (H, W) bool, the pixels with another class within `OUTLINE_WIDTH` steps along an axis.

    The nearest such pixel ends the region on the way to it, so no run lengths are needed.
    """
    outline = np.zeros(mask.shape, dtype=bool)
    for labels, marks in ((mask, outline), (mask.T, outline.T)):  # .T are views
        for step in range(1, min(OUTLINE_WIDTH, len(labels) - 1) + 1):
            differs = labels[step:] != labels[:-step]
            marks[step:] |= differs
            marks[:-step] |= differs
    return outline


def with_legend(
    picture: np.ndarray, mask: np.ndarray, names: Sequence[str] = CLASSES
) -> np.ndarray:
    """Return a picture with a strip below it that says which colour is which class.

    Only classes of the mask are listed, each with its share of the pixels. Of a large picture the
    letters are larger; one that is narrower than an entry is widened, in white.

    Args:
        picture: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8 class indices, 0-6 or `NO_CLASS`.
        names: of the seven classes.
    """
    from PIL import Image, ImageDraw, ImageFont  # here: drawing no legend has no use for fonts

    font = ImageFont.load_default()
    counts = np.bincount(mask.ravel(), minlength=NO_CLASS + 1)[: len(names)]
    entries = [
        (index, _drawable(f"{names[index]} {100 * counts[index] / mask.size:.1f}%"))
        for index in np.argsort(-counts, kind="stable")
        if counts[index]
    ]
    scale = max(1, picture.shape[1] // 512)
    widths = [18 + int(font.getbbox(text)[2]) + 12 for _, text in entries]
    least = max((6 + one for one in widths), default=0)
    width = max(-(-picture.shape[1] // scale), least)
    places, x, y = [], 6, 4
    for one in widths:
        if x > 6 and x + one > width:
            x, y = 6, y + 16
        places.append((x, y))
        x += one
    strip = Image.new("RGB", (width, y + 18), "white")
    draw = ImageDraw.Draw(strip)
    for (index, text), (x, y) in zip(entries, places):
        colour = tuple(COLOURS[index].tolist())
        draw.rectangle((x, y, x + 11, y + 11), fill=colour, outline=(90, 90, 90))
        draw.text((x + 18, y), text, fill=(0, 0, 0), font=font)
    below = np.asarray(strip).repeat(scale, 0).repeat(scale, 1)
    below = below[:, : max(picture.shape[1], least * scale)]
    whole = np.full(
        (len(picture) + len(below), max(picture.shape[1], below.shape[1]), 3), 255, np.uint8
    )
    whole[: len(picture), : picture.shape[1]] = picture
    whole[len(picture) :, : below.shape[1]] = below
    return whole


def _drawable(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")  # all that Pillow's own font has


def write_overlay(
    image_path: Path,
    mask_path: Path,
    out_path: Path | None = None,
    names: Sequence[str] | None = None,
) -> Path:
    """Write the overlay of an image and a mask file as a PNG and say where on stderr.

    Args:
        mask_path: a mask in the classes' colours, of the image's size.
        out_path: `<image's stem>_overlay.png` in the current folder if None.
        names: of the classes, for a legend; None draws none.

    Returns:
        The path written.

    Raises:
        UserError: a file cannot be read or written, or the sizes differ.
    """
    image, mask = _read(image_path), to_indices(_read(mask_path))
    out_path = Path(out_path or Path(image_path).stem + "_overlay.png")
    check_writable(out_path, [image_path, mask_path])
    picture = overlay(image, mask)
    if names is not None:
        picture = with_legend(picture, mask, names)
    write_whole(out_path, encode_png(picture))
    print(in_one_line(f"wrote {out_path}"), file=sys.stderr)
    return out_path


def _read(path: Path) -> np.ndarray:
    try:
        return np.asarray(read_rgb(path))
    except Exception as error:  # a decoder can raise anything on garbage
        raise UserError(
            f"cannot read {path}: {reason(error)}; give an image and its mask"
        ) from error
