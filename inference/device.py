"""Where and how a network runs: device, precision, batch size, allocator; see also runner.py.

torch is imported by the functions that need it: `tune_allocator` has to run before that, and
reading images starts before that too.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

from inference import UserError, processor

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16", "fp16")

# Measured: small images gain from batches until caches are full; of 512 x 512 tiles one at a
# time is fastest on a CPU. CUDA's are limited by what is copied at once, not by memory.
BATCH_SIZES = {
    "cpu": {"p1": 100, "p2": 32, "p3": 1},
    "cuda": {"p1": 512, "p2": 128, "p3": 8},
}
OTHER_BATCH_SIZE = 32  # of anything else, on any device


def tune_allocator() -> None:
    """Make glibc keep freed memory instead of returning it to the kernel after each layer.

    Activations of 512 x 512 images are tens of megabytes; mapping them anew for every layer
    costs a third of the time on a CPU. Changes no result. Elsewhere than on glibc: nothing.
    """
    m_trim_threshold, m_mmap_threshold, m_mmap_max = -1, -3, -4  # malloc.h
    try:
        libc = ctypes.CDLL("libc.so.6")
        # Until glibc 2.34 a threshold above 32 MB is refused, with 0: then nothing is mapped.
        if not libc.mallopt(m_mmap_threshold, 1 << 30):
            libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)
    except (OSError, AttributeError):
        pass


def choose_device(name: str = "auto") -> torch.device:
    """Turn `--device` into a device; `auto` is the first GPU that works, else the CPU.

    Raises:
        UserError: there is no such device here.
    """
    import torch

    wanted = name
    if name == "auto" and not torch.cuda.is_available():
        return torch.device("cpu")
    if name in ("auto", "cuda"):  # torchrun's processes on one host share its GPUs out
        rank = os.environ.get("LOCAL_RANK", "")
        local = int(rank) if rank.isdecimal() else 0
        wanted = f"cuda:{local % max(1, torch.cuda.device_count())}"
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).add_(1).item()  # one that is listed may not compute
        return device
    except (RuntimeError, AssertionError, ImportError) as error:  # each backend has its own way
        reason = str(error).splitlines()[0]
        if name == "auto":
            print(f"note: {wanted} does not work ({reason}); using the CPU", file=sys.stderr)
            return torch.device("cpu")
        raise UserError(f"no device '{name}' here: {reason}; try --device cpu") from error


def batch_size(device: torch.device, task: str) -> int:
    """Return how many images of a task are best predicted at a time."""
    return BATCH_SIZES["cuda" if device.type == "cuda" else "cpu"].get(task, OTHER_BATCH_SIZE)


def fast_precisions(device: torch.device) -> list[str]:
    """The precisions that are faster than fp32 on a device, the more exact ones first."""
    if device.type == "cpu":
        return ["bf16"] if processor.is_fast_in_bf16() else []
    return native_precisions(device)


def native_precisions(device: torch.device) -> list[str]:
    """The precisions beside fp32 that a device has instructions for, the more exact ones first.

    They are not faster on every processor, but what is measured in them holds on others.
    """
    import torch

    if device.type == "cuda":
        return ["fp16", "bf16"] if torch.cuda.get_device_capability(device)[0] >= 8 else ["fp16"]
    return ["bf16"] if device.type == "cpu" and processor.has_bf16() else []


def choose_precision(wanted: str, device: torch.device, scores: dict | None) -> str:
    """Turn `--precision` into fp32, bf16 or fp16.

    `auto` takes a fast precision only where the zoo's record shows that it changes next to
    nothing: at least 99.8 % equal labels (pixels), and a score moved by at most .001 or one image.

    Args:
        wanted: one of `PRECISIONS`.
        scores: the record's `scores`; None for weights that nobody has measured.

    Raises:
        UserError: it is none of them; fp16 is asked of a CPU, which has no instructions for it; or
            a fast precision of a device that is neither a CPU nor a CUDA GPU.
    """
    import torch

    if wanted not in PRECISIONS:
        raise UserError(f"no precision {wanted!r}; there are: {', '.join(PRECISIONS)}")
    if wanted == "fp16" and device.type == "cpu":
        raise UserError("fp16 is far slower than fp32 on a CPU: use --precision bf16 or fp32")
    if wanted in ("bf16", "fp16") and device.type not in ("cpu", "cuda"):
        raise UserError(f"no {wanted} on the device {device.type}: use --precision fp32")
    if wanted == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UserError("this GPU has no bf16: use --precision fp16 or fp32")
    if wanted != "auto":
        return wanted
    scores = scores or {}
    fast = scores.get("fast") or {}
    for precision in fast_precisions(device):
        measured = fast.get(f"{device.type}-{precision}")
        if measured and _is_as_good(measured, scores) and _computes_as_measured(device, precision):
            return precision
    return "fp32"


def _computes_as_measured(device: torch.device, precision: str) -> bool:
    """Whether bf16 on this CPU has the fused convolutions that the zoo's scores were made with.

    An older PyTorch lacks them, and rounds three or four times where they round once.
    """
    if device.type != "cpu":
        return True
    from inference.networks import fused
    from inference.runner import DTYPES

    return fused.is_available(DTYPES[precision])


def _is_as_good(measured: dict, scores: dict) -> bool:
    if not {"score", "agreement"} <= set(measured) or not {"fp32", "images"} <= set(scores):
        return False  # a record that somebody wrote down in part
    moved = abs(measured["score"] - scores["fp32"])
    # 1e-9: both scores are rounded decimals, and .9 - .899 is a little more than .001 in binary
    return measured["agreement"] >= 0.998 and moved <= max(0.001, 1 / scores["images"]) + 1e-9
