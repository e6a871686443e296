"""Layers that PyTorch trains slowly in bf16 on a CPU with AMX, made fast.

    ReLU, ReLU6         in place they take more than twice as long as into new memory
    3x3 convolutions    the gradient of the weights, where images have few pixels: on one core of a
                        Xeon that of 384 -> 384 channels at 4 x 4, in batches of 256, takes 95 ms,
                        three times the forward pass; as nine products of matrices, a tap of the
                        kernel each, 22 ms

On other processors, and in fp32, nothing is changed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference import processor
from training.engine import dilated
from training.engine.precision import dtype_of

PIXELS = 64  # H x W of the input up to which nine products are faster
CHANNELS = 128  # in and out, from which they are


def make_fast(layer: nn.Module) -> None:
    """Replace the class of a layer that is slow here: for `network.apply`.

    The weights, their names and what is computed in fp32 stay as they are.
    """
    fast = FAST.get(type(layer))
    if fast and processor.has_amx() and (not isinstance(layer, nn.Conv2d) or _is_plain(layer)):
        layer.__class__ = fast


def _is_plain(conv: nn.Conv2d) -> bool:
    return (
        (conv.kernel_size, conv.stride, conv.dilation) == ((3, 3), (1, 1), (1, 1))
        and (conv.groups, conv.padding_mode, conv.bias) == (1, "zeros", None)
        and min(conv.in_channels, conv.out_channels) >= CHANNELS
        and not isinstance(conv.padding, str)
    )


class ReLU(nn.ReLU):
    """ReLU, in place where that is fast."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return functional.relu(x, self.inplace and x.dtype != torch.bfloat16)


class ReLU6(nn.ReLU6):
    """ReLU6, in place where that is fast."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return functional.relu6(x, self.inplace and x.dtype != torch.bfloat16)


class Conv2d(nn.Conv2d):
    """A 3x3 convolution of stride 1 without bias: weights' gradients by taps if pixels are few."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        dtype = dtype_of(x)
        if dtype != torch.bfloat16 or x.shape[2] * x.shape[3] > PIXELS:
            return super().forward(x)
        return _Convolution.apply(x.to(dtype), self.weight.to(dtype), self.padding)


FAST: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: Conv2d,
    nn.ReLU: ReLU,
    nn.ReLU6: ReLU6,
}


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, padding):
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return functional.conv2d(x, weight, None, 1, padding)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            numbers = [1, 1], list(ctx.padding), [1, 1], False, [0, 0], 1
            wanted = [True, False, False]  # of the input, of the weights, of the bias
            of_input = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, *numbers, wanted
            )[0]
        if ctx.needs_input_grad[1]:
            with torch.autocast("cpu", enabled=False):
                of_weight = dilated.weight_gradient(gradient, x, ctx.padding, (1, 1))
        return of_input, of_weight, None
