"""How wild land looks from above: woods, rangeland, bare ground, water; and tree crowns.

Colours are reflectances in 0-1, images are planar (3, H, W) float32, lengths are pixels of
about half a metre. The colours of all kinds overlap on purpose: what tells them apart is the
pattern at 4-30 pixels (crowns, scrub, relief, ripples) and what lies around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from PIL import Image
from scipy import ndimage

SIZE = 512
SOILS = np.array(
    [
        [0.46, 0.35, 0.25],
        [0.58, 0.49, 0.36],
        [0.45, 0.29, 0.21],
        [0.48, 0.46, 0.42],
        [0.31, 0.26, 0.21],
        [0.66, 0.59, 0.47],
    ],
    np.float32,
)
PLANTS = np.array(
    [
        [0.15, 0.23, 0.11],
        [0.24, 0.34, 0.15],
        [0.34, 0.38, 0.19],
        [0.50, 0.45, 0.26],
        [0.19, 0.27, 0.19],
        [0.39, 0.31, 0.19],
    ],
    np.float32,
)
WATERS = np.array(
    [
        [0.08, 0.12, 0.14],
        [0.15, 0.22, 0.18],
        [0.36, 0.35, 0.27],
        [0.12, 0.20, 0.30],
        [0.30, 0.40, 0.38],
        [0.20, 0.19, 0.13],
    ],
    np.float32,
)
ROOFS = np.array(
    [
        [0.55, 0.54, 0.52],
        [0.48, 0.28, 0.21],
        [0.76, 0.74, 0.70],
        [0.35, 0.35, 0.37],
        [0.36, 0.42, 0.52],
        [0.45, 0.37, 0.30],
    ],
    np.float32,
)


@dataclass(frozen=True)
class Scene:
    """What the whole tile shares: soil and plants of the season, where the sun stands.

    Attributes:
        soil: (3,) colour of bare ground here.
        plants: (3,) colour of leaves and grass here.
        sun: (2,) unit vector in the plane (rows, columns) from which light comes.
        zoom: size of things relative to 0.5 m/pixel, 0.85-1.25.
    """

    soil: np.ndarray
    plants: np.ndarray
    sun: np.ndarray
    zoom: float


@dataclass(frozen=True)
class Texture:
    """One kind of land, drawn over the whole tile; the layout cuts its regions out of it.

    Attributes:
        ground: (3, H, W) colours without trees.
        trees: (n, 3) row, column and radius in pixels of crowns that stand on it.
    """

    ground: np.ndarray
    trees: np.ndarray


def mix(rng: np.random.Generator, colours: np.ndarray, jitter: float = 0.12) -> np.ndarray:
    """Draw a (3,) colour between two rows of `colours` (n, 3), brightness jittered (log sd)."""
    first, second = colours[rng.integers(len(colours), size=2)]
    colour = first + (second - first) * rng.random()
    return np.float32(colour * np.exp(rng.normal(0, jitter) + rng.normal(0, 0.025, 3)))


def noise(rng: np.random.Generator, scale: float, strength: float = 1) -> np.ndarray:
    """Smooth noise (H, W) around 0 of standard deviation `strength`, bumps `scale` pixels wide."""
    count = int(SIZE / scale) + 4
    # Interpolation between lattice points costs variance, hence the 1.4.
    lattice = rng.standard_normal((count, count), dtype=np.float32) * np.float32(1.4 * strength)
    span = SIZE / scale
    left, top = rng.uniform(1, count - 1 - span, 2)
    box = (left, top, left + span, top + span)
    return np.asarray(
        Image.fromarray(lattice).resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box)
    )


def fractal(
    rng: np.random.Generator, scale: float, octaves: int = 3, decay: float = 0.6
) -> np.ndarray:
    """Sum of `octaves` noises (H, W), each half as wide and `decay` as strong; unit variance."""
    weights = decay ** np.arange(octaves, dtype=np.float32)
    weights /= np.sqrt(np.sum(weights**2))
    return reduce(np.add, (noise(rng, scale / 2**k, weight) for k, weight in enumerate(weights)))


def pixels() -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (H, 1) and column numbers (1, W) of the pixels, float32."""
    rows, columns = np.ogrid[: np.float32(SIZE), : np.float32(SIZE)]
    return rows, columns


def frame(rng: np.random.Generator, angle: float, bend: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (H, W) along and across `angle` (radians) about the centre, bent by noise."""
    rows, columns = (axis - np.float32(SIZE / 2) for axis in pixels())
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = columns * cos + rows * sin + noise(rng, 170, bend)
    across = rows * cos - columns * sin + noise(rng, 170, bend)
    return along, across


def blend(low: np.ndarray, high: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Go from colour `low` (3,) to `high` (3,) by `amount` (H, W): (3, H, W)."""
    return low[:, None, None] + (high - low)[:, None, None] * amount


def cast(cover: np.ndarray, sun: np.ndarray, length: float) -> np.ndarray:
    """Shadow (H, W) float32 of `cover` (H, W), `length` (<= 60) pixels away from the sun."""
    down, right = np.rint(-sun * length).astype(int)
    padded = np.pad(np.float32(cover), 64)
    return padded[64 - down : 64 - down + SIZE, 64 - right : 64 - right + SIZE]


def hillshade(height: np.ndarray, sun: np.ndarray) -> np.ndarray:
    """Slope (H, W) of `height` (H, W) towards the sun; positive faces it."""
    slope = np.zeros_like(height)
    slope[1:-1] += sun[0] * (height[:-2] - height[2:]) / 2
    slope[:, 1:-1] += sun[1] * (height[:, :-2] - height[:, 2:]) / 2
    return slope


def scatter(rng: np.random.Generator, spacing: float, radius: float) -> np.ndarray:
    """Points on a jittered grid with varied radii: (n, 3) row, column, radius."""
    grid = np.mgrid[: SIZE / spacing + 1, : SIZE / spacing + 1].reshape(2, -1).T * spacing
    places = grid + rng.uniform(-0.45, 0.45, grid.shape) * spacing
    radii = radius * np.exp(rng.normal(0, 0.2, len(grid)))
    return np.column_stack([places, radii])


def sample(image: np.ndarray, trees: np.ndarray) -> np.ndarray:
    """Value of `image` (H, W) under each tree (n, 3), the nearest one inside: (n,)."""
    rows, columns = np.clip(trees[:, :2], 0, SIZE - 1).astype(int).T
    return image[rows, columns]


def woods(rng: np.random.Generator, scene: Scene) -> Texture:
    """Closed canopy with a few clearings over dark undergrowth."""
    ground = blend(scene.soil, scene.plants, 0.6 + 0.2 * fractal(rng, 20))
    radius = scene.zoom * rng.uniform(2.9, 6.5)
    trees = scatter(rng, radius * rng.uniform(1.35, 1.7), radius)
    clearing = sample(noise(rng, 60), trees) < -rng.uniform(1.3, 2.2)
    return Texture(ground * rng.uniform(0.6, 0.85), trees[~clearing])


def rangeland(rng: np.random.Generator, scene: Scene) -> Texture:
    """Mottled grass with cattle paths and scattered scrub in loose clumps."""
    mottle = np.clip(0.5 + rng.uniform(0.25, 0.5) * fractal(rng, 34, 4), -0.1, 1.1)
    ground = blend(mix(rng, np.stack([scene.soil, scene.plants])), scene.plants, mottle)
    ground *= 1 + rng.uniform(0.05, 0.11) * noise(rng, 3.5)
    path = np.exp(-((noise(rng, 110) / 0.035) ** 2)) * (0.35 * (rng.random() < 0.5))
    ground += (scene.soil[:, None, None] * 1.15 - ground) * path
    trees = scatter(rng, scene.zoom * rng.uniform(8, 14), scene.zoom * rng.uniform(1.8, 3.2))
    odds = 1 / (1 + np.exp(rng.uniform(0.2, 2.5) - 1.6 * sample(noise(rng, 45), trees)))
    return Texture(ground, trees[rng.random(len(trees)) < odds])


def barren(rng: np.random.Generator, scene: Scene) -> Texture:
    """Bare rock, sand or dug-over ground: faint relief in slanting light, hardly a plant."""
    relief = fractal(rng, rng.uniform(50, 110), 5, decay=0.52)
    style = rng.integers(3)
    if style == 0:  # eroded rock: ridges and gullies
        relief = -np.abs(relief)
    elif style == 1:  # sand: low dunes across the wind
        along, across = frame(rng, rng.uniform(0, np.pi), 22)
        dunes = np.sin(along / rng.uniform(2, 5) + np.sin(across / rng.uniform(12, 30)))
        relief += rng.uniform(0.03, 0.07) * dunes
    else:  # diggings: terraces that follow the contours
        relief += 0.06 * np.sin(relief * rng.uniform(9, 16))
    shade = hillshade(relief, scene.sun)
    light = 1 + rng.uniform(0.06, 0.17) * np.clip(shade / (shade.std() + 1e-6), -2.5, 2.5)
    stain = rng.uniform(0, 0.45) + 0.14 * fractal(rng, 70, 4)
    rock = mix(rng, np.stack([scene.soil, SOILS[3]]))
    gravel = 1 + rng.uniform(0.01, 0.05) * noise(rng, 2.5)
    trees = scatter(rng, 26, scene.zoom * 2)
    chosen = rng.random(len(trees)) < rng.uniform(0, 0.2)
    return Texture(blend(rock, scene.plants, stain) * (light * gravel), trees[chosen])


def water(rng: np.random.Generator, scene: Scene) -> Texture:
    """Nearly flat colour with slow streaks of silt and a faint ripple."""
    silt = np.clip(0.4 + 0.3 * noise(rng, 150), 0, 1)
    colour = mix(rng, WATERS)
    muddy = colour + (scene.soil * 0.9 - colour) * rng.uniform(0, 0.6)
    along, _ = frame(rng, rng.uniform(0, np.pi), 12)
    ripple = 1 + rng.uniform(0, 0.022) * np.sin(along / rng.uniform(0.9, 2)) * noise(rng, 40)
    return Texture(blend(colour, muddy, silt) * ripple, np.empty((0, 3)))


def crowns(trees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stamp a dome for each tree (n <= 16383, 3); the highest wins.

    Returns:
        heights: (H, W) in 0-1, 0 where there is no crown.
        owner: (H, W) index into trees of the crown seen at each pixel, where there is one.
    """
    packed = np.zeros((SIZE + 64) * (SIZE + 64), np.int32)
    order = np.arange(len(trees))
    for low, high in ((0, 4), (4, 7), (7, 15)):
        chosen = order[(np.ceil(trees[:, 2]) > low) & (np.ceil(trees[:, 2]) <= high)]
        offsets = np.arange(-high, high + 1, dtype=np.int32)
        corner = np.floor(trees[chosen, :2])
        part = np.float32(trees[chosen, :2] - corner)
        dy2 = (np.float32(offsets) - part[:, :1]) ** 2
        dx2 = (np.float32(offsets) - part[:, 1:]) ** 2
        radius2 = np.float32(trees[chosen, 2, None, None] ** 2)
        dome = np.sqrt(np.maximum(1 - (dy2[:, :, None] + dx2[:, None, :]) / radius2, 0))
        dome *= np.minimum(np.float32(trees[chosen, 2, None, None]) / 8 + 0.35, 1)
        key = (dome * 32767).astype(np.int32) << 14 | chosen[:, None, None].astype(np.int32)
        rows = corner[:, :1].astype(np.int32) + offsets + 32
        columns = corner[:, 1:].astype(np.int32) + offsets + 32
        spot = rows[:, :, None] * (SIZE + 64) + columns[:, None, :]
        seen = dome > 0
        np.maximum.at(packed, spot[seen], key[seen])
    packed = packed.reshape(SIZE + 64, SIZE + 64)[32:-32, 32:-32]
    return ndimage.uniform_filter((packed >> 14) / np.float32(32767), 2), packed & 16383
