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
BETWEEN = 62  # rows, pixels


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels: of the drawing, of a box, of the gap in which arrows run."""

    name: str
    width: int
    columns: int
    box: int
    gap: int
    letters: int  # in a line of a box


PAGE = Layout("page", 1040, 4, 200, 76, 26)
PHONE = Layout("phone", 340, 1, 316, 46, 42)


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

    def text(self) -> list[tuple[float, float, str]]:
        """Return where each line of the text begins, or its middle is in an end, and the line."""
        x = self.x + (self.width / 2 if self.kind == "end" else PAD)
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


class Arrow(NamedTuple):
    """A line through points, the three corners of its tip, and what stands beside it."""

    line: list[tuple[float, float]]
    tip: list[tuple[float, float]]
    labels: list[Label]


class Flow(NamedTuple):
    """Boxes in their places, the arrows between them, and the height of it all in pixels."""

    boxes: list[Placed]
    arrows: list[Arrow]
    height: float


class Drawing(NamedTuple):
    """A network laid out; `side` is the head that serves training alone, and what goes into it."""

    layout: Layout
    main: Flow
    side: tuple[str, Flow] | None


def draw(network: Network, what: str) -> list[Drawing]:
    """Return a network's drawings, for a page and for a phone.

    Args:
        what: comes out, in words: `50 classes`.
    """
    drawings = []
    for layout in (PAGE, PHONE):
        end = _placed("end", [what], (), layout)
        main = _flow("image", network.shape, network.boxes, [end], layout)
        side = None
        if network.side:
            given, boxes = network.side
            side = shape(given), _flow("from above", given, boxes, [], layout)
        drawings.append(Drawing(layout, main, side))
    return drawings


def _placed(kind: str, said: Sequence[str], out: Shape, layout: Layout) -> Placed:
    lines = [line for text in said for line in _wrapped(text, layout.letters)]
    return Placed(kind, lines, out, ENDS if kind == "end" else layout.box)


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


def _flow(
    start: str, given: Shape, boxes: Sequence[Box], end: list[Placed], layout: Layout
) -> Flow:
    placed = [_placed("end", [start], given, layout)]
    placed += [_placed(box.kind, box.text(), box.out, layout) for box in boxes] + end
    height = _column(placed, layout) if layout.columns == 1 else _rows(placed, layout)
    return Flow(placed, [_arrow(*pair, layout) for pair in pairwise(placed)], height)


def _column(boxes: list[Placed], layout: Layout) -> float:
    """Put boxes below each other; return the height."""
    y = 2
    for box in boxes:
        box.x, box.y = (layout.width - box.width) / 2, y
        y += box.height + layout.gap
    return y - layout.gap + 2


def _rows(boxes: list[Placed], layout: Layout) -> float:
    """Fill rows from the left, boxes of a row with one middle; return the height."""
    rows: list[list[Placed]] = [[]]
    x = 2.0
    for box in boxes:
        if rows[-1] and x + box.width > layout.width - 2:
            rows.append([])
            x = 2.0
        box.x = x
        x += box.width + layout.gap
        rows[-1].append(box)
    if len(rows[-1]) == 1 < len(rows) and rows[-1][0].kind == "end":  # below the last one, then
        last = rows[-2][-1]
        rows[-1][0].x = last.x + (last.width - rows[-1][0].width) / 2
    y = 2
    for row in rows:
        tallest = max(box.height for box in row)
        for box in row:
            box.top, box.y = y, y + (tallest - box.height) / 2
        y += tallest + BETWEEN
    return y - BETWEEN + 2


def _arrow(one: Placed, other: Placed, layout: Layout) -> Arrow:
    """Return the arrow from a box to the next, with the shape of what comes out of the first."""
    if layout.columns == 1:
        x, top = layout.width / 2, one.y + one.height
        label = Label(x + 10, (top + other.y) / 2 + 4, shape(one.out), "start")
        return _down([(x, top)], x, other.y, label)
    if other.top == one.top:
        left, right, y = one.x + one.width, other.x, one.y + one.height / 2
        middle = (left + right) / 2
        labels = [Label(middle, y - 7, str(one.out[0]), "middle", True)]
        if len(one.out) > 1:
            labels.append(Label(middle, y + 17, shape(one.out[1:]), "middle"))
        tip = [(right - 8, y - 4.5), (right, y), (right - 8, y + 4.5)]
        return Arrow([(left, y), (right - 6, y)], tip, labels)
    start, x, turn = one.x + one.width / 2, other.x + other.width / 2, other.top - 31
    straight = start == x
    label = Label(x + 10, turn, shape(one.out), "start")
    if not straight:
        label = Label((start + x) / 2, turn - 6, shape(one.out), "middle")
    return _down([(start, one.y + one.height), (start, turn), (x, turn)], x, other.y, label)


def _down(points: list[tuple[float, float]], x: float, y: float, label: Label) -> Arrow:
    tip = [(x - 4.5, y - 8), (x, y), (x + 4.5, y - 8)]
    return Arrow([*points, (x, y - 6)], tip, [label])
