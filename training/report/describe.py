"""Modules in words: `3×3 conv, 64 · BN · ReLU`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from inference.networks.convnet import Residual
from inference.networks.mobilenet import InvertedResidual, SqueezeExcitation
from inference.networks.resnet import Bottleneck
from inference.networks.segmentation import ASPP, LRASPPHead

# Drawn as one thing, whatever is inside.
BLOCKS = (Residual, Bottleneck, InvertedResidual, SqueezeExcitation, ASPP, LRASPPHead)
POOLS = (nn.AdaptiveAvgPool2d,)
WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
PLAIN = {
    nn.BatchNorm1d: "BN",
    nn.BatchNorm2d: "BN",
    nn.ReLU: "ReLU",
    nn.Hardswish: "h-swish",
    nn.Sigmoid: "sigmoid",
    nn.Hardsigmoid: "h-sigmoid",
}
KINDS = (
    (nn.ConvTranspose2d, "up"),
    (nn.Linear, "linear"),
    (nn.Conv2d, "conv"),
    (POOLS, "pool"),
    ((ASPP, LRASPPHead), "context"),
    (BLOCKS, "residual"),
)


class Words(NamedTuple):
    """A module's lines, and apart from them what often differs between copies: stride and rate."""

    lines: tuple[str, ...]
    variant: str = ""


def is_whole(module: nn.Module) -> bool:
    """Whether a drawing does not look inside."""
    return isinstance(module, BLOCKS) or not any(module.children())


def starts(module: nn.Module) -> bool:
    """Whether a module begins something, and does not merely follow, as BN and ReLU do."""
    return isinstance(module, (*WEIGHTED, *BLOCKS, *POOLS))


def kind(module: nn.Module) -> str:
    """Gives the kind of thing that a module that `starts` is, which chooses its colour."""
    return next(word for types, word in KINDS if isinstance(module, types))


def words(module: nn.Module) -> Words:
    """Describes a module that `is_whole`; no line where it does nothing."""
    if isinstance(module, Residual):
        return Words(("residual block, input plus:", *_inside(module.blocks)))
    if isinstance(module, (Bottleneck, InvertedResidual)):
        name = "bottleneck" if isinstance(module, Bottleneck) else "inverted residual"
        layers = [layer for layer in _layers(module) if isinstance(layer, WEIGHTED[:1])]
        body = " · ".join(_convolution(layer).lines[0] for layer in layers)
        variants = {_convolution(layer).variant for layer in layers} - {""}
        return Words((f"{name}: {body}",), ", ".join(sorted(variants)))
    if isinstance(module, SqueezeExcitation):
        return Words(("squeeze and excitation",))
    if isinstance(module, ASPP):
        views = [line for view in module.convs for line in _inside(view)]
        title = f"ASPP, {len(module.convs)} views side by side:"
        return Words((title, *_joined(views), "all together:", *_inside(module.project)))
    if isinstance(module, LRASPPHead):
        parts = {
            "context": module.cbr,
            "times a gate": module.scale,
            "to classes": module.high_classifier,
            "plus, from 1/8": module.low_classifier,
        }
        return Words(tuple(f"{key}: {' · '.join(_inside(part))}" for key, part in parts.items()))
    return _layer(module)


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """Gives what a block consists of, without its shortcut and its gates."""
    for name, child in module.named_children():
        if name == "downsample":
            continue
        if isinstance(child, SqueezeExcitation) or not any(child.children()):
            yield child
        else:
            yield from _layers(child)


def _inside(module: nn.Module) -> list[str]:
    """Describes a sequence, a line for each thing that begins in it, the same ones together."""
    leaves = list(_layers(module)) if any(module.children()) else [module]
    lines: list[str] = []
    for leaf in leaves:
        said = words(leaf)
        text = ", ".join([*said.lines, said.variant] if said.variant else said.lines)
        if lines and not starts(leaf):
            lines[-1] = " · ".join([lines[-1], text] if text else [lines[-1]])
        elif text:
            lines.append(text)
    return [f"{n} × ({line})" if n > 1 else line for line, n in _runs(lines)]


def _joined(views: list[str]) -> list[str]:
    """Puts the global average and the convolution that follows it on one line."""
    lines: list[str] = []
    for view in views:
        if lines and lines[-1] == "global average":
            lines[-1] += f" · {view}"
        else:
            lines.append(view)
    return lines


def _runs(lines: list[str]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for line in lines:
        if found and found[-1][0] == line:
            found[-1] = (line, found[-1][1] + 1)
        else:
            found.append((line, 1))
    return found


def _layer(module: nn.Module) -> Words:
    if isinstance(module, nn.Conv2d):
        return _convolution(module)
    if isinstance(module, nn.ConvTranspose2d):
        side, stride = module.kernel_size[0], module.stride[0]
        return Words((f"{side}×{side} transposed conv, {module.out_channels} · ×{stride}",))
    if isinstance(module, nn.Linear):
        return Words((f"linear, {module.out_features}",))
    if isinstance(module, nn.MaxPool2d):
        side, stride = module.kernel_size, module.stride
        return Words((f"max-pool {side}×{side}" + f", stride {stride}" * (stride != side),))
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return Words(("global average",))
    if isinstance(module, nn.Dropout):
        return Words((f"dropout {module.p:g}",) if module.p else ())
    return Words((PLAIN.get(type(module), type(module).__name__),))


def _convolution(layer: nn.Conv2d) -> Words:
    side, stride, rate = layer.kernel_size[0], layer.stride[0], layer.dilation[0]
    text = f"{side}×{side} conv, {layer.out_channels}"
    if layer.groups == layer.in_channels > 1:
        text = f"{side}×{side} depthwise, {layer.out_channels}"
    elif layer.groups > 1:
        text += f", {layer.groups} groups"
    variant = [f"stride {stride}"] * (stride > 1) + [f"rate {rate}"] * (rate > 1)
    return Words((text,), ", ".join(variant))
