"""Networks as SVG: boxes in the order of the data, the shape of what flows on the arrows.

Each drawing is made twice, in rows for a page and as one column for a phone, since text that is
shrunk to a phone's width cannot be read; the style sheet shows the one that fits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from training.report.trace import Network, Shape

LINE, PAD = 17, 11  # of a box's text, pixels
ENDS = 80  # width of the two ends, pixels


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
        return len(self.lines) * LINE + 2 * PAD - 3


def draw(network: Network, title: str, what: str) -> str:
    """Draws a network.

    Args:
        title: for those who cannot see it.
        what: comes out, in words: `50 classes`.

    Returns:
        Two SVGs in a div.
    """
    drawn = []
    for layout in (PAGE, PHONE):
        start = _placed("end", ["image"], network.shape, layout)
        boxes = [_placed(box.kind, box.text(), box.out, layout) for box in network.boxes]
        end = _placed("end", [what], (), layout)
        body, height = _flow([start, *boxes, end], layout)
        if network.side:
            body, height = _with_side(network, body, height, layout)
        drawn.append(
            f'<svg class="network {layout.name}" viewBox="0 0 {layout.width} {height}" role="img" '
            f'aria-label="{escape(title)}"><title>{escape(title)}</title>{body}</svg>'
        )
    return f'<div class="drawing">{"".join(drawn)}</div>'


def _placed(kind: str, said: list[str], out: Shape, layout: Layout) -> Placed:
    lines = [line for text in said for line in _wrapped(text, layout.letters)]
    return Placed(kind, lines, out, ENDS if kind == "end" else layout.box)


def _wrapped(text: str, letters: int) -> list[str]:
    """Breaks a line that is too long between things, as `3×3 conv, 64` and `BN`."""
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


def _with_side(network: Network, body: str, height: int, layout: Layout) -> tuple[str, int]:
    """Adds the auxiliary head below."""
    given, boxes = network.side
    note = f"In training alone, from {shape(given)} above:"
    top = height + 34
    start = _placed("end", ["from above"], given, layout)
    placed = [start, *(_placed(box.kind, box.text(), box.out, layout) for box in boxes)]
    more, below = _flow(placed, layout)
    body += f'<text class="note" x="2" y="{top}">{escape(note)}</text>'
    return f'{body}<g transform="translate(0 {top + 8})">{more}</g>', top + 8 + below


def _flow(boxes: list[Placed], layout: Layout) -> tuple[str, int]:
    """Lays boxes out, and draws them with the arrows between them; gives that and its height."""
    height = _down(boxes, layout) if layout.columns == 1 else _rows(boxes, layout)
    parts = []
    for one, other in pairwise(boxes):
        parts.append(_arrow(one, other, layout))
    parts += [_box(box) for box in boxes]
    return "".join(parts), height


def _down(boxes: list[Placed], layout: Layout) -> int:
    y = 2
    for box in boxes:
        box.x, box.y = (layout.width - box.width) / 2, y
        y += box.height + layout.gap
    return y - layout.gap + 2


def _rows(boxes: list[Placed], layout: Layout) -> int:
    """Fills rows from the left; boxes of a row have one middle."""
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
        y += tallest + 62
    return y - 62 + 2


def _box(box: Placed) -> str:
    middle = box.kind == "end"
    x = box.x + (box.width / 2 if middle else PAD)
    anchor = ' text-anchor="middle"' if middle else ""
    lines = "".join(
        f'<tspan x="{x + 8 * line.startswith("  "):g}" y="{box.y + PAD + 11 + LINE * i:g}">'
        f"{escape(line.strip())}</tspan>"
        for i, line in enumerate(box.lines)
    )
    return (
        f'<rect class="{box.kind}" x="{box.x:g}" y="{box.y:g}" width="{box.width}" '
        f'height="{box.height}" rx="7"/><text{anchor}>{lines}</text>'
    )


def _arrow(one: Placed, other: Placed, layout: Layout) -> str:
    """Draws the arrow from a box to the next, with the shape of what comes out of the first."""
    if layout.columns == 1:
        x, top, bottom = layout.width / 2, one.y + one.height, other.y
        line = _path([(x, top), (x, bottom - 6)], (x, bottom), "down")
        return line + _label(x + 10, (top + bottom) / 2 + 4, shape(one.out), "start")
    if other.top == one.top:
        left, right, y = one.x + one.width, other.x, one.y + one.height / 2
        line = _path([(left, y), (right - 6, y)], (right, y), "right")
        middle = (left + right) / 2
        labels = _label(middle, y - 7, str(one.out[0]), "middle", True)
        if len(one.out) > 1:
            labels += _label(middle, y + 17, shape(one.out[1:]), "middle")
        return line + labels
    start, x = one.x + one.width / 2, other.x + other.width / 2
    turn = other.top - 31
    points = [(start, one.y + one.height), (start, turn), (x, turn), (x, other.y - 6)]
    line = _path(points, (x, other.y), "down")
    if start == x:
        return line + _label(x + 10, turn, shape(one.out), "start")
    return line + _label((start + x) / 2, turn - 6, shape(one.out), "middle")


def _path(points: list[tuple[float, float]], tip: tuple[float, float], to: str) -> str:
    line = " ".join(f"{x:g},{y:g}" for x, y in points)
    x, y = tip
    corners = {
        "right": [(x - 8, y - 4.5), (x, y), (x - 8, y + 4.5)],
        "down": [(x - 4.5, y - 8), (x, y), (x + 4.5, y - 8)],
    }[to]
    head = " ".join(f"{a:g},{b:g}" for a, b in corners)
    return f'<polyline points="{line}"/><polygon points="{head}"/>'


def _label(x: float, y: float, text: str, anchor: str, strong: bool = False) -> str:
    weight = "shape strong" if strong else "shape"
    return f'<text class="{weight}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text}</text>'


def shape(of: Shape) -> str:
    """Writes a shape in one piece: `512 × 16 × 16`."""
    return "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}".join(map(str, of))
