"""Draws the README's picture of predictions: python scripts/predictions_picture.py DATA OUT FILE.

Reads what scripts/quickstart.sh has left in OUT for its generated DATA; writes FILE, a PNG of
1660 pixels across, twice as many as a README shows. Every row says how its images were chosen.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from quickstart_page import Answer, p1_answers, p2_answers

import mean_iou_evaluate as evaluator
from inference import landcover
from inference.files import write_whole
from inference.images import list_tiles, read_rgb

WIDTH, MARGIN = 1660, 30
SIDE, COUNT, WRONG = 128, 11, 2  # of a thumbnail, pixels; thumbnails a row; mistakes among them
TILE, GAP = 256, 8
INK, SOFT, RIGHT, BAD, PAPER = "#1b1f24", "#57606a", "#1a7f37", "#b42318", "#ffffff"
HEIGHT = 950


class Tile(NamedTuple):
    """A tile of land cover: what it is called, its image, predicted and true mask."""

    title: str
    image: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray


class Sheet:
    """A sheet that is filled from the top down; `y` is where the next row begins, pixels."""

    def __init__(self):
        self.image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.y = MARGIN

    def heading(self, title: str, said: str) -> None:
        """Write a row's heading: the title in bold, and what is to be known about it."""
        self.pen.text((MARGIN, self.y), title, INK, _font(28, "bold"))
        left = MARGIN + self.pen.textlength(title, _font(28, "bold")) + 22
        self.pen.text((left, self.y + 3), said, SOFT, _font(24))
        self.y += 50

    def thumbnails(self, answers: Sequence[Answer]) -> None:
        """Show images with their predicted classes below, and the true one of a mistake."""
        step = (WIDTH - 2 * MARGIN - SIDE) / (COUNT - 1)
        for i, (path, truth, predicted) in enumerate(answers):
            x = round(MARGIN + i * step)
            self.image.paste(_thumbnail(path), (x, self.y))
            right = predicted == truth
            said = str(predicted) if right else f"{predicted}, is {truth}"
            font = _font(24) if right else _font(24, "bold")
            where = (x + SIDE // 2, self.y + SIDE + 6)
            self.pen.text(where, said, RIGHT if right else BAD, font, anchor="ma")
        self.y += SIDE + 64

    def tiles(self, tiles: Sequence[Tile]) -> None:
        """Show tiles side by side, each as image, prediction and truth."""
        across = 3 * TILE + 2 * GAP
        for i, tile in enumerate(tiles):
            left = MARGIN + i * (WIDTH - 2 * MARGIN - across)
            colours = [landcover.to_colours(mask) for mask in (tile.predicted, tile.truth)]
            right = (tile.predicted == tile.truth).mean()
            heads = (tile.title, f"predicted: {right:.0%} right", "truth")
            for k, (head, picture) in enumerate(zip(heads, [tile.image, *colours], strict=True)):
                x = left + k * (TILE + GAP)
                self.pen.text((x, self.y), head, INK, _font(24))
                small = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.BOX)
                self.image.paste(small, (x, self.y + 38))
                edge = (x, self.y + 38, x + TILE - 1, self.y + 38 + TILE - 1)
                self.pen.rectangle(edge, outline="#8c959f")  # barren land is as white as the sheet
        self.y += TILE + 60

    def key(self) -> None:
        """Name the classes' colours."""
        widths = [self.pen.textlength(name, _font(24)) + 38 for name in landcover.CLASSES]
        gap = (WIDTH - 2 * MARGIN - sum(widths)) / (len(widths) - 1)
        x = float(MARGIN)
        for name, colour, width in zip(landcover.CLASSES, landcover.COLOURS, widths, strict=True):
            box = (x, self.y + 2, x + 26, self.y + 28)
            self.pen.rectangle(box, tuple(colour.tolist()), outline="#57606a", width=2)
            self.pen.text((x + 38, self.y), name, INK, _font(24))
            x += width + gap


def main(data: Path, out: Path, file: Path) -> None:
    """Write the picture."""
    sheet = Sheet()
    rows = (
        ("P1", "50 classes, 32 × 32 pixels", p1_answers(data, out)),
        ("P2", "65 classes, four styles", p2_answers(data, out)),
    )
    for problem, about, answers in rows:
        chosen, said = _choose(answers)
        sheet.heading(problem, f"{about}: {said}")
        sheet.thumbnails(chosen)
    tiles, said = _land(data / "p3_data/validation", out / "p3")
    sheet.heading("P3", said)
    sheet.tiles(tiles)
    sheet.key()
    packed = io.BytesIO()
    few = sheet.image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(packed, "PNG", optimize=True)
    write_whole(file, packed.getvalue())


def _choose(answers: list[Answer]) -> tuple[list[Answer], str]:
    """Take right answers at even distances and some mistakes; return them and what is said."""
    right = [answer for answer in answers if answer.truth == answer.predicted]
    wrong = [answer for answer in answers if answer.truth != answer.predicted]
    shown = _evenly(wrong, WRONG)
    kept = _evenly(right, COUNT - len(shown))
    said = f"{len(right)} of {len(answers)} right; here {len(kept)} of them"
    return [*kept, *shown], f"{said} and {len(shown)} of the {len(wrong)} mistakes"


def _evenly(answers: list[Answer], most: int) -> list[Answer]:
    places = np.linspace(0, len(answers) - 1, min(most, len(answers))).astype(int)
    return [answers[place] for place in places]


def _land(folder: Path, predicted: Path) -> tuple[list[Tile], str]:
    """Take the tile in the middle and the last when sorted by the share of right pixels."""
    tiles = []
    for path in list_tiles(folder):
        name = landcover.mask_name(path.name)
        masks = [landcover.to_indices(np.asarray(read_rgb(f / name))) for f in (predicted, folder)]
        tiles.append(Tile(path.name, np.asarray(read_rgb(path)), *masks))
    tiles.sort(key=lambda tile: -float((tile.predicted == tile.truth).mean()))
    chosen = [tiles[len(tiles) // 2]._replace(title="median tile")]
    chosen.append(tiles[-1]._replace(title="worst tile"))
    predictions, truths = (np.stack([tile[k] for tile in tiles]) for k in (2, 3))
    with contextlib.redirect_stdout(io.StringIO()):
        score = evaluator.mean_iou_score(predictions, truths)
    said = f"land cover, mIoU {score:.3f}: the median and the worst of {len(tiles)} tiles"
    return chosen, f"{said}, by right pixels"


def _thumbnail(path: Path) -> Image.Image:
    """Return an image as a square: a small one enlarged pixel by pixel, the middle of a large."""
    image = read_rgb(path)
    if max(image.size) < SIDE:
        return image.resize((SIDE, SIDE), Image.Resampling.NEAREST)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box)


def _font(size: int, weight: str = "regular") -> ImageFont.FreeTypeFont:
    wanted = font_manager.FontProperties(family="DejaVu Sans", weight=weight)
    return ImageFont.truetype(font_manager.findfont(wanted), size)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
