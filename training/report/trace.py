"""The layers of a network and the shapes between them, found by a pass on the meta device."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from inference import UserError
from inference.networks import build
from training.engine.recipe import Recipe
from training.report import describe

Shape = tuple[int, ...]  # without the number of images: (C, H, W) or (C,)
# What networks do without a module: in words, and the kind of what begins there
FUNCTIONS: dict[Callable[..., Any], tuple[str, str]] = {
    F.interpolate: ("bilinear enlargement", "up"),
    torch.amax: ("global maximum", "pool"),
    torch.mean: ("global average", "pool"),
    torch.relu: ("ReLU", ""),
}
# What may be drawn in one box with what came before it
JOINED = {"conv": ("conv", "residual"), "residual": ("residual",)}
AUXILIARY = "aux_classifier"  # serves training alone
SIDE = 512  # pixels, of the image that is drawn where a network takes any: a satellite tile's


@dataclass
class Box:
    """A box of a drawing: a convolution or a block, what follows it (BN, ReLU), and its copies.

    Attributes:
        out: the shape that comes out, as `given` goes in.
        units: the lines of each thing that begins, and a variant for each copy of it.
        aside: whether it is in the auxiliary head.
        pool: where a pooling is the last that happens.
    """

    kind: str
    given: Shape
    out: Shape
    units: list[tuple[list[str], list[str]]]
    aside: bool
    pool: str = ""

    def text(self) -> list[str]:
        """Return the box's lines, copies counted: `3 × bottleneck: ...`, `first: stride 2`."""
        lines: list[str] = []
        for (title, *more), variants in self.units:
            count, first, rest = len(variants), variants[0], variants[-1]
            if count > 1:
                title = f"{count} × {title}" if ": " in title else f"{count} × ({title})"
            lines += [title, *more]
            if first == rest:
                lines[-1] += f", {first}" if first else ""
            else:
                said = (("the first", first), ("the others", rest))
                lines += [f"{which}: {variant}" for which, variant in said if variant]
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

    @property
    def enlargements(self) -> list[str]:
        """What brings a map back to full size, in words, in the order of the data."""
        return [line for box in self.boxes if box.kind == "up" for line in box.text()]


def network_of(recipe: Recipe) -> Network | None:
    """Return a recipe's network, taken apart; None where this version of the program has none."""
    arguments = json.dumps(recipe.arguments)
    return _network_of(recipe.network, recipe.classes, arguments, recipe.input_size or SIDE)


@functools.cache
def _network_of(name: str, classes: int, arguments: str, size: int) -> Network | None:
    try:
        return take_apart(name, classes, json.loads(arguments), size)
    except Exception as error:  # arguments from a file can be anything, and raise anything
        if arguments == "{}" and not isinstance(error, UserError):
            raise
        return None


def take_apart(name: str, classes: int, arguments: dict[str, Any], size: int) -> Network:
    """Build a network without memory for its weights, run it on one image, and note what comes.

    Args:
        name: a key of `inference.networks.NETWORKS`.
        size: side of the image, pixels.

    Raises:
        UserError: there is no such network.
    """
    with torch.device("meta"):
        network = build(name, classes, **arguments).eval()
        image = torch.empty(1, 3, size, size)
    recorder = _Recorder()
    handles = [
        handle
        for path, module in network.named_modules()
        if path and describe.is_whole(module)
        for handle in recorder.watch(module, path.startswith(AUXILIARY))
    ]
    with recorder, torch.no_grad():
        network(image)
    for handle in handles:
        handle.remove()
    main = [box for box in recorder.boxes if not box.aside]
    side = [box for box in recorder.boxes if box.aside]
    if side:
        setattr(network, AUXILIARY, None)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    maps = [box.out for box in main if len(box.out) == 3 and box.out[1] > 1]
    rates = {m.dilation[0] for m in network.modules() if isinstance(m, nn.Conv2d)}
    return Network(
        boxes=_joined(main),
        side=(side[0].given, _joined(side)) if side else None,
        parameters=sum(p.numel() for p in network.parameters()),
        flops=counter.get_total_flops(),
        shape=(3, size, size),
        deepest=min(maps, key=lambda shape: (shape[1], -shape[0])),
        rates=sorted(int(rate) for rate in rates),
    )


class _Recorder(TorchFunctionMode):
    """Notes whole modules, and functions that are called outside of them."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes: list[Box] = []
        self.depth = 0

    def watch(self, module: nn.Module, aside: bool) -> list[Any]:
        """Return handles of the hooks that note a module when it is called."""

        def before(_module: nn.Module, _inputs: Any) -> None:
            self.depth += 1

        def after(module: nn.Module, inputs: Sequence[torch.Tensor], output: torch.Tensor) -> None:
            self.depth -= 1
            if not self.depth:
                self._note(module, _shape(inputs[-1]), _shape(output), aside)

        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    def _note(self, module: nn.Module, given: Shape, out: Shape, aside: bool) -> None:
        (lines, variant), kind = describe.words(module), describe.kind(module)
        if kind:
            if variant and kind != "residual":  # nothing that copies differ in
                lines, variant = (f"{lines[0]}, {variant}", *lines[1:]), ""
            self.boxes.append(Box(kind, given, out, [([*lines], [variant])], aside))
        elif lines:
            self._follow(lines[0], out, isinstance(module, nn.MaxPool2d))

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if not self.depth and function in FUNCTIONS:
            (text, kind), given, out = FUNCTIONS[function], _shape(args[0]), _shape(result)
            if kind == "up":
                text += f", ×{out[1] // given[1]}"
            if kind:
                aside = bool(self.boxes) and self.boxes[-1].aside
                self.boxes.append(Box(kind, given, out, [([text], [""])], aside))
            else:
                self._follow(text, out)
        return result

    def _follow(self, text: str, out: Shape, pools: bool = False) -> None:
        last = self.boxes[-1]
        lines = last.units[0][0]
        if last.pool:  # something comes after it: it is one of several
            lines[-1] += f" · {last.pool}"
        last.pool = text if pools else ""
        if not pools:
            lines[-1] += f" · {text}"
        last.out = out


def _shape(value: torch.Tensor) -> Shape:
    return tuple(value.shape[1:])


def _joined(boxes: list[Box]) -> list[Box]:
    """Return boxes with those in one that have as many channels, up to a pooling."""
    joined: list[Box] = []
    for box in boxes:
        last = joined[-1] if joined else box
        same = last.out[0] == box.out[0] and box.kind in JOINED.get(last.kind, ())
        if last is box or last.pool or not same:
            joined.append(box)
            continue
        (lines, variants), (said, (variant,)) = last.units[-1], box.units[0]
        # A third kind of copy would have no words: `first` and `others` are all there are.
        if lines == said and variant in ({*variants[1:]} or {variant}):
            variants.append(variant)
        else:
            last.units.append((said, [variant]))
        last.out, last.pool = box.out, box.pool
    return joined
