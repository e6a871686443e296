"""Dilated convolutions that train tap by tap, where the processor is fast at that.

In bf16 on a CPU with AMX: see `inference/networks/dilated.py`. The gradient of the input is itself
a dilated convolution of the gradient, with the turned kernel; that of a tap's weights a product of
two matrices.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inference.networks import dilated
from inference.networks.dilated import Sides, by_tap, sum_of_taps, taps
from training.engine.precision import dtype_of


def make_fast(layer: nn.Module) -> None:
    """Replace the class of a convolution that is slow in bf16 here: for `network.apply`.

    The weights, their names and what is computed in fp32 stay as they are.
    """
    if type(layer) is nn.Conv2d and dilated.is_slow(layer, torch.bfloat16):
        layer.__class__ = DilatedConv2d


class DilatedConv2d(nn.Conv2d):
    """A dilated 3x3 convolution of stride 1: by taps under bf16's autocast, else as ever."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        dtype = dtype_of(x)
        if dtype is not torch.bfloat16:
            return super().forward(x)
        weight = self.weight.to(dtype)
        y = _Convolution.apply(x.to(dtype), weight, self.padding, self.dilation)
        return y if self.bias is None else y + self.bias.to(dtype).reshape(-1, 1, 1)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, padding, dilation):
        ctx.save_for_backward(x, weight)
        ctx.numbers = padding, dilation
        with torch.autocast("cpu", enabled=False):
            return sum_of_taps(x, by_tap(weight), padding, dilation).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        of_input = of_weight = None
        with torch.autocast("cpu", enabled=False):
            if ctx.needs_input_grad[0]:
                of_input = input_gradient(gradient, weight, *ctx.numbers)
            if ctx.needs_input_grad[1]:
                of_weight = weight_gradient(gradient, x, *ctx.numbers)
        return of_input, of_weight, None, None


def input_gradient(gradient: Tensor, weight: Tensor, padding: Sides, dilation: Sides) -> Tensor:
    """Return the gradient of the input."""
    turned = by_tap(weight.flip(2, 3).transpose(0, 1))
    rest = tuple(2 * d - p for d, p in zip(dilation, padding, strict=True))
    return sum_of_taps(gradient, turned, rest, dilation).to(gradient.dtype)


def weight_gradient(gradient: Tensor, x: Tensor, padding: Sides, dilation: Sides) -> Tensor:
    """Return the gradient of the weights, (out, C, 3, 3)."""
    found = x.new_zeros(3, 3, gradient.shape[1], x.shape[1])
    for tap in taps(x.shape[2:], padding, dilation):
        of_tap = _pixels(gradient[:, :, tap.rows_out, tap.columns_out])
        found[tap.place] = of_tap.T @ _pixels(x[:, :, tap.rows, tap.columns])
    return found.permute(2, 3, 0, 1)


def _pixels(images: Tensor) -> Tensor:
    """Return (N, C, h, w) as (N * h * w, C)."""
    return images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])
