"""What surrounds an object: colours, backgrounds, clutter, light.

Canvases are (H, W, 3) float32 RGB in [0, 1] (beyond it before `to_uint8`).
"""

import math

import numpy as np
from PIL import Image, ImageFilter

from training.datasets.sample.objects import PATTERNS, affine
from training.datasets.sample.shapes import OUTLINES, coordinates, cover, pattern, transform

_NAMES = tuple(OUTLINES)
# Rec. 601 luma: what tells two colours apart most.
_LUMA = np.array([0.299, 0.587, 0.114])


def palette(rng, count, tries=6):
    """Random colours, each the one among `tries` that differs most from those before it.

    Args:
        rng: a Generator.
        count: how many.
        tries: the more, the stronger the contrasts.

    Returns:
        (count, 3) float32.
    """
    drawn = rng.uniform(0.03, 0.97, (count, tries, 3))
    # Luma counts like a channel of its own.
    points = np.concatenate([drawn, 1.5 * (drawn @ _LUMA)[..., None]], axis=2)
    chosen = [points[0, 0]]
    for candidates in points[1:]:
        gaps = ((candidates[:, None] - np.array(chosen)) ** 2).sum(axis=2).min(axis=1)
        chosen.append(candidates[gaps.argmax()])
    return np.array(chosen, dtype=np.float32)[:, :3]


def smooth_noise(rng, height, width, cells):
    """(H, W) float32 noise of about `cells` bumps across, standard deviation about 0.6."""
    grid = rng.standard_normal((cells + 1, cells + 1), dtype=np.float32)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def gradient(rng, height, width):
    """(H, W) float32 ramp in a random direction, -1 to 1 from corner to corner."""
    angle = rng.uniform(0, 2 * math.pi)
    y = np.arange(1 - height, height, 2, dtype=np.float32)[:, None]
    x = np.arange(1 - width, width, 2, dtype=np.float32)
    along, down = math.cos(angle) / width, math.sin(angle) / height
    return np.float32(along * math.sqrt(0.5)) * x + np.float32(down * math.sqrt(0.5)) * y


def background(rng, height, width, colour, busy=1.0):
    """A gradient with soft noise, every other time with a pattern over it.

    Args:
        rng: a Generator.
        height: pixels.
        width: pixels.
        colour: (3,).
        busy: strength of noise and pattern.

    Returns:
        A canvas.
    """
    other = colour + rng.normal(0, 0.2, 3).astype(np.float32)
    mix = 0.5 + 0.5 * gradient(rng, height, width)
    mix = mix + np.float32(0.35 * busy) * smooth_noise(rng, height, width, int(rng.integers(2, 7)))
    if rng.random() < 0.5:
        unit = max(height, width) / 2
        tilt = affine(unit, unit, rng.uniform(0, math.pi), width / 2, height / 2)
        u, v = coordinates((slice(0, height), slice(0, width)), tilt)
        name = PATTERNS[rng.integers(len(PATTERNS))]
        weave = pattern(name, u, v, rng.uniform(2, 6)) - 0.5
        mix = mix + np.float32(rng.uniform(0.3, 0.9) * busy) * weave
    return colour + mix[..., None] * (other - colour)


def paint(canvas, area, colour):
    """Blend a colour ((3,) or (h, w, 3)) into the part of a canvas that `area` covers."""
    if area is not None:
        window = canvas[area.window]
        window += area.alpha[..., None] * (colour - window)


def clutter(canvas, rng, count, colours, reach=(0.55, 1.0), size=(0.08, 0.25)):
    """Scatter stray shapes.

    Args:
        canvas: painted upon.
        rng: a Generator.
        count: how many shapes.
        colours: (n, 3), mixed for each shape.
        reach: least and greatest distance from the middle, 1 being the border.
        size: least and greatest radius, as a share of the shorter side.
    """
    height, width = canvas.shape[:2]
    for _ in range(count):
        direction, away = rng.uniform(0, 2 * math.pi), rng.uniform(*reach)
        # On a square, not on a circle, so that corners get their share.
        x, y = math.cos(direction), math.sin(direction)
        stretch = 0.5 * away / max(abs(x), abs(y))
        radius = rng.uniform(*size) * min(height, width)
        matrix = affine(
            radius,
            radius * rng.uniform(0.5, 1),
            rng.uniform(0, 2 * math.pi),
            width * (0.5 + stretch * x),
            height * (0.5 + stretch * y),
        )
        loops = transform(OUTLINES[_NAMES[rng.integers(len(_NAMES))]], matrix)
        a, b = colours[rng.integers(len(colours), size=2)]
        paint(canvas, cover(loops, height, width), a + rng.random(dtype=np.float32) * (b - a))


def light(canvas, rng, strength):
    """Brighten one side of a canvas and darken the other, in place."""
    ramp = gradient(rng, *canvas.shape[:2])
    canvas *= (rng.uniform(1 - strength / 2, 1 + strength / 2) + strength * ramp)[..., None]


def blur(canvas, radius):
    """Gaussian blur of a canvas; the radius in pixels."""
    picture = Image.fromarray(to_uint8(canvas)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(picture, dtype=np.float32) / 255


def to_uint8(canvas):
    """(H, W, 3) uint8 of a canvas, what lies outside [0, 1] cut off."""
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)
