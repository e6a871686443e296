"""Outlines of parts, and their rasterisation with smooth edges and patterns.

An outline is a tuple of loops, (N, 2) points in [-1, 1]^2, x to the right and y down: the first
loop is the border, the others are holes.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw


def _polar(radii, start=-90.0):
    """A loop through points at equal angles, at the given distances from the centre."""
    angles = np.radians(start) + np.arange(len(radii)) * (2 * math.pi / len(radii))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.asarray(radii)[:, None]


def _arc(degrees, inner):
    """A thick arc, open at the bottom, of outer radius 1."""
    angles = np.radians(-90 + np.linspace(-degrees / 2, degrees / 2, 20))
    rim = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([rim, inner * rim[::-1]])


def _crescent():
    angles = np.linspace(-1.9, 1.9, 16)
    outer = np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    inner = np.stack([0.78 * np.sin(angles), 0.35 - 0.72 * np.cos(angles)], axis=1)
    return np.concatenate([outer, inner[::-1]])


def _heart():
    t = np.linspace(0, 2 * math.pi, 28, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([np.sin(t) ** 3, -(y + 2.5) / 14.5], axis=1)


def _drop():
    t = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    return np.stack([0.75 * np.sin(t) * np.sin(t / 2) ** 1.5, -np.cos(t)], axis=1)


def _points(*pairs):
    return np.array(pairs, dtype=float)


_CIRCLE = _polar(np.ones(28))
_SQUARE = _points((-1, -1), (1, -1), (1, 1), (-1, 1))

OUTLINES = {
    "ellipse": (_CIRCLE,),
    "square": (0.9 * _SQUARE,),
    "triangle": (_points((0, -1), (1, 0.85), (-1, 0.85)),),
    "pentagon": (_polar(np.ones(5)),),
    "hexagon": (_polar(np.ones(6)),),
    "diamond": (_points((0, -1), (0.72, 0), (0, 1), (-0.72, 0)),),
    "trapezoid": (_points((-0.5, -0.85), (0.5, -0.85), (1, 0.85), (-1, 0.85)),),
    "star4": (_polar([1, 0.36] * 4),),
    "star5": (_polar([1, 0.45] * 5),),
    "gear": (_polar([1, 1, 0.72, 0.72] * 8),),
    "cross": (_polar(np.array([1.05, 1.05, 0.5] * 4), start=-108),),
    "ring": (_CIRCLE, 0.58 * _CIRCLE),
    "frame": (0.95 * _SQUARE, 0.55 * _SQUARE),
    "arc": (_arc(230, 0.6),),
    "wedge": (_arc(250, 0.0),),
    "half": (_arc(180, 0.0) + np.array((0, 0.45)),),
    "crescent": (_crescent(),),
    "heart": (_heart(),),
    "drop": (_drop(),),
    "bar": (_points((-0.3, -1), (0.3, -1), (0.3, 1), (-0.3, 1)),),
    "ell": (_points((-0.9, -1), (-0.2, -1), (-0.2, 0.35), (0.9, 0.35), (0.9, 1), (-0.9, 1)),),
    "tee": (
        _points(
            (-1, -1), (1, -1), (1, -0.4), (0.3, -0.4), (0.3, 1), (-0.3, 1), (-0.3, -0.4), (-1, -0.4)
        ),
    ),
    "arrow": (_points((0, -1), (0.9, 0), (0.35, 0), (0.35, 1), (-0.35, 1), (-0.35, 0), (-0.9, 0)),),
    "chevron": (_points((0, -0.9), (1, 0.2), (1, 0.9), (0, -0.1), (-1, 0.9), (-1, 0.2)),),
    "bolt": (
        _points(
            (-0.1, -1),
            (0.7, -1),
            (0.25, -0.25),
            (0.75, -0.25),
            (-0.45, 1),
            (-0.1, 0.1),
            (-0.6, 0.1),
        ),
    ),
}


class Cover(NamedTuple):
    """How much of each pixel a shape covers, within the rectangle that holds the shape."""

    rows: slice
    columns: slice
    alpha: np.ndarray  # (h, w) float32 in [0, 1]

    @property
    def window(self):
        return self.rows, self.columns


def transform(loops, matrix):
    """Loops under an affine map.

    Args:
        loops: a tuple of (N, 2) arrays.
        matrix: (2, 3).
    """
    return tuple(loop @ matrix[:, :2].T + matrix[:, 2] for loop in loops)


def cover(loops, height, width, stroke=0.0):
    """Rasterise a shape, or the line along its loops, with smooth edges.

    Args:
        loops: the shape's loops in pixels, the pixel (0, 0) spanning [0, 1]^2.
        height: of the picture, pixels.
        width: of the picture, pixels.
        stroke: width of the line in pixels; 0 fills the shape.

    Returns:
        A `Cover`, or None where the shape lies outside the picture.
    """
    fine = 4 if max(height, width) <= 128 else 2
    margin = stroke / 2 + 1
    low = np.floor(loops[0].min(axis=0) - margin).astype(int)
    high = np.ceil(loops[0].max(axis=0) + margin).astype(int)
    left, top = np.maximum(low, 0).tolist()
    right, bottom = np.minimum(high, (width, height)).tolist()
    if right <= left or bottom <= top:
        return None
    mask = Image.new("L", ((right - left) * fine, (bottom - top) * fine))
    draw = ImageDraw.Draw(mask)
    # Pillow counts from pixel centres, hence the half.
    local = [(loop - (left, top)) * fine - 0.5 for loop in loops]
    if stroke:
        for loop in local:
            line = np.concatenate([loop, loop[:2]]).ravel().tolist()
            draw.line(line, fill=255, width=max(1, round(stroke * fine)), joint="curve")
    else:
        # One path from the border into each hole and back; the way there has no area.
        path = np.concatenate(
            [part for loop in local for part in (loop, loop[:1])] + [local[0][:1]]
        )
        draw.polygon(path.ravel().tolist(), fill=255)
    alpha = np.asarray(mask.reduce(fine), dtype=np.float32) / 255
    return Cover(slice(top, bottom), slice(left, right), alpha)


def coordinates(window, matrix):
    """The part's own coordinates at the pixel centres of a window.

    Args:
        window: (rows, columns) slices.
        matrix: (2, 3), from the part's coordinates to pixels.

    Returns:
        u, v: (h, w) float32, within about [-1, 1] on the part.
    """
    rows, columns = window
    (a, b, left), (c, d, top) = matrix.tolist()
    scale = 1 / (a * d - b * c)
    x = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - left)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - top)
    u = np.float32(d * scale) * x - np.float32(b * scale) * y
    v = np.float32(a * scale) * y - np.float32(c * scale) * x
    return u, v


def pattern(name, u, v, periods):
    """Where a patterned part shows its second colour.

    Args:
        name: "stripes", "dots", "checks" or "rings".
        u: (h, w), in the part's coordinates.
        v: (h, w).
        periods: from one side of the part to the other.

    Returns:
        (h, w) float32 in [0, 1], soft at the edges.
    """
    rate = math.pi * periods
    if name == "stripes":
        wave = np.sin(rate * u)
    elif name == "rings":
        wave = np.sin(rate * np.sqrt(u * u + v * v) + 1.5)
    else:
        wave = np.sin(rate * u) * np.sin(rate * v) * 1.5
        if name == "dots":
            wave = np.abs(wave) - 0.75
    return np.clip(0.5 + 3 * wave, 0, 1)
