"""Training steps against a plain script of the kind that students write.

    python scripts/bench/training.py [key=value ...] [--data DIR] [--rounds 3] [--steps N]
                                     [--workers N] [--only p1-a p1-b-report p3-lite p3-b]

The plain script: torchvision's transforms on Pillow images in a DataLoader, fp32, contiguous
memory, the same network, batch size and kind of optimiser. Ours: a run of the engine with the
recipe as it is (bf16 where the device is fast in it), its second epoch. Both are processes of
their own, in turn, round by round, with start-up and the first steps left out. Printed: medians
and ranges of images per second, the ratio, and the share of what a convolution reaches on this
device (3x3, 256 channels, 64x64, channels_last) in ours.

Without --data images are random bytes: the work is the same. key=value changes the recipes of both.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from inference import device  # noqa: E402
from inference.networks import build, initialise  # noqa: E402
from scripts.bench.peak import peak, precision  # noqa: E402
from scripts.bench.training_cases import CASES, random_images  # noqa: E402
from training.data.batches import Batches  # noqa: E402
from training.engine.loop import train  # noqa: E402
from training.engine.selection import LastEpoch  # noqa: E402
from training.problems import PROBLEMS  # noqa: E402

OPTIMISERS = {"SGD": torch.optim.SGD, "AdamW": torch.optim.AdamW}


def main() -> None:
    """Run the chosen recipes and print a line for each side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("changes", nargs="*", metavar="key=value", help="of the recipes")
    parser.add_argument("--data", type=Path, help="{class}_{id}.png, xxxx_sat.jpg (random images)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--steps", type=int, help="of an epoch (16, 2, 8 and 1)")
    parser.add_argument("--workers", type=int, default=0, help="of the plain script's DataLoader")
    parser.add_argument("--side", choices=("plain", "ours"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side = {"plain": _plain, "ours": _ours}[options.side]
        print(json.dumps(side(options.only[0], options)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        if options.data is None:
            options.data = Path(scratch)
            random_images(options.data)
        print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {_device_name()}")
        for name in options.only:
            _bench(name, options)


def _bench(name: str, options) -> None:
    recipe = _recipe(name, options)
    if recipe.input_size not in (None, CASES[name].side):
        sys.exit(
            f"{name}: the plain script has images of {CASES[name].side} pixels; leave out size="
        )
    speeds: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(options.rounds):
        for side, found in speeds.items():
            found.append(_run(name, side, options))
    share = statistics.median(speeds["ours"]) * _flops(recipe, CASES[name].side) / peak(precision())
    ratios = [b / a for a, b in zip(*speeds.values(), strict=True)]
    print(f"\n{name}, batches of {recipe.batch_size}, {options.rounds} rounds: images per second")
    for side, found in speeds.items():
        print(f"  {side:5} {statistics.median(found):8.1f} ({min(found):.1f}-{max(found):.1f})")
    print(
        f"  {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f}-{max(ratios):.2f} by "
        f"rounds); ours in {precision()}, {share:.0%} of the convolution"
    )


def _run(name: str, side: str, options) -> float:
    command = [sys.executable, __file__, "--only", name, "--side", side, "--data", options.data]
    command += ["--workers", options.workers, "--steps", options.steps or CASES[name].steps]
    command += options.changes
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _recipe(name: str, options):
    return CASES[name].recipe.with_changes(options.changes)


def _plain(name: str, options) -> float:
    """Return images per second, from the end of the first step to that of the last."""
    case, recipe, where = CASES[name], _recipe(name, options), device.choose_device()
    images = case.plain(_paths(options, case, recipe, options.steps + 1), recipe)
    loader = DataLoader(images, recipe.batch_size, shuffle=True, num_workers=options.workers)
    network = initialise(build(recipe.network, recipe.classes, **recipe.arguments)).to(where)
    wanted = recipe.optimizer
    kind = OPTIMISERS[type(wanted).__name__]
    optimizer = kind(network.parameters(), wanted.lr, weight_decay=wanted.weight_decay)
    for step, (x, truth) in enumerate(loader):
        loss = case.loss(network(x.to(where)), truth.to(where), recipe)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        if step == 0:
            start = time.perf_counter()
    return options.steps * recipe.batch_size / (time.perf_counter() - start)


def _ours(name: str, options) -> float:
    """Return images per second in a run's second epoch."""
    device.tune_allocator()
    case = CASES[name]
    whole = {"epochs": 2, "pretrained": "none", "select_epoch_by": LastEpoch()}
    if hasattr(case.recipe, "small_until"):  # the speed that is asked for is at the whole size
        whole["small_until"] = 0.0
    recipe = dataclasses.replace(_recipe(name, options), **whole)
    with tempfile.TemporaryDirectory() as scratch:
        arrays = case.arrays(_paths(options, case, recipe, options.steps), recipe, Path(scratch))
        count = len(arrays[0])
        batches = Batches(arrays, range(count), recipe.batch_size, shuffle=True)
        module = PROBLEMS[recipe.problem].module(recipe)
        train(module, batches, None, Path(scratch), log=lambda line: None)
        with (Path(scratch) / "metrics.csv").open() as text:
            return float(list(csv.DictReader(text))[1]["images_per_second"])


def _paths(options, case, recipe, steps: int) -> list[Path]:
    """Return files for so many steps, the same ones again where there are too few."""
    paths = sorted(options.data.glob(case.pattern))
    paths = [path for path in paths if not path.name.endswith("_mask.png")]
    return [paths[i * 7919 % len(paths)] for i in range(steps * recipe.batch_size)]


def _flops(recipe, size: int) -> float:
    """Return the operations of a training step for an image: backward is twice forward.

    PyTorch's counter takes the backward pass of a grouped convolution for that of a plain one.
    """
    network = build(recipe.network, recipe.classes, **recipe.arguments)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, size, size))
    return 3 * counter.get_total_flops()


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


if __name__ == "__main__":
    main()
