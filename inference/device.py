"""Where and how a network runs: device, precision, memory format, batch size, allocator.

torch is imported by the functions that need it: `tune_allocator` has to run before that, and
reading images starts before that too.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

import numpy as np

from inference import UserError

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16", "fp16")

# Measured: small images gain from batches until caches are full; of 512 x 512 tiles one at a
# time is fastest on a CPU. CUDA's are limited by what is copied at once, not by memory.
BATCH_SIZES = {
    "cpu": {"p1": 100, "p2": 32, "p3": 1},
    "cuda": {"p1": 512, "p2": 128, "p3": 8},
}


def tune_allocator() -> None:
    """Makes glibc keep freed memory instead of returning it to the kernel after each layer.

    Activations of 512 x 512 images are tens of megabytes; mapping them anew for every layer
    costs a third of the time on a CPU. Changes no result. Elsewhere than on glibc: nothing.
    """
    m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, 2**31 - 1)
    except (OSError, AttributeError):
        pass


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun says; (0, 1) without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def choose_device(name: str = "auto") -> torch.device:
    """Turns `--device` into a device; `auto` is the first GPU that works, else the CPU.

    Raises:
        UserError: there is no such device here.
    """
    import torch

    local = int(os.environ.get("LOCAL_RANK", 0))
    wanted = f"cuda:{local}" if name in ("auto", "cuda") else name
    if name == "auto" and not torch.cuda.is_available():
        return torch.device("cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).add_(1)  # a driver can list a GPU that cannot compute
        return device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        if name == "auto":
            print(f"note: {wanted} does not work ({reason}); using the CPU", file=sys.stderr)
            return torch.device("cpu")
        raise UserError(f"no device '{name}' here: {reason}; try --device cpu") from error


def fast_precisions(device: torch.device) -> list[str]:
    """The precisions that are faster than fp32 on a device, the more exact ones first."""
    import torch

    if device.type == "cuda":
        return ["fp16", "bf16"] if torch.cuda.get_device_capability(device)[0] >= 8 else ["fp16"]
    return ["bf16"] if device.type == "cpu" and _cpu_has_bf16() else []


def _cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; emulated, it is slower than fp32."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags.split())


def choose_precision(wanted: str, device: torch.device, scores: dict | None) -> str:
    """Turns `--precision` into fp32, bf16 or fp16.

    `auto` takes a fast precision only where the zoo's record shows that it changes next to
    nothing: at least 99.8 % equal labels (pixels), and a score moved by at most .001 or one image.

    Args:
        wanted: one of `PRECISIONS`.
        scores: the record's `scores`; None for weights that nobody has measured.

    Raises:
        UserError: fp16 is asked of a CPU, which has no instructions for it.
    """
    if wanted == "fp16" and device.type == "cpu":
        raise UserError("fp16 is far slower than fp32 on a CPU: use --precision bf16 or fp32")
    if wanted != "auto":
        return wanted
    fast = (scores or {}).get("fast", {})
    for precision in fast_precisions(device):
        measured = fast.get(f"{device.type}-{precision}")
        if measured and _is_as_good(measured, scores):
            return precision
    return "fp32"


def _is_as_good(measured: dict, scores: dict) -> bool:
    moved = abs(measured["score"] - scores["fp32"])
    # 1e-9: both scores are rounded decimals, and .9 - .899 is a little more than .001 in binary
    return measured["agreement"] >= 0.998 and moved <= max(0.001, 1 / scores["images"]) + 1e-9


class Runner:
    """A network on its device, in its precision, that turns uint8 images into class indices.

    Args:
        network: in eval mode, fp32, on the CPU; logits, or a dict with them under "out".
        mean, std: of each channel, in units of [0, 1], as in training.
        precision: fp32, bf16 or fp16.
        flip: whether to average the logits of the image and of its mirror image.
    """

    def __init__(self, network, mean, std, device, precision="fp32", batch_size=32, flip=False):
        import torch

        self.device, self.batch_size, self.flip = device, batch_size, flip
        self.dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[
            precision
        ]
        # TF32 keeps 10 bits of a factor: fp32 here means fp32.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        # CUDA's norm layers want fp32 statistics and autocast leaves them so; a CPU gains from
        # casting the weights once, and its convolutions from the channels' lying together.
        weights = self.dtype if device.type == "cpu" else torch.float32
        self.network = network.to(device, weights, memory_format=torch.channels_last)
        self.mean = torch.tensor(mean, device=device)
        self.std = torch.tensor(std, device=device)

    def __call__(self, images: np.ndarray) -> torch.Tensor:
        """Classifies images; a batch for which memory is too small is halved and tried again.

        Args:
            images: uint8 (N, H, W, 3), RGB.

        Returns:
            On the device: int64 (N,) of a classifier, uint8 (N, H, W) of a segmentation network.

        Raises:
            UserError: there is not memory enough for one image.
        """
        import torch

        results, start = [], 0
        while start < len(images):
            part = images[start : start + self.batch_size]
            try:
                results.append(self._classes(part))
                start += len(part)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._halve(len(part))
        return torch.cat(results)

    def _halve(self, tried: int) -> None:
        import torch

        if tried == 1:
            raise UserError(f"not memory enough on {self.device} for one image: try --device cpu")
        self.batch_size = tried // 2
        print(f"note: out of memory; trying batches of {self.batch_size}", file=sys.stderr)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _classes(self, images: np.ndarray) -> torch.Tensor:
        import torch

        logits = self.logits(images)
        classes = logits.argmax(1)
        return classes.to(torch.uint8) if classes.dim() == 3 else classes

    def logits(self, images: np.ndarray) -> torch.Tensor:
        """Gives the logits of one batch: (N, classes) or (N, classes, H, W), on the device."""
        import torch

        with torch.no_grad(), self._autocast():
            batch = self._normalised(images)
            logits = _logits(self.network(batch))
            if self.flip:
                mirrored = _logits(self.network(batch.flip(-1)))
                logits = logits + (mirrored.flip(-1) if mirrored.dim() == 4 else mirrored)
            return logits

    def _autocast(self):
        import torch

        active = self.device.type == "cuda" and self.dtype != torch.float32
        return torch.autocast("cuda", self.dtype if active else torch.float16, enabled=active)

    def _normalised(self, images: np.ndarray) -> torch.Tensor:
        import torch

        batch = torch.from_numpy(images)
        if self.device.type == "cuda":
            batch = batch.pin_memory().to(self.device, non_blocking=True)
        # In torchvision's order, /255 then -mean then /std, so that not a bit differs from it.
        batch = batch.to(torch.float32).div_(255).sub_(self.mean).div_(self.std)
        batch = batch.permute(0, 3, 1, 2)  # (N, H, W, 3) read as (N, 3, H, W): channels_last
        return batch.to(self.dtype) if self.device.type == "cpu" else batch


def _logits(output: torch.Tensor | dict) -> torch.Tensor:
    return output["out"] if isinstance(output, dict) else output


def _is_out_of_memory(error: Exception) -> bool:
    # Its own type only since torch 1.13; a CPU's allocator raises a plain RuntimeError.
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate" in text
