"""Where a network's forward pass goes, by kind of layer, on this machine.

    python scripts/bench/layers.py [NETWORK ...] [--precision fp32 bf16] [--rounds 5] [--by-shape]

Every network of the package at the size and the batch that it predicts at, random weights, as
`inference` runs it: fused, channels_last. Each operation is timed in whole forward passes, the
fastest of the rounds counts. Printed is a Markdown table: the kind's share of the time, its
GFLOP/s, and that as a share of what a 3x3 convolution of 256 channels reaches here in the same
precision. The first line of each is a whole pass, untouched. --by-shape adds the slowest single
operations.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # before this folder, where `inference` would be another file

from inference import device, threads  # noqa: E402
from inference.networks import NETWORKS, build, initialise  # noqa: E402
from inference.networks.dilated import DilatedConv2d  # noqa: E402
from inference.networks.fused import FusedConv, FusedDilatedConv  # noqa: E402
from inference.runner import Runner  # noqa: E402
from scripts.bench.peak import peak  # noqa: E402


@dataclass(frozen=True)
class Case:
    """A network, and what it predicts at a time."""

    network: str
    classes: int
    size: int
    batch: int
    arguments: tuple[tuple[str, object], ...] = ()

    @property
    def name(self) -> str:
        """Its name, and what is special about it."""
        special = "".join(f" {key}={value}" for key, value in self.arguments)
        return f"{self.network}{special}, {self.batch} x {self.size}x{self.size}"


CASES = [
    Case("convnet", 50, 32, 100),
    Case("report_cnn", 50, 64, 16),
    Case("resnet50", 65, 128, 32),
    Case("resnext101_64x4d", 50, 100, 32),
    Case("efficientnet_lite0", 50, 128, 32),
    Case("efficientnet_lite1", 50, 128, 32),
    Case("efficientnet_lite2", 50, 128, 32),
    Case("vgg16_fcn32", 7, 512, 1),
    Case("vgg16_fcn32", 7, 512, 1, (("transposed", True),)),
    Case("deeplabv3_resnet50", 7, 512, 1),
    Case("lraspp_mobilenet_v3_large", 7, 512, 1),
    Case("lraspp_efficientnet_lite0", 7, 512, 1),
]


def main() -> None:
    """Print a table for the chosen networks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = sorted({case.network for case in CASES})
    if missing := NETWORKS.keys() - set(names):
        sys.exit(f"no case of {', '.join(sorted(missing))}: add one to CASES")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(names))
    parser.add_argument("--precision", nargs="+", choices=("fp32", "bf16"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--by-shape", action="store_true")
    parser.add_argument("--small", action="store_true", help="an eighth of the side: a trial")
    options = parser.parse_args()
    for name in options.networks:
        if name not in names:
            parser.error(f"no network {name!r}; there are: {', '.join(names)}")
    here = torch.device("cpu")
    precisions = options.precision or ["fp32", *device.native_precisions(here)]
    peaks = {precision: peak(precision, here) for precision in precisions}
    reached = ", ".join(f"{most / 1e9:.0f} GFLOP/s {name}" for name, most in peaks.items())
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}", end="; ")
    print(f"a 3x3 convolution of 256 channels: {reached}\n")
    print("| network | precision | ms an image | operation | time | GFLOP/s | of a 3x3 |")
    print("|---|---|---|---|---|---|---|")
    slowest = []
    for case in CASES:
        if options.networks and case.network not in options.networks:
            continue
        for precision, most in peaks.items():
            whole, layers = _measure(case, precision, options)
            _print(case, precision, whole, layers, most)
            slowest += [(case, precision, layer, most) for layer in layers]
    if options.by_shape:
        _print_slowest(slowest)


@dataclass
class Layer:
    """An operation's best time: its kind, its shapes in words, its work."""

    kind: str
    shape: str
    flops: float
    seconds: float


def _measure(case: Case, precision: str, options) -> tuple[float, list[Layer]]:
    """Return the seconds of a batch and of its operations."""
    torch.manual_seed(0)
    size, batch = case.size, case.batch
    if options.small:
        size, batch = (size if size <= 64 else max(64, size // 8)), min(2, batch)
    network = initialise(build(case.network, case.classes, **dict(case.arguments))).eval()
    cpu = torch.device("cpu")
    runner = Runner(network, [0.5] * 3, [0.25] * 3, cpu, precision, batch)
    pixels = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    for _ in range(2):
        runner(pixels)
    bare = []
    for _ in range(options.rounds):
        start = time.perf_counter()
        runner(pixels)
        bare.append(time.perf_counter() - start)
    clock = Clock(runner.network)
    for _ in range(options.rounds):
        with clock:
            runner(pixels)
    return min(bare), clock.layers


class Clock(TorchDispatchMode):
    """Times every operation of a pass; of equal passes, which follow each other, the best."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.layers: list[Layer] = []
        self.inside: Layer | None = None  # a convolution that is made of several operations
        for module in network.modules():
            if isinstance(module, (FusedDilatedConv, DilatedConv2d)):
                module.register_forward_pre_hook(self._begin)
                module.register_forward_hook(self._end)

    def __enter__(self) -> Clock:
        self.place = 0
        return super().__enter__()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        start = time.perf_counter()
        result = func(*args, **(kwargs or {}))
        seconds = time.perf_counter() - start
        if self.inside is not None:
            self.inside.seconds += seconds
        else:
            self._note(*_described(func, args, result), seconds)
        return result

    def _note(self, kind: str, shape: str, flops: float, seconds: float) -> None:
        if self.place == len(self.layers):
            self.layers.append(Layer(kind, shape, flops, seconds))
        found = self.layers[self.place]
        found.seconds = min(found.seconds, seconds)
        self.place += 1

    def _begin(self, module, inputs) -> None:
        self.inside = Layer("", "", 0.0, 0.0)

    def _end(self, module, inputs, output) -> None:
        assert self.inside is not None
        seconds, self.inside = self.inside.seconds, None
        channels, x = output.shape[1], inputs[0]
        dilation = module.settings[2] if isinstance(module, FusedConv) else module.dilation
        name = f"3x3, dilation {dilation[0]}, by taps"
        flops = 2.0 * 9 * x.shape[1] * output.numel()
        self._note(name, f"{_sides(x)} -> {channels}", flops, seconds)


KINDS = {
    "max_pool2d_with_indices": "pool",
    "max_pool2d": "pool",
    "adaptive_avg_pool2d": "pool",
    "_adaptive_avg_pool2d": "pool",
    "avg_pool2d": "pool",
    "mean": "pool",
    "upsample_bilinear2d": "upsample",
    "native_batch_norm": "norm",
    "_native_batch_norm_legit_no_training": "norm",
    "relu": "activation",
    "relu_": "activation",
    "hardswish": "activation",
    "hardswish_": "activation",
    "hardsigmoid": "activation",
    "sigmoid": "activation",
    "cat": "concatenation",
    "argmax": "argmax",
}


def _described(func, args, result) -> tuple[str, str, float]:
    """Return an operation's kind, its shapes and its work."""
    name = func.overloadpacket.__name__
    if name in ("convolution", "_convolution_pointwise", "_convolution_pointwise_"):
        if name == "convolution":
            x, weight, _, stride, _, dilation, transposed, _, groups = args[:9]
        else:
            rest = args[func._overloadname == "binary" :]
            x, weight, _, _, stride, dilation, groups = rest[:7]
            transposed = False
        shape = f"{_sides(x)} -> {_sides(result)}"
        places = (x if transposed else result).numel()
        flops = 2.0 * weight.numel() * places / (x if transposed else result).shape[1]
        if transposed:
            return "transposed", shape, flops
        return _convolution(weight.shape, stride, dilation, groups), shape, flops
    if name in ("addmm", "mm", "linear"):
        weight = args[-1] if name != "linear" else args[1]
        return "linear", f"{_sides(result)}", 2.0 * weight.numel() * len(result)
    first = result[0] if isinstance(result, tuple) else result
    shape = _sides(first) if torch.is_tensor(first) else ""
    return KINDS.get(name, "other"), shape, 0.0


def _convolution(shape, stride, dilation, groups: int) -> str:
    name = "x".join(map(str, shape[2:]))
    if groups == shape[0] > 1:
        name = f"depthwise {name}"
    elif groups > 1:
        name = f"grouped {name}"
    if max(dilation) > 1:
        name += f", dilation {max(dilation)}"
    return name + (f", stride {max(stride)}" if max(stride) > 1 else "")


def _sides(x: torch.Tensor) -> str:
    return "x".join(map(str, x.shape[1:]))


def _print(case: Case, precision: str, whole: float, layers: list[Layer], most: float) -> None:
    seconds, flops = defaultdict(float), defaultdict(float)
    for layer in layers:
        seconds[layer.kind] += layer.seconds
        flops[layer.kind] += layer.flops
    total = sum(flops.values())
    head = f"{case.name} | {precision} | {1e3 * whole / case.batch:.2f}"
    print(f"| {head} | all | 100 % | {_rate(total, whole, most)} |")
    for name in sorted(seconds, key=seconds.__getitem__, reverse=True):
        share = seconds[name] / whole
        if share >= 0.01:
            rate = _rate(flops[name], seconds[name], most)
            print(f"| | | | {name} | {share:.0%} | {rate} |".replace("%", " %", 1))
    rest = max(0.0, 1 - sum(seconds.values()) / whole)
    print(f"| | | | rest | {100 * rest:.0f} % | | |", flush=True)


def _rate(flops: float, seconds: float, most: float) -> str:
    if not flops:
        return " | "
    return f"{flops / seconds / 1e9:.0f} | {100 * flops / seconds / most:.0f} %"


def _print_slowest(found: list[tuple[Case, str, Layer, float]]) -> None:
    """Print of each network and precision the five single layers that take longest."""
    print("\n| network | precision | operation | shape | ms | GFLOP/s | of a 3x3 |")
    print("|---|---|---|---|---|---|---|")
    groups = defaultdict(list)
    for case, precision, layer, most in found:
        groups[case.name, precision].append((layer, most))
    for (name, precision), layers in groups.items():
        for layer, most in sorted(layers, key=lambda x: x[0].seconds, reverse=True)[:5]:
            rate = _rate(layer.flops, layer.seconds, most)
            text = f"{layer.kind} | {layer.shape} | {1e3 * layer.seconds:.2f} | {rate}"
            print(f"| {name} | {precision} | {text} |")


if __name__ == "__main__":
    device.tune_allocator()
    threads.limit()
    main()
