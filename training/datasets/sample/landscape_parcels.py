"""How worked land looks from above: fields with furrows and orchards, towns with streets.

Both are grids in a turned and slightly bent frame: what they show and wild land does not is
straight lines, rows and right angles. Colours and units as in `landscape_textures`.
"""

from __future__ import annotations

import numpy as np

from training.datasets.sample.landscape_textures import (
    ROOFS,
    SIZE,
    SOILS,
    Scene,
    Texture,
    blend,
    cast,
    fractal,
    frame,
    mix,
    noise,
    sample,
    scatter,
)


def _parcels(rng: np.random.Generator, edge: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Split a square into fields: labels and borders (K, K) in the fields' own frame, count.

    K is large enough to hold the tile at any angle; the border map is 1 on tracks and hedges.
    """
    size = int(SIZE * 1.7)
    labels, borders = np.zeros((size, size), np.int32), np.zeros((size, size), np.float32)
    stack, count = [(0, 0, size, size)], 0
    while stack:
        top, left, bottom, right = stack.pop()
        height, width = bottom - top, right - left
        if max(height, width) < edge * rng.uniform(1.3, 2.6):
            labels[top:bottom, left:right] = count
            border = rng.integers(1, 4)
            borders[top : top + border, left:right] = borders[top:bottom, left : left + border] = 1
            count += 1
            continue
        share = rng.uniform(0.32, 0.68)
        if height * rng.uniform(0.7, 1.4) > width:
            cut = top + int(height * share)
            stack += [(top, left, cut, right), (cut, left, bottom, right)]
        else:
            cut = left + int(width * share)
            stack += [(top, left, bottom, cut), (top, cut, bottom, right)]
    return labels, borders, count


def fields(rng: np.random.Generator, scene: Scene) -> Texture:
    """Parcels, each with its crop's hue and furrows at its own angle; hedges and orchards."""
    angle = rng.uniform(0, np.pi)
    along, across = frame(rng, angle, rng.choice([3, 14]))
    labels, borders, count = _parcels(
        rng, scene.zoom * np.exp(rng.uniform(np.log(45), np.log(130)))
    )
    place = tuple((axis + len(labels) / 2).astype(np.int32) for axis in (across, along))
    label, border = labels[place], borders[place]
    growth = np.float32(rng.uniform(-0.1, 1.1, count))
    tint = np.exp(np.float32(rng.normal(0, 0.16, count) + rng.normal(0, 0.035, (3, count))))
    turn = np.float32(rng.choice([0, np.pi / 2], count) + rng.normal(0, 0.06, count))
    wave = np.float32(2 * np.pi / (scene.zoom * rng.uniform(3.5, 9, count)))
    depth = np.float32(rng.uniform(0.02, 0.13, count) * (rng.random(count) < 0.8))
    phase = along * (np.cos(turn) * wave)[label] + across * (np.sin(turn) * wave)[label]
    patchy = rng.uniform(0.05, 0.14) * fractal(rng, 48, 3)
    ground = blend(scene.soil, scene.plants, growth[label] + patchy) * tint[:, label]
    ground *= 1 + depth[label] * np.sin(phase)
    ground += (mix(rng, np.stack([scene.soil, scene.plants]))[:, None, None] - ground) * border
    hedges = scatter(rng, 4.5, scene.zoom * 3)
    hedge_lines = noise(rng, 60)
    keep = (sample(border, hedges) > 0) & (sample(hedge_lines, hedges) > rng.uniform(-0.5, 1.5))
    return Texture(ground, np.concatenate([hedges[keep], _orchards(rng, scene, angle, label)]))


def _orchards(
    rng: np.random.Generator, scene: Scene, angle: float, label: np.ndarray
) -> np.ndarray:
    """Trees (n, 3) in straight rows along `angle` on some of the parcels of `label` (H, W)."""
    spacing, radius = scene.zoom * rng.uniform(8, 14), scene.zoom * rng.uniform(2.5, 4.5)
    reach = np.arange(-SIZE * 0.72, SIZE * 0.72, spacing)
    along, across = (axis.ravel() for axis in np.meshgrid(reach, reach * rng.uniform(0.7, 1)))
    columns = along * np.cos(angle) - across * np.sin(angle) + SIZE / 2
    rows = along * np.sin(angle) + across * np.cos(angle) + SIZE / 2
    trees = np.column_stack([rows, columns, np.full(len(rows), radius)])
    trees[:, :2] += rng.normal(0, 0.5, (len(rows), 2))
    inside = (trees[:, :2].min(axis=1) > -8) & (trees[:, :2].max(axis=1) < SIZE + 8)
    trees = trees[inside]
    planted = rng.random(label.max() + 1) < rng.choice([0.05, 0.3])
    return trees[planted[sample(label, trees)]]


def town(rng: np.random.Generator, scene: Scene) -> Texture:
    """Streets around blocks, lots with gabled roofs and their shadows, trees in gardens."""
    along, across = frame(rng, rng.uniform(0, np.pi), rng.choice([2, 10]))
    lot = scene.zoom * rng.uniform(19, 40)
    street = scene.zoom * rng.uniform(5, 9)
    length, depth = lot * rng.integers(3, 8) + street, lot * 2 + street
    block_u, u = np.divmod(along, np.float32(length))
    block_v, v = np.divmod(across, np.float32(depth))
    lot_u, u = np.divmod(u - street, np.float32(lot))
    lot_v, v = np.divmod(v - street, np.float32(lot))
    number = (block_u * 73 + block_v * 179 + lot_u * 31 + lot_v * 17).astype(np.int32) & 1023
    start = np.float32(rng.uniform(0.06, 0.3, (2, 1024)) * lot)
    stop = np.float32(rng.uniform(0.62, 0.96, (2, 1024)) * lot)
    built = rng.random(1024) < rng.uniform(0.7, 0.97)
    on_street = (lot_u < 0) | (lot_v < 0)
    roof = built[number] & ~on_street & (u > start[0][number]) & (u < stop[0][number])
    roof &= (v > start[1][number]) & (v < stop[1][number])
    yard = np.clip(rng.uniform(0.1, 0.7) + 0.3 * fractal(rng, 24), 0, 1)
    ground = blend(scene.soil, scene.plants, yard)
    asphalt = mix(rng, np.stack([SOILS[3], scene.soil, ROOFS[3]]))
    ground[:, on_street] = asphalt[:, None]
    ground *= 1 - 0.5 * cast(roof, scene.sun, scene.zoom * rng.uniform(3, 6))
    colours = np.stack([mix(rng, ROOFS[rng.permutation(6)[:3]], 0.2) for _ in range(24)])
    ridge = np.float32(rng.choice([-1, 0, 1], 1024) * rng.uniform(0.06, 0.16, 1024))[number]
    slope = 1 + ridge * np.sign(v - (start[1] + stop[1])[number] / 2)
    ground[:, roof] = colours.T[:, number[roof] % 24] * slope[roof]
    trees = scatter(rng, scene.zoom * 9, scene.zoom * rng.uniform(2.4, 4.2))
    free = ~sample(roof | on_street, trees) & (rng.random(len(trees)) < rng.uniform(0.1, 0.7))
    return Texture(ground, trees[free])
