"""Modules in words: `3×3 conv, 64 · BN · ReLU`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from torch import nn

from inference.networks import efficientnet_lite as lite
from inference.networks.convnet import Residual
from inference.networks.mobilenet import InvertedResidual, SqueezeExcitation
from inference.networks.resnet import Bottleneck
from inference.networks.segmentation import ASPP, LRASPPHead

# Drawn as one thing, whatever is inside.
BLOCKS = (
    Residual,
    Bottleneck,
    InvertedResidual,
    lite.DepthwiseSeparable,
    lite.InvertedResidual,
    SqueezeExcitation,
    ASPP,
    LRASPPHead,
)
NAMES = {
    Bottleneck: "bottleneck",
    InvertedResidual: "inverted residual",
    lite.DepthwiseSeparable: "depthwise separable",
    lite.InvertedResidual: "inverted residual",
}
PLAIN = {
    nn.BatchNorm1d: "BN",
    nn.BatchNorm2d: "BN",
    nn.ReLU: "ReLU",
    nn.ReLU6: "ReLU6",
    nn.Hardswish: "h-swish",
    nn.Sigmoid: "sigmoid",
    nn.Hardsigmoid: "h-sigmoid",
    nn.AdaptiveAvgPool2d: "global average",
    SqueezeExcitation: "squeeze and excitation",
}
KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (nn.ConvTranspose2d, "up"),
    (nn.Linear, "linear"),
    (nn.Conv2d, "conv"),
    (nn.AdaptiveAvgPool2d, "pool"),
    ((ASPP, LRASPPHead), "context"),
    (BLOCKS, "residual"),
)


class Words(NamedTuple):
    """A module's lines, and apart from them what often differs between copies: stride and rate."""

    lines: tuple[str, ...]
    variant: str = ""


def is_whole(module: nn.Module) -> bool:
    """Return whether a drawing does not look inside."""
    return isinstance(module, BLOCKS) or not any(module.children())


def kind(module: nn.Module) -> str:
    """Return the kind of box that a module begins; "" where it continues one, as BN does."""
    return next((word for types, word in KINDS if isinstance(module, types)), "")


def words(module: nn.Module) -> Words:
    """Return a module that `is_whole` in words; no line where it does nothing."""
    match module:
        case Residual():
            return Words(("residual block, input plus:", *_inside(module.blocks)))
        case (
            Bottleneck() | InvertedResidual() | lite.DepthwiseSeparable() | lite.InvertedResidual()
        ):
            layers = [_convolution(c) for c in _layers(module) if isinstance(c, nn.Conv2d)]
            body = " · ".join(layer.lines[0] for layer in layers)
            variants = {layer.variant for layer in layers} - {""}
            name = NAMES[type(module)]
            return Words((f"{name}: {body}",), ", ".join(sorted(variants)))
        case ASPP():
            views = [" · ".join(_inside(view)) for view in module.convs]
            title = f"ASPP, {len(views)} views side by side:"
            return Words((title, *views, "all together:", *_inside(module.project)))
        case LRASPPHead():
            parts = {
                "context": module.cbr,
                "times a gate": module.scale,
                "to classes": module.high_classifier,
                "plus, from 1/8": module.low_classifier,
            }
            return Words(tuple(f"{key}: {' · '.join(_inside(p))}" for key, p in parts.items()))
        case nn.Conv2d():
            return _convolution(module)
        case nn.ConvTranspose2d():
            side, stride = module.kernel_size[0], module.stride[0]
            return Words((f"{side}×{side} transposed conv, {module.out_channels} · ×{stride}",))
        case nn.Linear():
            return Words((f"linear, {module.out_features}",))
        case nn.MaxPool2d():
            size, step = module.kernel_size, module.stride
            return Words((f"max-pool {size}×{size}" + f", stride {step}" * (step != size),))
        case nn.Dropout():
            return Words((f"dropout {module.p:g}",) if module.p else ())
    return Words((PLAIN.get(type(module), type(module).__name__),))


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield what a block consists of, without its shortcut and its gates."""
    for name, child in module.named_children():
        if name == "downsample":
            continue
        if isinstance(child, SqueezeExcitation) or not any(child.children()):
            yield child
        else:
            yield from _layers(child)


def _inside(module: nn.Module) -> list[str]:
    """Return a sequence in words, a line for each thing that begins in it, equal ones counted."""
    lines: list[str] = []
    for leaf in _layers(module) if any(module.children()) else [module]:
        said = words(leaf)
        text = ", ".join([*said.lines, said.variant] if said.variant else said.lines)
        if lines and not kind(leaf):
            lines[-1] = " · ".join([lines[-1], text] if text else [lines[-1]])
        elif text:
            lines.append(text)
    counted = ((line, len(list(same))) for line, same in groupby(lines))
    return [f"{n} × ({line})" if n > 1 else line for line, n in counted]


def _convolution(layer: nn.Conv2d) -> Words:
    side, stride, rate = layer.kernel_size[0], layer.stride[0], layer.dilation[0]
    text = f"{side}×{side} conv, {layer.out_channels}"
    if layer.groups == layer.in_channels > 1:
        text = f"{side}×{side} depthwise, {layer.out_channels}"
    elif layer.groups > 1:
        text += f", {layer.groups} groups"
    variant = [f"stride {stride}"] * (stride > 1) + [f"rate {rate}"] * (rate > 1)
    return Words((text,), ", ".join(variant))
