"""Batches on the device that trains: the same, whichever way they come there."""

import numpy as np
import torch

from training.data.batches import Batches
from training.engine import prefetch

CPU = torch.device("cpu")


def made(shuffle=True):
    numbers, used = np.arange(100), np.random.default_rng(0).permutation(100)[:50]
    return Batches((numbers, numbers * 2), used, 8, shuffle=shuffle)


def same(one, other):
    return all(
        torch.equal(a, b)
        for items, others in zip(one, other, strict=True)
        for a, b in zip(items, others, strict=True)
    )


def test_what_lies_on_a_device_gives_the_same_batches():
    for batches in (made(), made(shuffle=False)):
        ahead = prefetch.Prefetcher(batches, CPU)
        resident = [prefetch._upload(array, ahead.rows, CPU) for array in batches.arrays]
        assert [len(items) for items in resident] == [50, 50]
        for epoch in range(2):
            batches.epoch = epoch
            assert same(batches, ahead._gathered(resident))


def test_a_large_array_is_copied_in_parts(monkeypatch):
    lengths, from_numpy = [], torch.from_numpy
    monkeypatch.setattr(
        torch, "from_numpy", lambda part: lengths.append(len(part)) or from_numpy(part)
    )
    array = np.random.default_rng(0).integers(0, 256, (20_000, 3), dtype=np.uint8)
    rows = np.arange(0, 20_000, 2)
    assert torch.equal(prefetch._upload(array, rows, CPU), torch.tensor(array[rows]))
    assert sum(lengths) == 10_000 and max(lengths) < 5_000  # memory may not hold all twice


def test_on_a_cpu_batches_are_passed_on():
    ahead = prefetch.Prefetcher(made(), CPU)
    assert len(ahead) == len(ahead.batches) == 6
    assert same(ahead, made()) and ahead.resident is None
