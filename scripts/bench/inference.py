"""The graded path against a plain script of the kind that students write.

    python scripts/bench/inference.py [PLAIN.py] [--rounds 3] [--only p1 p1-b p2 p3] [--small]

PLAIN.py, the one beside this file or another, takes `TASK SIZE NETWORK WEIGHTS IMG_DIR OUT [CSV]`;
NETWORK is module:callable:keywords, NORM=1 normalises. Both sides get the same images and weights
and are timed as whole processes, in turn, round by round. Printed: medians and ranges, ratios, what
differs between the answers, and how the time of ours divides into the forward pass and the rest,
with the forward's share of what a convolution reaches on this machine (3x3, 256 channels, 64x64,
channels_last).

Images are generated; `p1` and `p2` use the bundled checkpoints, the others random weights.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # before this folder, where `inference` would be this file

from inference import device, images, zoo  # noqa: E402
from inference.runner import Runner  # noqa: E402
from inference.zoo.manifest import Record  # noqa: E402
from scripts.bench.inference_cases import CASES, Case, draw, repository  # noqa: E402
from scripts.bench.peak import peak  # noqa: E402


def main() -> None:
    """Run the chosen cases and print a table for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    beside = Path(__file__).with_name("plain.py")
    parser.add_argument("plain", type=Path, metavar="PLAIN.py", nargs="?", default=beside)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--small", action="store_true", help="a tenth of the images: a trial")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy = repository(folder / "repository", options.only)
        # Elsewhere: Python looks for modules beside a script first, and here is an inference.py.
        options.plain = shutil.copy(options.plain, folder / "plain.py")
        peaks = {precision: peak(precision) for precision in _precisions()}
        print(f"{torch.get_num_threads()} threads, torch {torch.__version__}; a convolution here:")
        print(", ".join(f"{name} {most / 1e9:.0f} GFLOP/s" for name, most in peaks.items()))
        for key in options.only:
            count = CASES[key].images // (10 if options.small else 1)
            source = draw(CASES[key].task, folder / key, count)
            _bench(CASES[key], copy, source, options, peaks)


def _precisions() -> list[str]:
    return ["fp32", *device.native_precisions(device.choose_device())[:1]]


def _bench(case: Case, repository: Path, source: Path, options, peaks: dict[str, float]) -> None:
    record = zoo.record(case.record, repository / "inference" / "zoo.json")
    outs = {name: source.parent / name.replace(" ", "-") for name in ("plain", *peaks)}
    commands = {"plain": _plain(case, record, options.plain, source, outs["plain"])}
    for precision in peaks:
        commands[precision] = _ours(case, repository, precision, source, outs[precision])
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            if case.task == "p3":
                outs[name].mkdir(exist_ok=True)
            seconds[name].append(_time(command))
    count = len(list(source.iterdir()))
    print(f"\n{case.name}, {count} images, {options.rounds} rounds: seconds, median (range)")
    base = statistics.median(seconds["plain"])
    print(f"  {'plain':6} {_range(seconds['plain'])}")
    for precision, most in peaks.items():
        forward, flops = _forward(record, source, precision)
        median = statistics.median(seconds[precision])
        ratios = [a / b for a, b in zip(seconds["plain"], seconds[precision], strict=True)]
        print(
            f"  {precision:6} {_range(seconds[precision])}  {base / median:.2f} times as fast "
            f"({min(ratios):.2f}-{max(ratios):.2f} by rounds); "
            f"{_difference(case, outs['plain'], outs[precision])}; forward {forward:.2f} s = "
            f"{flops / forward / most:.0%} of the convolution, rest {median - forward:.2f} s"
        )


def _plain(case: Case, record: Record, plain: Path, source: Path, out: Path) -> list[str]:
    size, network = str(record.size or 512), case.network
    if network.count(":") == 1:
        network += ":" + json.dumps({"classes": record.classes, **record.arguments})
    places = [network, str(zoo.path(record)), str(source), str(out)]
    table = [str(source.parent / "images.csv")] if case.task == "p2" else []
    return [sys.executable, str(plain), case.task, size, *places, *table]


def _ours(case: Case, repository: Path, precision: str, source: Path, out: Path) -> list[str]:
    command = {"p1": ["classify"], "p2": ["classify-csv"], "p3": ["segment"]}[case.task]
    table = [str(source.parent / "images.csv")] if case.task == "p2" else []
    options = ["--model", case.record, "--precision", precision]
    inference = str(repository / "inference")
    return [sys.executable, inference, *command, *table, str(source), str(out), *options]


def _time(command: list[str]) -> float:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NORM": "1"}
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return time.perf_counter() - start


def _range(values: list[float]) -> str:
    return f"{statistics.median(values):6.2f} ({min(values):.2f}-{max(values):.2f})"


def _difference(case: Case, one: Path, other: Path) -> str:
    """Count labels, or mask pixels, that differ."""
    if case.task == "p3":
        pairs = [(_pixels(path), _pixels(other / path.name)) for path in sorted(one.iterdir())]
        differ = sum(int((a != b).any(2).sum()) for a, b in pairs)
        total = sum(a.shape[0] * a.shape[1] for a, _ in pairs)
        return f"{differ} of {total} pixels differ"
    labels = [
        {row["filename"]: row["label"] for row in csv.DictReader(path.open())}
        for path in (one, other)
    ]
    differ = sum(labels[0][name] != labels[1][name] for name in labels[0])
    return f"{differ} of {len(labels[0])} labels differ"


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def _forward(record: Record, source: Path, precision: str) -> tuple[float, float]:
    """Time the forward passes of all images inside this process: seconds and FLOP."""
    where = device.choose_device()
    batch_size = device.batch_size(where, record.task)
    runner = Runner(zoo.load(record), record.mean, record.std, where, precision, batch_size)
    pixels = [images.read_pixels(path, record.size) for path in images.list_images(source)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():  # it knows plain layers only
        zoo.load(record)(torch.zeros(1, 3, *pixels[0].shape[:2]))
    runner(np.stack(pixels[:batch_size]))
    start = time.perf_counter()
    for i in range(0, len(pixels), batch_size):
        found = runner(np.stack(pixels[i : i + batch_size]))
    found.cpu()
    return time.perf_counter() - start, counter.get_total_flops() * len(pixels)


if __name__ == "__main__":
    device.tune_allocator()
    main()
