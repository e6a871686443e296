"""What a convolution reaches on this machine: the yardstick of the other benchmarks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from inference import device
from inference.runner import DTYPES


def peak(
    precision: str,
    where: torch.device | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the FLOP/s of a 3x3 convolution of 256 channels on 8 x 64 x 64, the median of 9.

    Args:
        where: the device; None: the one that is used by default.
    """
    where, dtype = where or device.choose_device(), DTYPES[precision]
    network = torch.nn.Conv2d(256, 256, 3, padding=1, bias=False).to(where, dtype)
    network = network.to(memory_format=torch.channels_last)
    x = torch.randn(8, 256, 64, 64).to(where, dtype, memory_format=torch.channels_last)
    seconds = []
    with torch.no_grad():
        for _ in range(12):
            start = clock()
            network(x).sum().item()
            seconds.append(clock() - start)
    return 2 * 256 * 256 * 9 * 64 * 64 * 8 / statistics.median(seconds[3:])


def precision() -> str:
    """Return what `precision=auto` trains in here."""
    return "bf16" if "bf16" in device.fast_precisions(device.choose_device()) else "fp32"
