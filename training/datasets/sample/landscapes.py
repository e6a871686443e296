"""Generated satellite tiles with their land cover: `landscape(seed, index, split)`.

A tile is laid out first (regions, copses, villages, rivers, lakes), which is its mask; then
each kind of land is drawn in its regions, trees are stamped over the ground, clouds and the
sensor come last. Light, haze, season and colour cast vary from tile to tile so much that the
colour of a pixel says little about its class.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from training.datasets.sample import landscape_parcels as parcels
from training.datasets.sample import landscape_textures as textures
from training.datasets.sample.landscape_textures import SIZE, Scene, Texture, fractal, mix, noise

URBAN, AGRICULTURE, RANGELAND, FOREST, WATER, BARREN, UNKNOWN = range(7)
SPLITS = ("train", "validation")
# Odds of a region's class, urban first: less skewed than DeepGlobe's, agriculture still leads.
REGION_ODDS = np.array([0.17, 0.36, 0.15, 0.17, 0.0, 0.15])
PAINTERS = {
    URBAN: parcels.town,
    AGRICULTURE: parcels.fields,
    RANGELAND: textures.rangeland,
    FOREST: textures.woods,
    WATER: textures.water,
    BARREN: textures.barren,
}


def landscape(seed: int, index: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Generate one tile; the same arguments give the same arrays.

    Args:
        seed: of the whole data set, >= 0.
        index: of the tile within its split, >= 0.
        split: "train" or "validation", which never share a tile.

    Returns:
        rgb: (512, 512, 3) uint8.
        mask: (512, 512) uint8 class indices, 0-5 and 6 for Unknown (clouds, missing data).

    Raises:
        ValueError: for another split.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are: {', '.join(SPLITS)}")
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    mask, depth = _layout(rng)
    angle = rng.uniform(0, 2 * np.pi)
    scene = Scene(
        soil=mix(rng, textures.SOILS),
        plants=mix(rng, textures.PLANTS),
        sun=np.array([np.sin(angle), np.cos(angle)], np.float32),
        zoom=rng.uniform(0.85, 1.25),
    )
    land = _paint(rng, scene, mask, depth)
    clouds, missing = _hide(rng, land, scene.sun)
    mask[(clouds > 0.5) | missing] = UNKNOWN
    rgb = _sense(rng, land, clouds)
    rgb[missing] = 0
    return rgb, mask


def _layout(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Lay out the land: mask (H, W) uint8 and depth (H, W), pixels from the shore, > 0 in water."""
    bend = rng.uniform(8, 34)
    rows, columns = (
        axis + noise(rng, 120, bend) + noise(rng, 40, 0.15 * bend) for axis in textures.pixels()
    )
    kinds = rng.choice(6, size=rng.integers(2, 5), replace=False, p=REGION_ODDS)
    count = int(rng.integers(len(kinds), 8))
    sites = _spread(rng, count)
    odds = REGION_ODDS[kinds] / REGION_ODDS[kinds].sum()
    owners = np.concatenate([kinds, rng.choice(kinds, count - len(kinds), p=odds)])
    nearest, mask = np.full((SIZE, SIZE), np.inf, np.float32), np.zeros((SIZE, SIZE), np.uint8)
    for (y, x), owner in zip(sites, owners, strict=True):
        distance = (rows - y) ** 2 + (columns - x) ** 2
        closer = distance < nearest
        nearest[closer], mask[closer] = distance[closer], owner
    for _ in range(rng.choice([0, 1, 2], p=[0.5, 0.35, 0.15])):  # a copse, village, scrub, pit
        y, x = np.float32(rng.uniform(40, SIZE - 40, 2))
        inside = (rows - y) ** 2 + (columns - x) ** 2 < rng.uniform(36, 75) ** 2
        mask[inside] = rng.choice([URBAN, RANGELAND, FOREST, BARREN], p=[0.35, 0.15, 0.25, 0.25])
    depth = _waters(rng, rows, columns)
    if rng.random() < 0.45:  # a beach or a strip of scrub along the shore
        mask[depth > -rng.uniform(14, 40)] = rng.choice([BARREN, RANGELAND], p=[0.6, 0.4])
    mask[depth > 0] = WATER
    return mask, depth


def _spread(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw `count` sites (count, 2) over the tile, each the farthest of a few tries."""
    sites = np.float32(rng.uniform(0, SIZE, (1, 2)))
    while len(sites) < count:
        tries = np.float32(rng.uniform(0, SIZE, (6, 2)))
        gaps = np.linalg.norm(tries[:, None] - sites, axis=2).min(axis=1)
        sites = np.concatenate([sites, tries[[gaps.argmax()]]])
    return rng.permutation(sites)


def _waters(rng: np.random.Generator, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Depth (H, W) of a river, a lake, a coast or none, in pixels from the shore."""
    kind = rng.choice(["none", "river", "lake", "coast"], p=[0.4, 0.27, 0.2, 0.13])
    if kind == "none":
        return np.full((SIZE, SIZE), -1e3, np.float32)
    if kind == "lake":
        y, x = np.float32(rng.uniform(60, SIZE - 60, 2))
        stretch, radius = rng.uniform(0.6, 1.6), rng.uniform(50, 140)
        return radius - np.hypot((rows - y) * stretch, (columns - x) / stretch)
    angle = rng.uniform(0, 2 * np.pi)
    y, x, cos, sin = np.array(
        [*rng.uniform(120, SIZE - 120, 2), np.cos(angle), np.sin(angle)], np.float32
    )
    across = (rows - y) * cos - (columns - x) * sin
    if kind == "coast":
        return across - rng.uniform(-60, 60)
    width = rng.uniform(9, 34) * (1 + 0.2 * noise(rng, 150))
    return width - np.abs(across)


def _paint(
    rng: np.random.Generator, scene: Scene, mask: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """Draw every class of `mask` (H, W) in its regions: reflectance (3, H, W)."""
    land = np.empty((3, SIZE, SIZE), np.float32)
    trees, leaves = [np.empty((0, 3))], [np.empty((0, 3), np.float32)]
    for kind in np.unique(mask):
        soil, plants = mix(rng, textures.SOILS), mix(rng, textures.PLANTS)
        own = replace(scene, soil=(scene.soil + soil) / 2, plants=(scene.plants + plants) / 2)
        texture: Texture = PAINTERS[int(kind)](rng, own)
        np.copyto(land, texture.ground, where=mask == kind)
        here = texture.trees[textures.sample(mask, texture.trees) == kind]
        trees.append(here)
        leaves.append(np.float32(own.plants * np.exp(rng.normal(0, 0.13, (len(here), 1)))))
    shore = np.exp(-((depth / rng.uniform(2, 5)) ** 2)) * rng.uniform(0, 0.6)
    land += (scene.soil[:, None, None] * rng.uniform(0.5, 1.3) - land) * shore
    _build_road(rng, scene, land, depth)
    _plant(rng, scene, land, np.concatenate(trees), np.concatenate(leaves))
    return land


def _build_road(
    rng: np.random.Generator, scene: Scene, land: np.ndarray, depth: np.ndarray
) -> None:
    """Draw a winding road into `land` (3, H, W) on half of the tiles; the mask ignores it."""
    if rng.random() < 0.5:
        return
    _, across = textures.frame(rng, rng.uniform(0, np.pi), rng.uniform(5, 40))
    distance = np.abs(across + rng.uniform(-180, 180))
    road = np.clip(rng.uniform(1.8, 4) - distance, 0, 1) * (depth < 0)
    colour = mix(rng, np.stack([scene.soil * 1.2, textures.SOILS[3]]))
    land += (colour[:, None, None] - land) * road


def _plant(
    rng: np.random.Generator, scene: Scene, land: np.ndarray, trees: np.ndarray, leaves: np.ndarray
) -> None:
    """Stamp trees (n, 3) of colours `leaves` (n, 3) and their shadows onto `land` (3, H, W)."""
    inside = (trees[:, :2].min(axis=1) > -14) & (trees[:, :2].max(axis=1) < SIZE + 14)
    chosen = rng.permutation(np.flatnonzero(inside))[:16383]
    if not len(chosen):
        return
    height, owner = textures.crowns(trees[chosen])
    height *= np.clip(1 + 0.2 * noise(rng, 4), 0.4, 1.6)  # leaves, boughs, ragged outlines
    cover = np.clip(height * 5, 0, 1)
    shadow = textures.cast(cover, scene.sun, rng.uniform(2, 4))
    land *= 1 - rng.uniform(0.35, 0.6) * shadow
    light = 0.5 + 0.55 * height + 1.5 * textures.hillshade(height, scene.sun)
    crown = np.ascontiguousarray(leaves[chosen].T)[:, owner] * np.clip(light, 0.15, 1.8)
    land += (crown - land) * cover


def _hide(
    rng: np.random.Generator, land: np.ndarray, sun: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw clouds' shadows into `land`; return clouds, (H, W) in 0-1, and missing data, (H, W)."""
    clouds, missing = np.zeros((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), bool)
    luck = rng.random()
    if luck < 0.08:
        clouds = np.clip((fractal(rng, 150, 5) - rng.uniform(0.6, 1.4)) * 3.5, 0, 1)
        shadow = textures.cast(clouds, sun, rng.uniform(25, 60))
        land *= 1 - 0.5 * ndimage.uniform_filter(shadow, 5)
    elif luck < 0.11:
        angle = rng.uniform(0, 2 * np.pi)
        _, across = textures.frame(rng, angle, 0)
        missing = across > rng.uniform(100, 220)
    return clouds, missing


def _sense(rng: np.random.Generator, land: np.ndarray, clouds: np.ndarray) -> np.ndarray:
    """What the satellite's camera makes of reflectances (3, H, W): (H, W, 3) uint8."""
    exposure = rng.uniform(0.22, 0.42) / land.mean() * np.exp(rng.normal(0, 0.05, 3))
    haze = rng.uniform(0, 0.3)
    air = np.array([0.52, 0.56, 0.60]) * rng.uniform(0.5, 1)
    offset, gain = haze * air, (1 - haze) * exposure
    vignette = 1 + rng.uniform(0, 0.1) * noise(rng, 300)
    image = land * np.float32(gain)[:, None, None] * vignette
    image += np.float32(offset)[:, None, None]
    image += (np.float32(0.88) - image) * clouds
    image = np.clip(image, 0, 1) ** np.float32(np.exp(rng.normal(0.05, 0.15)))
    image = ndimage.gaussian_filter(image, (0, *[rng.uniform(0.55, 0.8)] * 2), truncate=2)
    grain = rng.standard_normal((SIZE, SIZE), dtype=np.float32) * rng.uniform(0.003, 0.012)
    return (np.clip(image + grain, 0, 1).transpose(1, 2, 0) * 255).astype(np.uint8)
