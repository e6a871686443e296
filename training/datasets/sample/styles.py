"""Pictures of an object in four styles: photographic, painted, clip-art, product on white."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.datasets.sample import scene
from training.datasets.sample.objects import MAX_GROUPS, affine, chain, place
from training.datasets.sample.shapes import coordinates, cover, pattern


@dataclass(frozen=True)
class Nuisance:
    """How far a picture strays from its class; this sets how hard the classes are to learn.

    Attributes:
        turn: greatest rotation to either side, degrees.
        size: least and greatest radius of the object, 0.5 filling the shorter side.
        shift: greatest shift of its centre, as a share of each side.
        jitter: standard deviation of the parts' sizes, angles (radians) and places.
        contrast: tries for each colour, see `scene.palette`.
        busy: strength of the background's noise and patterns.
        clutter: most stray shapes behind the object.
        hidden: probability that a stray shape hides a bit of the object.
        blur: greatest radius of the last blur, pixels.
        grain: greatest standard deviation of the noise, of 1.
    """

    turn: float = 25
    size: tuple = (0.34, 0.46)
    shift: float = 0.08
    jitter: float = 0.06
    contrast: int = 6
    busy: float = 1.0
    clutter: int = 4
    hidden: float = 0.25
    blur: float = 0.6
    grain: float = 0.06


def _pose(rng, height, width, nuisance):
    """Where the object stands: a (2, 3) map from its coordinates to pixels."""
    radius = rng.uniform(*nuisance.size) * min(height, width)
    flip = 1 if rng.random() < 0.5 else -1
    aspect = math.exp(rng.normal(0, 0.06))
    x, y = 0.5 + rng.uniform(-nuisance.shift, nuisance.shift, 2)
    # Turned about its centre after the flip: both sides see the same range of angles.
    turned = affine(
        radius * aspect,
        radius / aspect,
        math.radians(rng.uniform(-nuisance.turn, nuisance.turn)),
        x * width,
        y * height,
        shear=rng.normal(0, 0.08),
    )
    return chain(turned, affine(flip, 1, 0))


def _tint(piece, area, colours, light=None, strength=0.0):
    """A piece's colour, its pattern and the light on it included.

    Args:
        piece: a `Piece`.
        area: its `Cover`.
        colours: as `_colours` gives them.
        light: (2,), the direction that it comes from; None for flat colours.
        strength: of the light.

    Returns:
        (3,) or (h, w, 3) float32.
    """
    colour = colours[1 + piece.group]
    if light is None and not piece.part.pattern:
        return colour
    u, v = coordinates(area.window, piece.matrix)
    if piece.part.pattern:
        other = colours[1 + MAX_GROUPS + piece.group]
        mix = pattern(piece.part.pattern, u, v, piece.part.periods)
        colour = colour + mix[..., None] * (other - colour)
    if light is not None:
        # Brighter towards the light, as if the piece were rounded.
        along = light @ piece.matrix[:, :2]
        along *= strength / math.hypot(*along)
        shade = np.float32(along[0]) * u + np.float32(along[1]) * v
        colour = colour * (1 + shade)[..., None]
    return colour


def _colours(rng, nuisance):
    """The background's colour, then first colours and pattern colours of the groups."""
    return scene.palette(rng, 1 + 2 * MAX_GROUPS, nuisance.contrast)


def _draw(canvas, pieces, colours, light, strength):
    height, width = canvas.shape[:2]
    for piece in pieces:
        area = cover(piece.loops, height, width)
        if area is not None:
            scene.paint(canvas, area, _tint(piece, area, colours, light, strength))


def _direction(rng):
    angle = rng.uniform(0, 2 * math.pi)
    return np.array([math.cos(angle), math.sin(angle)])


def photographic(parts, rng, height, width, nuisance):
    """An object before a blurred, cluttered background, unevenly lit, with grain.

    Args:
        parts: a class of `objects.classes`.
        rng: a Generator.
        height: pixels.
        width: pixels.
        nuisance: a `Nuisance`.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    colours = _colours(rng, nuisance)
    canvas = scene.background(rng, height, width, colours[0], nuisance.busy)
    scene.clutter(canvas, rng, int(rng.integers(nuisance.clutter + 1)), colours)
    if min(height, width) > 64:
        canvas = scene.blur(canvas, rng.uniform(0.005, 0.025) * width)
    pieces = place(parts, _pose(rng, height, width, nuisance), rng, nuisance.jitter)
    _draw(canvas, pieces, colours, _direction(rng), rng.uniform(0.05, 0.3))
    if rng.random() < nuisance.hidden:
        scene.clutter(canvas, rng, 1, colours, (0.15, 0.55), (0.07, 0.13))
    scene.light(canvas, rng, rng.uniform(0, 0.5))
    radius = rng.uniform(0, nuisance.blur)
    if radius > 0.3:
        canvas = scene.blur(canvas, radius)
    grain = rng.standard_normal((height, width, 1), dtype=np.float32)
    canvas += grain * np.float32(rng.uniform(0, nuisance.grain))
    return scene.to_uint8(canvas)


def painted(parts, rng, height, width, nuisance):
    """An oil painting: the scene in short, curved rows of brush strokes. As `photographic`."""
    colours = _colours(rng, nuisance)
    canvas = scene.background(rng, height, width, colours[0], nuisance.busy)
    scene.clutter(canvas, rng, int(rng.integers(nuisance.clutter + 1)), colours)
    pieces = place(parts, _pose(rng, height, width, nuisance), rng, nuisance.jitter)
    _draw(canvas, pieces, colours, _direction(rng), 0.25)
    return scene.to_uint8(_strokes(canvas, rng))


def _strokes(canvas, rng, count=900):
    """Repaint a canvas with strokes that follow a smooth field of directions."""
    height, width = canvas.shape[:2]
    side = min(height, width)
    ys, xs = rng.integers(height, size=count), rng.integers(width, size=count)
    angles = 2.5 * scene.smooth_noise(rng, height, width, 3)[ys, xs]
    lengths = rng.uniform(0.012, 0.035, count) * side
    dx, dy = np.cos(angles) * lengths, np.sin(angles) * lengths
    ends = np.stack([xs - dx, ys - dy, xs + dx, ys + dy], axis=1).tolist()
    tints = canvas[ys, xs] + rng.normal(0, 0.05, (count, 1))
    # Six shades a channel: a painter's palette is small.
    tints = np.clip(np.round(tints * 6) / 6, 0, 1) * 255
    wet = Image.fromarray(scene.to_uint8(canvas)).filter(ImageFilter.GaussianBlur(0.008 * side))
    draw = ImageDraw.Draw(wet)
    thick = max(2, round(0.022 * side))
    for line, tint in zip(ends, tints.astype(int).tolist(), strict=True):
        draw.line(line, fill=tuple(tint), width=thick)
    relief = rng.standard_normal((height, width, 1), dtype=np.float32)
    return np.asarray(wet, dtype=np.float32) / 255 + np.float32(0.02) * relief


def clip_art(parts, rng, height, width, nuisance):
    """Flat colours within black outlines on a plain or white ground. As `photographic`."""
    colours = _colours(rng, nuisance)
    ground = colours[0] if rng.random() < 0.5 else np.ones(3, dtype=np.float32)
    canvas = np.empty((height, width, 3), dtype=np.float32)
    canvas[:] = ground
    if rng.random() < 0.4:  # a coloured disc or card behind the object
        scene.clutter(canvas, rng, 1, colours, (0, 0.1), (0.38, 0.48))
    ink = np.full(3, 0.05, dtype=np.float32)
    thick = rng.uniform(0.01, 0.02) * min(height, width)
    pieces = place(parts, _pose(rng, height, width, nuisance), rng, nuisance.jitter)
    for piece in pieces:
        area = cover(piece.loops, height, width)
        if area is not None:
            scene.paint(canvas, area, _tint(piece, area, colours))
            scene.paint(canvas, cover(piece.loops, height, width, stroke=thick), ink)
    return scene.to_uint8(canvas)


def product(parts, rng, height, width, nuisance):
    """A shaded object on white with a soft shadow, as in a shop. As `photographic`."""
    colours = _colours(rng, nuisance)
    colours[0] = 1
    pieces = place(parts, _pose(rng, height, width, nuisance), rng, nuisance.jitter)
    dark = np.zeros((height, width), dtype=np.float32)
    for piece in pieces:
        area = cover(piece.loops, height, width)
        if area is not None:
            dark[area.window] = np.maximum(dark[area.window], area.alpha)
    drop = Image.fromarray((dark * 255).astype(np.uint8))
    drop = drop.filter(ImageFilter.GaussianBlur(0.03 * min(height, width)))
    shadow = np.roll(np.asarray(drop, dtype=np.float32) / 255, (height // 25, width // 50), (0, 1))
    canvas = 1 - np.float32(rng.uniform(0.2, 0.45)) * shadow[..., None].repeat(3, axis=2)
    _draw(canvas, pieces, colours, _direction(rng), rng.uniform(0.2, 0.45))
    return scene.to_uint8(canvas)


# The order of the styles: picture `index` of class `label` has style (label + index) mod 4.
STYLES = (painted, clip_art, product, photographic)
