"""Where the boxes and arrows of a network's drawing lie; `network.svg.j2` draws them.

Each network is laid out twice, in rows for a page and as one column for a phone, since text that is
shrunk to a phone's width cannot be read; the style sheet shows the one that fits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from training.report.html import shape
from training.report.trace import Box, Network, Shape

LINE, PAD = 17, 11  # of a box's text, pixels
ENDS = 80  # width of the two ends, pixels
EDGE = 2  # of a drawing, pixels


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels: of the drawing, of a box, of the gaps in which arrows run."""

    name: str
    width: int
    box: int
    gap: int  # in a row
    between: int  # rows
    letters: int  # in a line of a box


PAGE = Layout("page", 1040, 200, 76, 62, 26)
PHONE = Layout("phone", 340, 336, 46, 46, 42)  # a row holds one box


@dataclass
class Placed:
    """A box with its lines and where it lies."""

    kind: str
    lines: list[str]
    out: Shape
    width: int
    x: float = 0
    y: float = 0
    top: float = 0  # of its row

    @property
    def height(self) -> int:
        """The height, pixels."""
        return len(self.lines) * LINE + 2 * PAD - 3

    @property
    def middle(self) -> float:
        """Where an arrow comes in from above."""
        return self.x + self.width / 2

    def text(self) -> list[tuple[float, float, str]]:
        """Return (x, y, line) of each line of text: x is its start, or in an end its middle."""
        x = self.middle if self.kind == "end" else self.x + PAD
        return [
            (x + 8 * line.startswith("  "), self.y + PAD + 11 + LINE * i, line.strip())
            for i, line in enumerate(self.lines)
        ]


class Label(NamedTuple):
    """What stands beside an arrow; `anchor` is SVG's text-anchor."""

    x: float
    y: float
    text: str
    anchor: str
    strong: bool = False


Arrow = tuple[list[tuple[float, float]], list[Label]]  # the corners of its line, to the tip


class Drawing(NamedTuple):
    """Boxes in their places, the arrows between them, and the height of it all in pixels.

    Attributes:
        side: what goes into the head that serves training alone, and its drawing.
    """

    layout: Layout
    boxes: list[Placed]
    arrows: list[Arrow]
    height: float
    side: tuple[str, Drawing] | None = None


def draw(network: Network, what: str) -> list[Drawing]:
    """Return a network's drawings, for a page and for a phone.

    Args:
        what: comes out, in words: `50 classes`.
    """
    drawings = []
    for layout in (PAGE, PHONE):
        drawing = _draw(layout, "image", network.shape, network.boxes, what)
        if network.side:
            given, boxes = network.side
            side = _draw(layout, "from above", given, boxes)
            drawing = drawing._replace(side=(shape(given), side))
        drawings.append(drawing)
    return drawings


def _draw(layout: Layout, start: str, given: Shape, boxes: Sequence[Box], end: str = "") -> Drawing:
    said = [("end", [start], given), *((box.kind, box.text(), box.out) for box in boxes)]
    said += [("end", [end], ())] if end else []
    placed = []
    for kind, texts, out in said:
        lines = [line for text in texts for line in _wrapped(text, layout.letters)]
        placed.append(Placed(kind, lines, out, ENDS if kind == "end" else layout.box))
    height = _place(placed, layout)
    return Drawing(layout, placed, [_arrow(*p, layout) for p in pairwise(placed)], height)


def _wrapped(text: str, letters: int) -> list[str]:
    """Return a text in lines, broken between things such as `3×3 conv, 64` and `BN`."""
    if len(text) <= letters:
        return [text]
    lines: list[str] = []
    for piece in re.split(r"(?<=[:;]) |(?<= ·) ", text):
        fits = lines and len(lines[-1]) + 1 + len(piece) <= letters
        if fits and lines[-1][-1] not in ":;":
            lines[-1] += f" {piece}"
        else:
            lines.append("  " * bool(lines) + piece)
    return lines


def _place(boxes: list[Placed], layout: Layout) -> float:
    """Fill rows from the left, boxes of a row with one middle; return the height."""
    rows: list[list[Placed]] = [[]]
    x = EDGE
    for box in boxes:
        if rows[-1] and x + box.width > layout.width - EDGE:
            rows.append([])
            x = EDGE
        box.x = x
        x += box.width + layout.gap
        rows[-1].append(box)
    for row, beside in [(rows[0], rows[1][0]), (rows[-1], rows[-2][-1])] if rows[1:] else ():
        if len(row) == 1 and row[0].kind == "end":  # in the middle of what it is joined to
            row[0].x = beside.middle - row[0].width / 2
    y = EDGE
    for row in rows:
        tallest = max(box.height for box in row)
        for box in row:
            box.top, box.y = y, y + (tallest - box.height) / 2
        y += tallest + layout.between
    return y - layout.between + EDGE


def _arrow(one: Placed, other: Placed, layout: Layout) -> Arrow:
    """Return the arrow from a box to the next, with the shape of what comes out of the first."""
    if other.top == one.top:
        left, right, y = one.x + one.width, other.x, one.y + one.height / 2
        labels = [Label((left + right) / 2, y - 7, str(one.out[0]), "middle", True)]
        if len(one.out) > 1:
            labels.append(Label((left + right) / 2, y + 17, shape(one.out[1:]), "middle"))
        return [(left, y), (right, y)], labels
    start, x, turn = one.middle, other.middle, other.top - layout.between / 2
    label = Label(x + 10, turn + 4, shape(one.out), "start")
    if start != x:
        label = Label((start + x) / 2, turn - 6, shape(one.out), "middle")
    return [(start, one.y + one.height), (start, turn), (x, turn), (x, other.y)], [label]
