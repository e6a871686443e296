"""Training steps against a plain script of the kind that students write.

    python scripts/bench/training.py [--data DIR] [--rounds 3] [--only p1-a p1-b-report] [--steps N]
                                     [--workers N]

The plain script: torchvision's transforms on Pillow images in a DataLoader, fp32, contiguous
memory, the same network, batch size and kind of optimiser. Ours: a run of the engine with the
recipe as it is (bf16 where the device is fast in it), its second epoch. Both are processes of
their own, in turn, round by round, with start-up and the first steps left out. Printed: medians
and ranges of images per second, the ratio, and the share of what a convolution reaches on this
device (3x3, 256 channels, 64x64, channels_last) in ours.

Without --data images are random bytes as PNG files: the work is the same.
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

import numpy as np
import torch
import torchvision.transforms as T
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from inference import device  # noqa: E402
from inference.networks import build, initialise  # noqa: E402
from scripts.bench.peak import peak  # noqa: E402
from training import memory  # noqa: E402
from training.classification.recipes import RECIPES  # noqa: E402
from training.classification.task import Classification  # noqa: E402
from training.fit import fit  # noqa: E402

STEPS = {"p1-a": 16, "p1-b-report": 2}  # of an epoch; the second has 23 GFLOP an image

PLAIN = {
    "p1-a": [
        T.RandomCrop(32, 4, padding_mode="reflect"),
        T.RandomHorizontalFlip(),
        T.TrivialAugmentWide(),
    ],
    "p1-b-report": [
        T.Resize((100, 100)),
        T.RandomHorizontalFlip(),
        T.RandomGrayscale(0.2),
        T.RandomRotation(30),
        T.GaussianBlur(3),
    ],
}


def main() -> None:
    """Runs the chosen recipes and prints a line for each side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a folder of {class}_{id}.png (random images)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PLAIN, default=list(PLAIN))
    parser.add_argument("--steps", type=int, help="of an epoch (16; p1-b-report 2)")
    parser.add_argument("--workers", type=int, default=0, help="of the plain script's DataLoader")
    parser.add_argument("--side", choices=("plain", "ours"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side = {"plain": _plain, "ours": _ours}[options.side]
        print(json.dumps(side(options.only[0], options)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        if options.data is None:
            options.data = _random_images(Path(scratch))
        print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {_device_name()}")
        for name in options.only:
            _bench(name, options)


def _bench(name: str, options) -> None:
    speeds: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(options.rounds):
        for side, found in speeds.items():
            found.append(_run(name, side, options))
    recipe = RECIPES[name]
    precision = "bf16" if "bf16" in device.fast_precisions(device.choose_device()) else "fp32"
    share = statistics.median(speeds["ours"]) * _flops(recipe) / peak(precision)
    ratios = [b / a for a, b in zip(*speeds.values(), strict=True)]
    print(f"\n{name}, batches of {recipe.batch_size}, {options.rounds} rounds: images per second")
    for side, found in speeds.items():
        print(f"  {side:5} {statistics.median(found):8.1f} ({min(found):.1f}-{max(found):.1f})")
    print(
        f"  {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f}-{max(ratios):.2f} by "
        f"rounds); ours in {precision}, {share:.0%} of the convolution"
    )


def _run(name: str, side: str, options) -> float:
    command = [sys.executable, __file__, "--only", name, "--side", side, "--data", options.data]
    command += ["--workers", options.workers, "--steps", options.steps or STEPS[name]]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


class _Folder(Dataset):
    def __init__(self, paths: list[Path], transform):
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int):
        image = self.transform(Image.open(self.paths[i]).convert("RGB"))
        return image, int(self.paths[i].name.split("_")[0])


def _plain(name: str, options) -> float:
    """Gives images per second, but for the first step."""
    recipe, where = RECIPES[name], device.choose_device()
    transform = T.Compose([*PLAIN[name], T.ToTensor(), T.Normalize(recipe.mean, recipe.std)])
    images = _Folder(_paths(options, recipe.batch_size * (options.steps + 1)), transform)
    workers = options.workers
    loader = DataLoader(images, recipe.batch_size, shuffle=True, num_workers=workers)
    network = initialise(build(recipe.network, recipe.classes, **recipe.arguments)).to(where)
    optimizer = torch.optim.AdamW(network.parameters(), recipe.lr, weight_decay=0.01)
    for step, (x, labels) in enumerate(loader):
        if step == 1:
            start = time.perf_counter()
        loss = torch.nn.functional.cross_entropy(network(x.to(where)), labels.to(where))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
    return options.steps * recipe.batch_size / (time.perf_counter() - start)


def _ours(name: str, options) -> float:
    """Gives images per second in a run's second epoch."""
    device.tune_allocator()
    # No half-size epochs: the whole network's speed is asked for.
    recipe = dataclasses.replace(
        RECIPES[name],
        epochs=2,
        patience=0,
        pretrained="none",
        select="last",
        held_out=0.0,
        early=0.0,
    )
    with tempfile.TemporaryDirectory() as scratch:
        paths = _paths(options, recipe.batch_size * options.steps)
        pixels = memory.images(paths, recipe.cache_size, Path(scratch))
        labels = np.array([int(path.name.split("_")[0]) for path in paths])
        train = memory.Batches((pixels, labels), range(len(paths)), recipe.batch_size, shuffle=True)
        fit(Classification(recipe), train, None, Path(scratch), say=lambda line: None)
        with (Path(scratch) / "metrics.csv").open() as text:
            return float(list(csv.DictReader(text))[1]["images_per_second"])


def _paths(options, count: int) -> list[Path]:
    paths = sorted(options.data.glob("*.png"))
    return [paths[i * 7919 % len(paths)] for i in range(count)]


def _flops(recipe) -> float:
    """Counts what a training step has of an image: backward is twice forward.

    PyTorch's counter takes the backward pass of a grouped convolution for that of a plain one.
    """
    network = build(recipe.network, recipe.classes, **recipe.arguments)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, recipe.size, recipe.size))
    return 3 * counter.get_total_flops()


def _random_images(folder: Path) -> Path:
    random = np.random.default_rng(0)
    for i in range(2048):
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i % 50}_{i}.png")
    return folder


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


if __name__ == "__main__":
    main()
