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
(ours: the first epoch, in which --compile compiles). Images are random and lie in memory. With one
thread on a CPU it is CPU time that counts, so that other processes do not disturb. Printed:
medians and ranges of images per second, two views each, and of how many times as fast ours is; and
the share of what a convolution reaches on this device (3x3, 256 channels, 64x64, channels_last).
"""

from __future__ import annotations

import argparse
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
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from inference import device
from scripts.bench import byol_libraries
from scripts.bench.peak import peak, precision
from training.byol.module import Byol
from training.byol.recipes import RECIPES
from training.data.batches import Batches
from training.engine.loop import train

SIZE = 128
SIDES = ("ours", "byol-pytorch", "byol-pytorch equal", "lightly", "lightly equal")


def main() -> None:
    """Run the sides in turn and print a line for each."""
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
    time_of = "CPU time" if _clock(options) is time.process_time else "wall time"
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {name}, {time_of}")
    print(f"ResNet50, {SIZE}x{SIZE}, batches of {options.batch}, {options.rounds} rounds of "
          f"{options.steps} steps: images per second")  # fmt: skip
    for side, found in speeds.items():
        line = f"  {side:20}{statistics.median(found):9.1f} ({min(found):.1f}-{max(found):.1f})"
        if side != "ours":
            ratios = [a / b for a, b in zip(speeds["ours"], found, strict=True)]
            line += f"   ours is {statistics.median(ratios):.2f} times as fast"
            line += f" ({min(ratios):.2f}-{max(ratios):.2f} by rounds)"
        print(line)
    fast, flops = precision(), _flops()
    rate = statistics.median(speeds["ours"]) * flops
    print(f"  ours in {fast}: {flops / 1e9:.1f} GFLOP an image, {rate / 1e9:.0f} GFLOP/s, "
          f"{rate / peak(fast, clock=_clock(options)):.0%} of the convolution")  # fmt: skip


def _run(side: str, options) -> float:
    command = [sys.executable, __file__, "--side", side, "--batch", options.batch]
    command += ["--steps", options.steps, "--workers", options.workers]
    command += ["--only", *options.only, *(["--compile"] if options.compile else [])]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _measure(side: str, options) -> float:
    """Return images per second."""
    package, *equal = side.split()
    count = options.batch * (options.steps + (package != "ours"))
    pixels = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    if package == "ours":
        return _ours(pixels, options)
    if equal:
        device.tune_allocator()
    if package == "lightly":
        made = byol_libraries.lightly(pixels, bool(equal), options.batch, options.workers)
    else:
        made = byol_libraries.byol_pytorch(pixels, bool(equal), options.batch)
    return _timed(*made, options)


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
    batches = Batches((pixels,), range(len(pixels)), options.batch, shuffle=True)
    module = _Clocked(recipe)
    module.clock = _clock(options)
    with tempfile.TemporaryDirectory() as out:
        train(module, batches, None, Path(out), log=lambda line: None)
    return len(pixels) / module.seconds


class _Clocked(Byol):
    """BYOL that times its last epoch, and not what is written after it."""

    def start_epoch(self) -> None:
        super().start_epoch()
        self.start = self.clock()

    def check_epoch(self, values: dict[str, float]) -> None:  # after waiting for a GPU
        self.seconds = self.clock() - self.start
        super().check_epoch(values)


def _timed(batches: Iterable, step: Callable, options) -> float:
    clock = _clock(options)
    for done, batch in enumerate(batches):
        step(batch)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if done == 0:
            start = clock()
    return options.steps * options.batch / (clock() - start)


def _clock(options) -> Callable[[], float]:
    alone = not torch.cuda.is_available() and torch.get_num_threads() == 1 and not options.workers
    return time.process_time if alone else time.perf_counter


def _flops() -> float:
    """Return a step's work for an image: two views, online forward and back, target forward."""
    module, views = Byol(RECIPES["p2-byol"]), torch.zeros(2, 3, SIZE, SIZE)
    with FlopCounterMode(display=False) as counter:
        module.compare(views, views).backward()
    return counter.get_total_flops() / len(views)


if __name__ == "__main__":
    main()
