"""Our augmentations against kornia's and torchvision's.

    pip install kornia
    python scripts/bench/augment.py [--sizes 32 128] [--batch 128] [--rounds 5] [--only NAME ...]

Ours and kornia's (same_on_batch=False) work on a float batch on the current device, torchvision's
v2 on the same images one by one, as PIL images, as a data loader's process would. Timed in turn,
round by round; with one thread on a CPU it is CPU time that counts, so that other processes do not
disturb. Printed: images/s, medians over the rounds, and how many times as fast as kornia
ours is, with the range over the rounds. Where kornia offers two ways, the faster one counts.

kornia's trivial draws one operation a batch, its jitter one order of operations a batch; ours draw
both for each image, as torchvision's do.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from inference import device
from training.augment import colour, filters, geometry, mixing, trivial_augment

try:
    import kornia.augmentation as K
    from kornia.augmentation.auto import TrivialAugment
except ImportError:
    sys.exit("kornia is not installed: pip install kornia")

CLASSES = 50
LEAST_SECONDS = 0.1  # of work for one reading


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 128], help="sides, pixels")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[*ours(32)], help="augmentations")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    where = device.choose_device()
    name = torch.cuda.get_device_name() if where.type == "cuda" else where.type
    print(f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for size in options.sizes:
        torch.manual_seed(0)
        images = torch.rand(options.batch, 3, size, size, device=where)
        print(f"\n{options.batch} x {size} x {size}: images/s, median of {options.rounds}")
        print(f"  {'':14}{'ours':>9}{'kornia':>9}{'PIL':>9}   ours over kornia (range)")
        for name in options.only or ours(size):
            print(f"  {name:14}" + _row(name, images, options.rounds), flush=True)


def _row(name: str, images: torch.Tensor, rounds: int) -> str:
    """Time one augmentation: what its row of the table says."""
    size = images.shape[-1]
    labels = torch.randint(CLASSES, (len(images),), device=images.device)
    targets = torch.nn.functional.one_hot(labels, CLASSES).float()
    pictures = [functional.to_pil_image(image) for image in images[:32].cpu()]
    own = ours(size)[name]
    calls = {"ours": lambda: own(images, targets)}
    for i, module in enumerate(kornias(size)[name]):
        calls[f"kornia {i}"] = lambda module=module: _call_kornia(module, images, labels)
    if name in torchvisions(size):
        transform = torchvisions(size)[name]
        calls["PIL"] = lambda: [transform(picture) for picture in pictures]
    counts = {key: len(pictures if key == "PIL" else images) for key in calls}
    rates: dict[str, list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            rates[key].append(counts[key] / _seconds(call, images.device))
    medians = {key: statistics.median(values) for key, values in rates.items()}
    best = max((key for key in calls if key.startswith("kornia")), key=medians.get)
    ratios = [a / b for a, b in zip(rates["ours"], rates[best], strict=True)]
    pil = f"{medians['PIL']:9.0f}" if "PIL" in medians else f"{'-':>9}"
    return (
        f"{medians['ours']:9.0f}{medians[best]:9.0f}{pil}   {statistics.median(ratios):.1f} "
        f"({min(ratios):.1f}-{max(ratios):.1f})"
    )


def _call_kornia(module: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor):
    mixes = isinstance(module, (K.RandomMixUpV2, K.RandomCutMixV2))
    return module(images, labels) if mixes else module(images)


def _seconds(call: Callable, where: torch.device) -> float:
    """Seconds of one call, over as many as make a reading."""
    alone = where.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    call()
    _wait(where)
    calls, start = 0, clock()
    while clock() - start < LEAST_SECONDS:
        call()
        calls += 1
        _wait(where)
    return (clock() - start) / calls


def _wait(where: torch.device) -> None:
    if where.type == "cuda":
        torch.cuda.synchronize()


def _kernel(size: int) -> int:
    """A tenth of the side, odd: what BYOL blurs with (arXiv 2006.07733, appendix B)."""
    return max(3, size // 10 | 1)


def ours(size: int) -> dict[str, Callable]:
    """What is timed: from images and targets to what a training step would use."""
    kernel = _kernel(size)
    return {
        "flip": lambda x, _: geometry.flip(x),
        "shift 4": lambda x, _: geometry.shift(x, 4),
        "crop": lambda x, _: geometry.crop(x, size),
        "rotate 30": lambda x, _: geometry.rotate(x, 30),
        "jitter p .8": lambda x, _: colour.jitter_shuffled(x, 0.4, 0.4, 0.2, 0.1, 0.8),
        "grey p .2": lambda x, _: colour.to_grey(x, 0.2),
        "blur": lambda x, _: filters.blur(x, kernel),
        "blur p .1": lambda x, _: filters.blur(x, kernel, p=0.1),
        "solarise p .2": lambda x, _: colour.solarise(x, 0.5, 0.2),
        "mixup": lambda x, y: mixing.mixup(x, y),
        "cutmix": lambda x, y: mixing.cutmix(x, y),
        "cutout": lambda x, _: mixing.cutout(x),
        "trivial": lambda x, _: trivial_augment.trivial(x),
        "BYOL's view": lambda x, _: byol_view(x, size),
    }


def byol_view(images: torch.Tensor, size: int) -> torch.Tensor:
    """BYOL's first view (arXiv 2006.07733, appendix B)."""
    images, _ = geometry.crop(images, size)
    images = colour.jitter_shuffled(geometry.flip(images), 0.4, 0.4, 0.2, 0.1, 0.8)
    return filters.blur(colour.to_grey(images, 0.2), _kernel(size))


def kornias(size: int) -> dict[str, list[torch.nn.Module]]:
    """The same by kornia, in each way that it offers."""
    kernel, sigma, side = (_kernel(size),) * 2, (0.1, 2.0), (size, size)
    crops = [K.RandomResizedCrop(side, cropping_mode=mode) for mode in ("slice", "resample")]
    jitter = K.ColorJitter(0.4, 0.4, 0.2, 0.1, p=0.8)
    grey, blur = K.RandomGrayscale(p=0.2), K.RandomGaussianBlur(kernel, sigma, p=1.0)
    shift = {"padding": 4, "padding_mode": "reflect"}
    keys = {"data_keys": ["input", "class"]}
    return {
        "flip": [K.RandomHorizontalFlip(0.5)],
        "shift 4": [
            K.RandomCrop(side, cropping_mode=mode, **shift) for mode in ("slice", "resample")
        ],
        "crop": crops,
        "rotate 30": [K.RandomRotation(30.0, resample="nearest", p=1.0)],
        "jitter p .8": [jitter],
        "grey p .2": [grey],
        "blur": [blur],
        "blur p .1": [K.RandomGaussianBlur(kernel, sigma, p=0.1)],
        "solarise p .2": [K.RandomSolarize((0.5, 0.5), (0.0, 0.0), p=0.2)],
        "mixup": [K.RandomMixUpV2(**keys)],
        "cutmix": [K.RandomCutMixV2(**keys)],
        "cutout": [K.RandomErasing((0.25, 0.25), (1.0, 1.0), 0.5, p=1.0)],
        "trivial": [K.AugmentationSequential(TrivialAugment())],
        "BYOL's view": [
            K.AugmentationSequential(crop, K.RandomHorizontalFlip(0.5), jitter, grey, blur)
            for crop in crops
        ],
    }


def torchvisions(size: int) -> dict[str, Callable]:
    """The same by torchvision, where it works on a PIL image."""
    flip, crop = v2.RandomHorizontalFlip(0.5), v2.RandomResizedCrop(size)
    jitter = v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8)
    grey, blur = v2.RandomGrayscale(0.2), v2.GaussianBlur(_kernel(size), (0.1, 2.0))
    return {
        "flip": flip,
        "shift 4": v2.RandomCrop(size, 4, padding_mode="reflect"),
        "crop": crop,
        "rotate 30": v2.RandomRotation(30),
        "jitter p .8": jitter,
        "grey p .2": grey,
        "blur": blur,
        "blur p .1": v2.RandomApply([blur], 0.1),
        "solarise p .2": v2.RandomSolarize(128, 0.2),
        "trivial": v2.TrivialAugmentWide(),
        "BYOL's view": v2.Compose([crop, flip, jitter, grey, blur]),
    }


if __name__ == "__main__":
    device.tune_allocator()
    main()
