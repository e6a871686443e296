"""What a network consists of and the shapes in between, found by running it without numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from inference.networks import build
from training.report import describe

Shape = tuple[int, ...]  # without the number of images: (C, H, W) or (C,)
# What networks do without a module: in words, and the kind of what begins there
FUNCTIONS = {
    F.interpolate: ("bilinear enlargement", "up"),
    torch.amax: ("global maximum", "pool"),
    torch.relu: ("ReLU", ""),
}
# What may be drawn in one box with what came before it
JOINED = {"conv": ("conv", "residual"), "residual": ("residual",)}
AUXILIARY = "aux_classifier"  # serves training alone


@dataclass
class Unit:
    """Something that begins (a convolution, a block) and what follows it (BN, ReLU, pooling)."""

    lines: list[str]
    variant: str
    kind: str
    given: Shape
    out: Shape
    pool: str = ""  # where a pooling is the last that happens


@dataclass
class Box:
    """Units drawn together: each one's lines, its variants, one for each copy, and what comes out.

    Attributes:
        units: (lines, variants).
    """

    kind: str
    out: Shape
    pool: str = ""
    units: list[tuple[list[str], list[str]]] = field(default_factory=list)

    def text(self) -> list[str]:
        """Return the box's lines, copies counted: `3 × bottleneck: ...`, `first: stride 2`."""
        lines = []
        for said, variants in self.units:
            count = len(variants)
            many = f"{count} × {said[0]}" if ": " in said[0] else f"{count} × ({said[0]})"
            lines += [many if count > 1 else said[0], *said[1:]]
            first, rest = variants[0], variants[-1]
            if count > 1 and first != rest:
                lines += [f"the first: {first}"] * bool(first) + [f"the others: {rest}"] * bool(
                    rest
                )
            elif first:
                lines[-1] += f", {first}"
        return [*lines, self.pool] if self.pool else lines


class Network(NamedTuple):
    """A network taken apart.

    Attributes:
        boxes: in the order of the data.
        side: boxes of a head that serves training alone, and the shape that goes into it.
        parameters: how many numbers it learns, without those of `side`.
        flops: of one image forward, an addition and a multiplication counted as two.
        shape: what goes in.
        deepest: the smallest map's shape.
        rates: the dilations of its convolutions.
    """

    boxes: list[Box]
    side: tuple[Shape, list[Box]] | None
    parameters: int
    flops: int
    shape: Shape
    deepest: Shape
    rates: list[int]


def take_apart(name: str, classes: int, arguments: dict, size: int) -> Network:
    """Builds a network without memory for its weights, runs it on one image, and notes what comes.

    Args:
        name: a key of `inference.networks.NETWORKS`.
        size: side of the image, pixels.

    Raises:
        UserError: there is no such network.
    """
    with torch.device("meta"):
        network = build(name, classes, **arguments).eval()
        image = torch.empty(1, 3, size, size)
    main, side = _units(network, image)
    if side:
        setattr(network, AUXILIARY, None)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    maps = [unit.out for unit in main if len(unit.out) == 3 and unit.out[1] > 1]
    rates = {m.dilation[0] for m in network.modules() if isinstance(m, nn.Conv2d)}
    return Network(
        boxes=_boxes(main),
        side=(side[0].given, _boxes(side)) if side else None,
        parameters=sum(p.numel() for p in network.parameters()),
        flops=counter.get_total_flops(),
        shape=(3, size, size),
        deepest=min(maps, key=lambda shape: (shape[1], -shape[0])),
        rates=sorted(rates),
    )


def _units(network: nn.Module, image: torch.Tensor) -> tuple[list[Unit], list[Unit]]:
    """Runs the network; gives what it went through, and what its auxiliary head did."""
    recorder = _Recorder()
    handles = []
    for path, module in network.named_modules():
        if path and describe.is_whole(module):
            handles += recorder.watch(module, path.startswith(AUXILIARY))
    with recorder, torch.no_grad():
        network(image)
    for handle in handles:
        handle.remove()
    return recorder.main, recorder.side


class _Recorder(TorchFunctionMode):
    """Notes whole modules, and functions that are called outside of them."""

    def __init__(self):
        super().__init__()
        self.main: list[Unit] = []
        self.side: list[Unit] = []
        self.depth = 0
        self.aside = False  # what was last seen belongs to the auxiliary head

    def watch(self, module: nn.Module, aside: bool) -> list:
        def before(_module, _inputs):
            self.depth += 1

        def after(module, inputs, output):
            self.depth -= 1
            if not self.depth:
                self.aside = aside
                self._add(module, _shape(inputs[-1]), _shape(output))

        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    def _add(self, module: nn.Module, given: Shape, out: Shape) -> None:
        said = describe.words(module)
        if describe.starts(module):
            lines, kind = list(said.lines), describe.kind(module)
            if said.variant and kind != "residual":  # nothing that copies differ in
                lines[0] += f", {said.variant}"
            variant = said.variant if kind == "residual" else ""
            self._units().append(Unit(lines, variant, kind, given, out))
        elif said.lines:
            self._follow(said.lines[0], out, isinstance(module, nn.MaxPool2d))

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not self.depth and function in FUNCTIONS:
            (text, kind), given, out = FUNCTIONS[function], _shape(args[0]), _shape(result)
            if kind == "up":
                text += f", ×{out[1] // given[1]}"
            if kind:
                self._units().append(Unit([text], "", kind, given, out))
            else:
                self._follow(text, out)
        return result

    def _follow(self, text: str, out: Shape, pools: bool = False) -> None:
        last = self._units()[-1]
        if last.pool:  # something comes after it: it is one of several
            last.lines[-1] += f" · {last.pool}"
        last.pool = text if pools else ""
        if not pools:
            last.lines[-1] += f" · {text}"
        last.out = out

    def _units(self) -> list[Unit]:
        return self.side if self.aside else self.main


def _shape(value: torch.Tensor) -> Shape:
    return tuple(value.shape[1:])


def _boxes(units: list[Unit]) -> list[Box]:
    """Puts into one box what has as many channels, up to a pooling."""
    boxes: list[Box] = []
    for unit in units:
        last = boxes[-1] if boxes else None
        same = last and last.out[0] == unit.out[0] and unit.kind in JOINED.get(last.kind, ())
        if not same or last.pool:
            last = Box(unit.kind, unit.out)
            boxes.append(last)
        said = last.units[-1] if last.units else None
        # A third kind of copy would have no words: `first` and `others` are all there are.
        if said and said[0] == unit.lines and unit.variant in ({*said[1][1:]} or {unit.variant}):
            said[1].append(unit.variant)
        else:
            last.units.append((unit.lines, [unit.variant]))
        last.out, last.pool = unit.out, unit.pool
    return boxes
