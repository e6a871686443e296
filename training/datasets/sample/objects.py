"""Object classes: compositions of two to four parts, drawn from a seed, told apart by design.

A class is a body and one to three more groups of parts: attached to its rim, mirrored like ears,
repeated around it like petals or set upon it like a window. A part may carry a pattern. Colours
belong to the picture, never to the class, so that colour alone says nothing.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from training.datasets.sample.shapes import OUTLINES, coordinates, cover, pattern, transform

BODIES = (
    *("ellipse", "square", "triangle", "pentagon", "hexagon", "diamond", "trapezoid", "star4"),
    *("star5", "gear", "cross", "ring", "frame", "half", "heart", "drop", "wedge", "tee", "ell"),
)
MARKS = ("ellipse", "square", "triangle", "star4", "star5", "cross", "ring", "heart", "bar", "half")
PATTERNS = ("stripes", "dots", "checks", "rings")
MAX_GROUPS = 4

# The first number of a class's random stream: spaces never share a class.
SPACES = {"p1": 1, "office": 2, "mini": 3}
_CANDIDATES = 6  # drawn for each class; the one least like the earlier classes is taken
_SIGNATURE = 48  # pixels, of the picture that two classes are compared by


@dataclass(frozen=True)
class Part:
    """One group of equal shapes.

    Attributes:
        outline: a key of `OUTLINES`.
        frames: (2, 3) maps from the outline's coordinates to the object's, one a copy.
        pattern: a name of `PATTERNS`, or None for a plain part.
        periods: of the pattern, across the part.
    """

    outline: str
    frames: tuple
    pattern: str | None = None
    periods: int = 2


@dataclass(frozen=True)
class Piece:
    """One shape of an object that was placed in a picture.

    Attributes:
        group: which part of the class it belongs to: pieces of one group share their colours.
        part: its `Part`.
        matrix: (2, 3), from the outline's coordinates to pixels.
        loops: the outline in pixels.
    """

    group: int
    part: Part
    matrix: np.ndarray
    loops: tuple


def affine(scale_x, scale_y, angle, x=0.0, y=0.0, shear=0.0):
    """Scales, shears, turns by `angle` (radians), then moves: a (2, 3) matrix."""
    cos, sin = math.cos(angle), math.sin(angle)
    skew = shear * scale_y
    return np.array(
        [
            [cos * scale_x, cos * skew - sin * scale_y, x],
            [sin * scale_x, sin * skew + cos * scale_y, y],
        ]
    )


def chain(outer, inner):
    """The (2, 3) map that applies `inner`, then `outer`."""
    both = outer[:, :2] @ inner
    both[:, 2] += outer[:, 2]
    return both


def _patterned(rng, probability):
    if rng.random() >= probability:
        return {}
    return {"pattern": str(rng.choice(PATTERNS)), "periods": int(rng.integers(2, 4))}


def _body(rng):
    long, aspect = rng.uniform(0.5, 0.62), rng.uniform(0.6, 1)
    sides = (long, long * aspect) if rng.random() < 0.5 else (long * aspect, long)
    angle = rng.choice([0, 0, 45, 90, 180]) * math.pi / 180
    return Part(str(rng.choice(BODIES)), (affine(*sides, angle),), **_patterned(rng, 0.45))


def _attached(rng):
    """Shapes on the body's rim, pointing away from it: one, a mirrored pair, or several around."""
    outline = str(rng.choice(tuple(OUTLINES)))
    size, aspect, away = rng.uniform(0.24, 0.4), rng.uniform(0.65, 1.4), rng.uniform(0.55, 0.75)
    start = rng.uniform(-math.pi, math.pi)
    kind = rng.choice(("single", "mirrored", "around"), p=(0.4, 0.35, 0.25))
    angles: tuple[float, ...]
    if kind == "mirrored":
        start = rng.uniform(0.35, 2.8)
        angles = (start, -start)
    elif kind == "around":
        copies = int(rng.integers(3, 6))
        size *= 0.8
        angles = tuple(start + 2 * math.pi * i / copies for i in range(copies))
    else:
        angles = (start,)
        size *= 1.15
    frames = tuple(
        affine(size * aspect, size, a, away * math.sin(a), -away * math.cos(a)) for a in angles
    )
    return Part(outline, frames, **_patterned(rng, 0.2))


def _mark(rng):
    """A shape upon the body."""
    size, aspect = rng.uniform(0.2, 0.32), rng.uniform(0.7, 1.3)
    x, y = rng.uniform(-0.2, 0.2, 2)
    angle = rng.choice([0, 45, 90, 180]) * math.pi / 180
    return Part(str(rng.choice(MARKS)), (affine(size * aspect, size, angle, x, y),))


def _draw_class(rng):
    """One candidate: its parts from back to front, together filling [-1, 1]^2."""
    behind: list[Part] = []
    front: list[Part] = []
    for _ in range(rng.integers(1, MAX_GROUPS)):
        if rng.random() < 0.3 and not front:
            front.append(_mark(rng))
        else:
            behind.append(_attached(rng))
    parts = [*behind, _body(rng), *front]
    points = np.concatenate(
        [transform(OUTLINES[part.outline], m)[0] for part in parts for m in part.frames]
    )
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 2 / (high - low).max()
    fit = affine(scale, scale, 0, *(-scale * (low + high) / 2))
    return tuple(
        Part(p.outline, tuple(chain(fit, m) for m in p.frames), p.pattern, p.periods) for p in parts
    )


def place(parts, matrix, rng=None, jitter=0.0):
    """Set an object into a picture.

    Args:
        parts: a class.
        matrix: (2, 3), from the object's coordinates to pixels.
        rng: draws the deviations of the parts.
        jitter: how far parts deviate from the class, as a share of their size.

    Returns:
        A list of `Piece`, from back to front.
    """
    pieces = []
    for group, part in enumerate(parts):
        growth, turn, x, y = rng.normal(0, jitter, 4) if rng is not None else (0, 0, 0, 0)
        own = affine(math.exp(growth), math.exp(growth), turn, x, y)
        for frame in part.frames:
            deviation = own
            if rng is not None:
                stretch, own_turn = rng.normal(0, jitter / 2, 2)
                deviation = chain(own, affine(math.exp(stretch), math.exp(-stretch), own_turn))
            total = chain(matrix, chain(frame, deviation))
            pieces.append(Piece(group, part, total, transform(OUTLINES[part.outline], total)))
    return pieces


def _signature(parts):
    """What a class looks like without colours: its silhouette and its inner edges, coarsely."""
    size = _SIGNATURE
    silhouette = np.zeros((size, size), dtype=np.float32)
    grey = np.zeros_like(silhouette)
    for piece in place(parts, affine(0.46 * size, 0.46 * size, 0, size / 2, size / 2)):
        area = cover(piece.loops, size, size)
        shade = np.float32(0.4 + 0.3 * (piece.group % 3))
        if piece.part.pattern:
            u, v = coordinates(area.window, piece.matrix)
            shade = shade - 0.35 * pattern(piece.part.pattern, u, v, piece.part.periods)
        grey[area.window] += area.alpha * (shade - grey[area.window])
        silhouette[area.window] = np.maximum(silhouette[area.window], area.alpha)
    edges = np.abs(np.diff(grey, axis=0, prepend=0)) + np.abs(np.diff(grey, axis=1, prepend=0))
    coarse = np.stack([silhouette, 2 * edges]).reshape(2, size // 4, 4, size // 4, 4)
    return coarse.mean(axis=(2, 4))


@functools.lru_cache(maxsize=8)
def classes(seed, space, count):
    """The classes of a space.

    Each class is, among several candidates, the one that is least like any earlier class or its
    mirror image (best-candidate sampling, Mitchell 1991). The first classes do not depend on
    `count`.

    Args:
        seed: of the data set.
        space: a key of `SPACES`.
        count: how many.

    Returns:
        A tuple of classes, each a tuple of `Part`.
    """
    chosen, seen = [], np.zeros((0, 2, _SIGNATURE // 4, _SIGNATURE // 4), dtype=np.float32)
    for label in range(count):
        rng = np.random.default_rng([seed, SPACES[space], label])
        candidates = [_draw_class(rng) for _ in range(_CANDIDATES if label else 1)]
        signatures = [_signature(parts) for parts in candidates]
        distances = [((seen - s) ** 2).sum(axis=(1, 2, 3)).min(initial=np.inf) for s in signatures]
        best = int(np.argmax(distances))
        chosen.append(candidates[best])
        both = np.stack([signatures[best], signatures[best][:, :, ::-1]])
        seen = np.concatenate([seen, both])
    return tuple(chosen)
