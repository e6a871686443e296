"""A network at work: uint8 images in, class indices out. Imports torch, so it is imported late."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Callable

import numpy as np
import torch

from inference import UserError
from inference.images import LARGEST
from inference.networks import dilated
from inference.networks.fused import fuse, keep_last_layers_exact

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Views of a picture: whether it is transposed, and then along which sides it is flipped. The first
# two are the picture and its mirror image; all are the eight flips and rotations of a square.
VIEWS = [(turned, sides) for turned in (False, True) for sides in ((), (-1,), (-2,), (-2, -1))]
MIRRORED = VIEWS[:2]


class OutOfMemory(UserError):
    """There is too little memory for the network, one image or the smallest window."""


class NotFinite(UserError):
    """A network answers with NaN or an infinity."""


class Runner:
    """A network on its device, in its precision, that turns uint8 images into class indices.

    Args:
        network: in eval mode, fp32, on the CPU; logits, or a dict with them under "out". It is
            rebuilt in place, for predictions alone.
        mean, std: of each channel, in units of [0, 1], as in training.
        precision: fp32, bf16 or fp16.
        tta: whether to average over views: of a classifier the image and its mirror image, of a
            segmentation network all eight, for land seen from above has no side that is up.
        spare_cpu: whether to go on with the CPU, in fp32, where a GPU's memory is too small.

    Attributes:
        largest: the most pixels of an image that is segmented whole; see windows.py.
        window: the side, in pixels, of the windows that larger images are cut into.

    Raises:
        UserError: there is not memory enough for the network.
    """

    def __init__(
        self,
        network,
        mean,
        std,
        device,
        precision="fp32",
        batch_size=32,
        tta=False,
        spare_cpu=False,
    ):
        self.batch_size, self.tta, self.spare_cpu = batch_size, tta, spare_cpu
        self.dtype = DTYPES[precision]
        self.mean, self.std = (torch.tensor(x, dtype=torch.float32) for x in (mean, std))
        self._asked = batch_size
        if device.type == "cuda":  # TF32 keeps 10 bits of a factor: fp32 here means fp32
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        self.network = network
        try:
            self._place(device)
            return
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if not spare_cpu:
                raise self.too_small("the network") from error
        self.use_cpu()

    def _place(self, device: torch.device) -> None:
        self.device, self.largest, self.window = device, LARGEST, 1024
        # CUDA's norm layers want fp32 statistics and autocast leaves them so; a CPU gains from
        # casting the weights once, and its convolutions from the channels' lying together.
        weights = self.dtype if device.type == "cpu" else torch.float32
        if device.type == "cpu":
            self.network = fuse(self.network, weights)
        self.network = self.network.to(device, weights, memory_format=torch.channels_last)
        dilated.speed_up(self.network, weights)  # where nothing could be fused
        if weights != torch.float32:
            keep_last_layers_exact(self.network)
        self.mean, self.std = self.mean.to(device), self.std.to(device)

    def use_cpu(self) -> None:
        """Leave a GPU whose memory is too small, other processes' doing perhaps, for the CPU."""
        self.free("the CPU")
        self.spare_cpu, self.dtype, self.batch_size = False, torch.float32, self._asked
        cpu = torch.device("cpu")
        self.network = self.network.to(cpu)  # some of it, or all, was on the GPU
        self._place(cpu)

    def __call__(self, images: np.ndarray) -> torch.Tensor:
        """Classify images; a batch for which memory is too small is halved and tried again.

        A batch holds one image, or at most `largest` pixels: eight scenes of DeepGlobe at once
        would take 30 GB, and have more elements than CUDA's older kernels can count.

        Args:
            images: uint8 (N, H, W, 3), RGB, N at least 1.

        Returns:
            On the device: int64 (N,) of a classifier, uint8 (N, H, W) of a segmentation network.

        Raises:
            OutOfMemory: there is not memory enough for one image.
            UserError: the logits are not finite.
        """
        return self._in_parts(images, lambda part: (_classes(self.finite_logits(part)),))[0]

    def with_probabilities(self, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the classes, as a call does, and how probable the network takes them to be.

        Args, Raises: as of a call.

        Returns:
            On the device: the classes, and fp32 in [0, 1]: of a classifier (N, classes), every
            class's probability; of a segmentation network (N, H, W), that of each pixel's class.
        """

        def measured(part: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            logits = self.finite_logits(part)
            shares = self.probabilities(logits)
            return _classes(logits), shares.amax(1) if shares.dim() == 4 else shares

        classes, shares = self._in_parts(images, measured)
        return classes, shares

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the softmax over dimension 1 of what `logits` has returned, in fp32.

        With `tta` it is the softmax of the views' mean logits; that of their sum is overconfident.
        """
        views = VIEWS if logits.dim() == 4 else MIRRORED
        return (logits.float() / (len(views) if self.tta else 1)).softmax(1)

    def _in_parts(self, images: np.ndarray, answer: Callable) -> tuple[torch.Tensor, ...]:
        """Return what `answer` returns of every part of the images, put together."""
        results, start = [], 0
        most = max(1, LARGEST // (images.shape[1] * images.shape[2]))
        while start < len(images):
            part = images[start : start + min(self.batch_size, most)]
            try:
                results.append(answer(part))
                start += len(part)
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error)
            self._halve(len(part), reason)  # here the error, and what its frames hold, is gone
        return tuple(map(torch.cat, zip(*results)))

    def _halve(self, tried: int, reason: str) -> None:
        if tried == 1:
            raise self.too_small("one image") from RuntimeError(reason)
        self.batch_size = tried // 2
        self.free(f"batches of {self.batch_size}")

    def free(self, trying: str) -> None:
        """Release the GPU memory that torch caches, and print on stderr what is tried next."""
        print(f"note: out of memory; trying {trying}", file=sys.stderr)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def too_small(self, what: str) -> OutOfMemory:
        """Make the error that says for what memory is too small, and what to do."""
        other = "a machine with more" if self.device.type == "cpu" else "--device cpu"
        return OutOfMemory(f"not memory enough on {self.device} for {what}: try {other}")

    def finite_logits(self, images: np.ndarray) -> torch.Tensor:
        """Return the logits of one batch, as `logits` does, once all are known to be finite.

        Argmax returns class 0 for NaN, whatever the image, so that nobody would notice.

        Raises:
            NotFinite: there is a NaN or an infinity among them.
        """
        logits = self.logits(images)
        # One pass, and a hundredth of the network's time; a sum that overflows is looked at again.
        if not torch.isfinite(logits.sum(dtype=torch.float32)) and not logits.isfinite().all():
            precision = next(name for name, dtype in DTYPES.items() if dtype == self.dtype)
            hint = "use --precision fp32"
            if precision == "fp32":
                hint = "choose another --model, or other --weights"
            raise NotFinite(f"the network's logits are NaN or infinite in {precision}: {hint}")
        return logits

    def logits(self, images: np.ndarray) -> torch.Tensor:
        """Return the logits of one batch, on the device: (N, classes) or (N, classes, H, W).

        With `tta` they are the sum of all views', in fp32, which has the mean's greatest class.
        Logits are averaged and not probabilities, which scores the same (p3-lite on 40 sample
        tiles: mIoU .7675 and .7677, one view .7361), since a sum needs no second pass, and commutes
        with the blending of windows. The views come one after the other: as a batch they are no
        faster, and of a large image eight views' logits would fill memory.
        """
        with torch.no_grad(), self._autocast():
            batch = self._normalised(images)
            total = _logits(self.network(batch))
            if not self.tta:
                return total
            total = total.float()
            for view in (VIEWS if total.dim() == 4 else MIRRORED)[1:]:
                logits = _logits(self.network(_seen(batch, *view)))
                total = total + (_back(logits, *view) if logits.dim() == 4 else logits)
            return total

    def logits_in_parts(self, images: np.ndarray) -> torch.Tensor:
        """Return what `logits` returns, of images that need not fit into one batch.

        A batch for which memory is too small is halved, as in a call; where a GPU has too little
        for one image the CPU goes on, with `spare_cpu`.

        Args:
            images: uint8 (N, H, W, 3), RGB, N at least 1.

        Returns:
            On the CPU, fp32.

        Raises:
            OutOfMemory: there is not memory enough for one image.
        """
        while True:
            try:
                return self._in_parts(images, lambda part: (self.logits(part).float().cpu(),))[0]
            except OutOfMemory:
                if not self.spare_cpu:
                    raise
            self.use_cpu()

    def _autocast(self):
        if self.device.type == "cuda" and self.dtype != torch.float32:
            return torch.autocast("cuda", self.dtype)
        return nullcontext()  # a disabled autocast warns of a missing GPU in older torch

    def _normalised(self, images: np.ndarray) -> torch.Tensor:
        batch = torch.from_numpy(images)
        if self.device.type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(self.device, non_blocking=True)
        # In torchvision's order, /255 then -mean then /std, so that not a bit differs from it.
        batch = batch.to(torch.float32).div_(255).sub_(self.mean).div_(self.std)
        batch = batch.permute(0, 3, 1, 2)  # (N, H, W, 3) read as (N, 3, H, W): channels_last
        return batch.to(self.dtype) if self.device.type == "cpu" else batch


def _classes(logits: torch.Tensor) -> torch.Tensor:
    classes = logits.argmax(1)
    return classes.to(torch.uint8) if classes.dim() == 3 else classes


def _logits(output: torch.Tensor | dict) -> torch.Tensor:
    return output["out"] if isinstance(output, dict) else output


def _seen(batch: torch.Tensor, turned: bool, sides: tuple) -> torch.Tensor:
    batch = batch.transpose(-2, -1) if turned else batch
    batch = batch.flip(sides) if sides else batch
    return batch.contiguous(memory_format=torch.channels_last)


def _back(logits: torch.Tensor, turned: bool, sides: tuple) -> torch.Tensor:
    logits = logits.flip(sides) if sides else logits
    return logits.transpose(-2, -1) if turned else logits


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out."""
    # Its own type only since torch 1.13; a CPU's allocator raises a plain RuntimeError, cuBLAS and
    # cuDNN say it in their own words: cuDNN finds no algorithm where each one's workspace is too
    # large. It may find none for other reasons; so one image for which it does is no traceback,
    # but the advice to use the CPU, which is right then too.
    text = str(error).lower()
    signs = (
        "out of memory",
        "can't allocate",
        "not enough memory",
        "alloc_failed",
        "find a valid cudnn algorithm",
        "unable to find an engine",
    )
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)
