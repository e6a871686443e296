"""Convolutions of far dilation in bf16, tap by tap: what a processor with AMX is fast at.

oneDNN has no good kernel for them there, and its time grows with the dilation. On two cores of a
Xeon the three of DeepLabV3's ASPP (2048 -> 256 channels at 64 x 64, dilation 12, 24, 36) took 157,
206 and 287 ms; all the rest of the network, in which dilations are 2 and 4, took 260 ms. As the
sum of nine 1x1 convolutions, each over the cut-out part that its tap sees, the three took 46, 22
and 15 ms. In fp32, and in bf16 without AMX, nothing is gained.
"""

from __future__ import annotations

from typing import Iterator, NamedTuple, Tuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from inference import processor

Sides = Tuple[int, ...]  # height, width

FAR = 8  # from which dilation on: 12 is slow, 2 and 4 are not


class Tap(NamedTuple):
    """An element of the kernel: its place there, and where in the input it meets which outputs."""

    place: Sides
    rows: slice
    columns: slice
    rows_out: slice
    columns_out: slice


def is_slow(conv: nn.Module, dtype: torch.dtype) -> bool:
    """Tell whether this processor computes a layer faster tap by tap."""
    return (
        isinstance(conv, nn.Conv2d)
        and dtype == torch.bfloat16
        and conv.kernel_size == (3, 3)
        and conv.dilation[0] == conv.dilation[1] >= FAR
        and (conv.stride, conv.groups, conv.padding_mode) == ((1, 1), 1, "zeros")
        and not isinstance(conv.padding, str)
        and conv.weight.device.type == "cpu"
        and processor.has_amx()
    )


def taps(size: Sides, padding: Sides, dilation: Sides) -> Iterator[Tap]:
    """Yield the taps of a 3x3 kernel that see anything of an input of `size` (H, W)."""
    for i in range(3):
        rows, rows_out = _overlap(size[0], padding[0], dilation[0], i)
        for j in range(3):
            columns, columns_out = _overlap(size[1], padding[1], dilation[1], j)
            if rows.start < rows.stop and columns.start < columns.stop:
                yield Tap((i, j), rows, columns, rows_out, columns_out)


def _overlap(size: int, padding: int, dilation: int, i: int) -> Tuple[slice, slice]:
    """Return what tap `i` of a row sees, of the input and as places of the output."""
    shift = i * dilation - padding  # from an output to the input that the tap sees
    start, stop = max(0, -shift), min(_length(size, padding, dilation), size - shift)
    return slice(start + shift, stop + shift), slice(start, stop)


def _length(size: int, padding: int, dilation: int) -> int:
    return size + 2 * padding - 2 * dilation


def by_tap(weight: Tensor) -> Tensor:
    """Return the weights (out, C, 3, 3) as (3, 3, out, C), those of a tap side by side."""
    return weight.permute(2, 3, 0, 1).contiguous()


def sum_of_taps(x: Tensor, weight: Tensor, padding: Sides, dilation: Sides) -> Tensor:
    """Convolve (N, C, H, W) with (3, 3, out, C): fp32 (N, out, H', W'), channels_last.

    Raises:
        ValueError: the kernel spans more than the padded images.
    """
    sides = [_length(*numbers) for numbers in zip(x.shape[2:], padding, dilation)]
    if min(sides) < 1:
        raise ValueError(f"a kernel of dilation {dilation} is larger than {tuple(x.shape)}")
    total = torch.empty(
        (len(x), weight.shape[2], *sides), memory_format=torch.channels_last, device=x.device
    ).zero_()  # zeros() knows no memory format
    for tap in taps(x.shape[2:], padding, dilation):
        seen = x[:, :, tap.rows, tap.columns].contiguous(memory_format=torch.channels_last)
        part = conv2d(seen, weight[tap.place][:, :, None, None])
        total[:, :, tap.rows_out, tap.columns_out] += part
    return total


def speed_up(network: nn.Module, dtype: torch.dtype) -> None:
    """Replace a network's slow convolutions by `DilatedConv2d`, in place; for inference alone."""
    for module in network.modules():
        if type(module) is nn.Conv2d and is_slow(module, dtype):
            module.__class__ = DilatedConv2d


class DilatedConv2d(nn.Conv2d):
    """A dilated 3x3 convolution: tap by tap for bf16 inputs, as `nn.Conv2d` does it for others."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        if x.dtype != torch.bfloat16 or isinstance(self.padding, str):
            return super().forward(x)
        total = sum_of_taps(x, by_tap(self.weight), self.padding, self.dilation)
        if self.bias is not None:
            total += self.bias.reshape(-1, 1, 1)
        return total.to(x.dtype)
