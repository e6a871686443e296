"""Depthwise convolutions whose gradients a CPU computes fast.

oneDNN is fast at the forward pass of a depthwise convolution and at the gradients of a 3x3 one of
stride 1, and slow at the others: of LRASPP-MobileNetV3 in bf16 these few gradients take half of a
training step. Here each is put in terms of what is fast:

    of the input      a convolution of the gradient, zeros between its values for a stride, with
                      the turned kernel (Dumoulin and Visin, arXiv 1603.07285)
    of 5x5 weights    four overlapping 3x3 corners
    of dilated ones   those of an ordinary convolution between the pixels of one phase, the phases
                      side by side in the batch
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS_LAST = torch.channels_last


def speed_up(network: nn.Module) -> None:
    """Makes every depthwise convolution that oneDNN is slow at one of this file, in place.

    The weights, their names and the forward pass stay as they are.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_slow(module):
            module.__class__ = DepthwiseConv2d


def _is_slow(layer: nn.Conv2d) -> bool:
    depthwise = layer.groups == layer.in_channels == layer.out_channels > 1
    square = all(len(set(v)) == 1 for v in (layer.kernel_size, layer.stride, layer.dilation))
    if not depthwise or not square or layer.bias is not None or layer.padding_mode != "zeros":
        return False
    kernel, reach = layer.kernel_size[0], layer.dilation[0] * (layer.kernel_size[0] - 1)
    if layer.padding not in [(p, p) for p in range(reach + 1)]:
        return False
    one = layer.stride[0] == 1 or layer.dilation[0] == 1
    return one and (kernel == 5 or (kernel == 3 and layer.stride[0] > 1))


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution, square in all its numbers, without bias."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolves (N, C, H, W)."""
        weight = self.weight
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(dtype), weight.to(dtype)
        return _Convolution.apply(x, weight, self.stride[0], self.padding[0], self.dilation[0])


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, stride, padding, dilation):
        ctx.save_for_backward(x, weight)
        ctx.numbers = stride, padding, dilation
        return functional.conv2d(x, weight, None, stride, padding, dilation, len(weight))

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            of_input = input_gradient(gradient, weight, x.shape, *ctx.numbers)
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(gradient, x, weight.shape[-1], *ctx.numbers)
        return of_input, of_weight, None, None, None


def input_gradient(
    gradient: Tensor, weight: Tensor, shape: torch.Size, stride: int, padding: int, dilation: int
) -> Tensor:
    """Gives the gradient of the input, of `shape` (N, C, H, W)."""
    reach = dilation * (weight.shape[-1] - 1)
    if stride > 1:
        sides = [side + 2 * padding - reach for side in shape[2:]]
        like = {"dtype": gradient.dtype, "device": gradient.device}
        spread = torch.empty((*shape[:2], *sides), **like, memory_format=CHANNELS_LAST).zero_()
        spread[:, :, ::stride, ::stride] = gradient
        gradient = spread
    turned = weight.flip(2, 3)
    return functional.conv2d(gradient, turned, None, 1, reach - padding, dilation, len(weight))


def weight_gradient(
    gradient: Tensor, x: Tensor, kernel: int, stride: int, padding: int, dilation: int
) -> Tensor:
    """Gives the gradient of the weights, (C, 1, kernel, kernel); kernel is 3, or 5."""
    if kernel == 3:
        return _of_3x3(gradient, x, stride, padding)
    x = functional.pad(x, [padding] * 4)
    if dilation > 1:
        gradient, x = _phases(gradient, x, stride, dilation)
    found = x.new_empty(x.shape[1], 1, 5, 5)
    height, width = x.shape[2:]
    for i in (0, 2):
        for j in (0, 2):
            corner = x[:, :, i : height - 2 + i, j : width - 2 + j]
            found[:, :, i : i + 3, j : j + 3] = _of_3x3(gradient, corner, stride, 0)
    return found


def _phases(gradient: Tensor, x: Tensor, stride: int, dilation: int) -> tuple[Tensor, Tensor]:
    """Puts what a dilated kernel sees at once side by side in the batch; `x` is padded already."""
    if stride > 1:
        raise ValueError("a kernel has a stride or a dilation")
    height, width = (-side % dilation for side in gradient.shape[2:])
    gradient, x = (functional.pad(v, [0, width, 0, height]) for v in (gradient, x))
    starts = [(i, j) for i in range(dilation) for j in range(dilation)]
    parts = ([v[:, :, i::dilation, j::dilation] for i, j in starts] for v in (gradient, x))
    return tuple(map(torch.cat, parts))


def _of_3x3(gradient: Tensor, x: Tensor, stride: int, padding: int) -> Tensor:
    gradient, x = (v.contiguous(memory_format=CHANNELS_LAST) for v in (gradient, x))
    shape = x.new_empty(x.shape[1], 1, 3, 3)
    numbers = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], x.shape[1]
    wanted = [False, True, False]
    found = torch.ops.aten.convolution_backward(gradient, x, shape, None, *numbers, wanted)
    return found[1]
