"""BYOL steps against byol-pytorch's and lightly's: ResNet50 at 128x128, views included.

    pip install byol-pytorch lightly
    python scripts/bench/byol.py [--batch 64] [--steps 2] [--rounds 3] [--only SIDE ...]
                                 [--workers N] [--compile]

Ours: a run of the engine with the recipe p2-byol (bf16 where the device is fast in it), its second
epoch; the views are drawn for each image. byol-pytorch: the loop of its README on a loader of
tensors; its views are drawn once for a batch, and its heads have simplicial embeddings, which are
its default. lightly: the loop of its documented example with its heads and its BYOLTransform, on
Pillow images in a DataLoader. Both once as they come, in fp32, and once in our precision, memory
format and with our setting of the allocator ("equal").

Each is a process of its own, in turn, round by round, with start-up and the first step left out
(ours: the first epoch, in which --compile compiles). Images are random and lie in memory. Printed:
medians and ranges of images per second, two views each, and of how many times as fast ours is; and
the share of what a convolution reaches on this device (3x3, 256 channels, 64x64, channels_last).
"""

from __future__ import annotations

import argparse
import copy
import csv
import dataclasses
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from inference import device
from scripts.bench.peak import peak
from training import memory
from training.byol.recipes import RECIPES
from training.byol.task import Byol
from training.fit import fit

SIZE = 128
SIDES = ("ours", "byol-pytorch", "byol-pytorch equal", "lightly", "lightly equal")


def main() -> None:
    """Runs the sides in turn and prints a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2, help="that are timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SIDES[1:], default=SIDES[1:], metavar="SIDE")
    parser.add_argument("--workers", type=int, default=0, help="of lightly's DataLoader")
    parser.add_argument("--compile", action="store_true", help="ours with torch.compile")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for side in options.only:
        package = side.split()[0]
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            sys.exit(f"{package} is not installed: pip install {package}")
    if options.side:
        print(json.dumps(_measure(options.side, options)))
    else:
        _bench(options)


def _bench(options) -> None:
    speeds: dict[str, list[float]] = {side: [] for side in ("ours", *options.only)}
    for _ in range(options.rounds):
        for side, found in speeds.items():
            found.append(_run(side, options))
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {name}")
    print(f"ResNet50, {SIZE}x{SIZE}, batches of {options.batch}, {options.rounds} rounds of "
          f"{options.steps} steps: images per second")  # fmt: skip
    for side, found in speeds.items():
        line = f"  {side:20}{statistics.median(found):9.1f} ({min(found):.1f}-{max(found):.1f})"
        if side != "ours":
            ratios = [a / b for a, b in zip(speeds["ours"], found, strict=True)]
            line += f"   ours is {statistics.median(ratios):.2f} times as fast"
            line += f" ({min(ratios):.2f}-{max(ratios):.2f} by rounds)"
        print(line)
    rate, flops, most = statistics.median(speeds["ours"]), _flops(), peak(_precision())
    print(f"  ours in {_precision()}: {flops / 1e9:.1f} GFLOP an image, {rate * flops / 1e9:.0f} "
          f"GFLOP/s, {rate * flops / most:.0%} of the convolution")  # fmt: skip


def _run(side: str, options) -> float:
    command = [sys.executable, __file__, "--side", side, "--batch", options.batch]
    command += ["--steps", options.steps, "--workers", options.workers]
    command += ["--only", *options.only, *(["--compile"] if options.compile else [])]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _measure(side: str, options) -> float:
    """Gives images per second."""
    package, *equal = side.split()
    count = options.batch * (options.steps + (package != "ours"))
    pixels = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    if package == "ours":
        return _ours(pixels, options)
    if equal:
        device.tune_allocator()
    make = {"byol-pytorch": _byol_pytorch, "lightly": _lightly}[package]
    return _timed(*make(pixels, options, bool(equal)), options)


def _ours(pixels: np.ndarray, options) -> float:
    device.tune_allocator()
    recipe = dataclasses.replace(
        RECIPES["p2-byol"],
        epochs=2,
        batch_size=options.batch,
        size=SIZE,
        cache_size=SIZE,
        collapse=0.0,
        compile=options.compile,
    )
    train = memory.Batches((pixels,), range(len(pixels)), options.batch, shuffle=True)
    with tempfile.TemporaryDirectory() as out:
        fit(Byol(recipe), train, None, Path(out), say=lambda line: None)
        with (Path(out) / "metrics.csv").open() as text:
            return float(list(csv.DictReader(text))[1]["images_per_second"])


def _byol_pytorch(pixels: np.ndarray, options, equal: bool) -> tuple[Iterable, Callable]:
    """Gives batches and a step, as in the README of byol-pytorch."""
    from byol_pytorch import BYOL

    where, layout = device.choose_device(), _layout(equal)
    learner = BYOL(torchvision.models.resnet50(), SIZE, hidden_layer="avgpool")
    learner.to(where, memory_format=layout)
    optimizer = torch.optim.Adam(learner.parameters(), lr=3e-4)

    def step(batch: list[torch.Tensor]) -> None:
        images = batch[0].to(where, memory_format=layout)
        with _autocast(equal):
            loss = learner(images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        learner.update_moving_average()
        loss.item()

    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).contiguous()
    return DataLoader(TensorDataset(images), options.batch, shuffle=True), step


def _lightly(pixels: np.ndarray, options, equal: bool) -> tuple[Iterable, Callable]:
    """Gives batches and a step, as in lightly's example of BYOL."""
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead
    from lightly.models.utils import update_momentum
    from lightly.transforms.byol_transform import (
        BYOLTransform,
        BYOLView1Transform,
        BYOLView2Transform,
    )

    where, layout = device.choose_device(), _layout(equal)
    backbone = nn.Sequential(*list(torchvision.models.resnet50().children())[:-1], nn.Flatten())
    online = nn.Sequential(backbone, BYOLProjectionHead()).to(where, memory_format=layout)
    target = copy.deepcopy(online).requires_grad_(False)
    predictor, criterion = BYOLPredictionHead().to(where), NegativeCosineSimilarity()
    optimizer = torch.optim.SGD([*online.parameters(), *predictor.parameters()], lr=0.06)

    def step(views: list[torch.Tensor]) -> None:
        update_momentum(online, target, m=0.996)
        one, two = (view.to(where, memory_format=layout) for view in views)
        with _autocast(equal):
            predictions = [predictor(online(view)) for view in (one, two)]
            with torch.no_grad():
                targets = [target(view) for view in (two, one)]
            loss = 0.5 * sum(map(criterion, predictions, targets))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()

    transform = BYOLTransform(BYOLView1Transform(SIZE), BYOLView2Transform(SIZE))
    images = _Pictures([Image.fromarray(image) for image in pixels], transform)
    loader = DataLoader(
        images, options.batch, shuffle=True, drop_last=True, num_workers=options.workers
    )
    return loader, step


@dataclasses.dataclass
class _Pictures(torch.utils.data.Dataset):
    images: list[Image.Image]
    transform: Callable

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> list[torch.Tensor]:
        return self.transform(self.images[i])


def _timed(batches: Iterable, step: Callable, options) -> float:
    for done, batch in enumerate(batches):
        step(batch)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if done == 0:
            start = time.perf_counter()
    return options.steps * options.batch / (time.perf_counter() - start)


def _layout(equal: bool) -> torch.memory_format:
    return torch.channels_last if equal else torch.contiguous_format


def _autocast(equal: bool) -> torch.autocast:
    fast = equal and _precision() == "bf16"
    return torch.autocast(device.choose_device().type, torch.bfloat16, enabled=fast)


def _precision() -> str:
    return "bf16" if "bf16" in device.fast_precisions(device.choose_device()) else "fp32"


def _flops() -> float:
    """Counts a step's work for an image: two views, online forward and back, target forward."""
    task, views = Byol(RECIPES["p2-byol"]), torch.zeros(2, 3, SIZE, SIZE)
    with FlopCounterMode(display=False) as counter:
        task.compare(views, views).backward()
    return counter.get_total_flops() / len(views)


if __name__ == "__main__":
    main()
