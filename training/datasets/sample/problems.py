"""The picture of one (problem, split, class, index) of P1 and P2."""

import numpy as np

from training.datasets.sample.objects import classes
from training.datasets.sample.styles import STYLES, Nuisance, photographic

P1_CLASSES = 50
MINI_CLASSES = 64
OFFICE_CLASSES = 65

_STREAMS = {"p1": 11, "mini": 12, "office": 13}
_SPLITS = {"train": 0, "val": 1}

_P1 = Nuisance(turn=30, size=(0.32, 0.46), contrast=5, clutter=5, hidden=0.3, blur=0.7, grain=0.08)
_MINI = Nuisance(size=(0.3, 0.46), grain=0.05, blur=1.0)
_OFFICE = Nuisance(
    turn=12,
    size=(0.40, 0.48),
    shift=0.04,
    jitter=0.04,
    contrast=8,
    busy=0.5,
    clutter=2,
    hidden=0.05,
    grain=0.03,
)


def _rng(seed, problem, split, label, index):
    return np.random.default_rng([seed, _STREAMS[problem], _SPLITS[split], label, index])


def p1_image(seed, split, label, index):
    """(32, 32, 3) uint8 RGB: an object of class `label`, 0-49."""
    parts = classes(seed, "p1", P1_CLASSES)[label]
    return photographic(parts, _rng(seed, "p1", split, label, index), 32, 32, _P1)


def mini_image(seed, split, label, index):
    """(84, 84, 3) uint8 RGB: an object of class `label`, 0-63, none of them an office class."""
    parts = classes(seed, "mini", MINI_CLASSES)[label]
    return photographic(parts, _rng(seed, "mini", split, label, index), 84, 84, _MINI)


def office_image(seed, split, label, index):
    """(H, W, 3) uint8 RGB, sides 200-400: class `label`, 0-64, in style (label + index) mod 4."""
    parts = classes(seed, "office", OFFICE_CLASSES)[label]
    rng = _rng(seed, "office", split, label, index)
    height, width = rng.integers(200, 401, size=2).tolist()
    return STYLES[(label + index) % len(STYLES)](parts, rng, height, width, _OFFICE)
