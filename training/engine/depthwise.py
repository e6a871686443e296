"""Depthwise convolutions whose gradients a CPU computes fast.

oneDNN is fast at the forward pass of a depthwise convolution and at the gradients of a 3x3 one of
stride 1, and slow at others: in bf16 a strided convolution's gradient of its input takes thirty
times as long as its forward pass, that of a 5x5's weights twenty to a hundred times. Of
LRASPP-MobileNetV3 these few gradients take half of a training step, of EfficientNet-Lite0 four
fifths. Here each is put in terms of what is fast:

    gradient of the input    convolve the output's gradient with the flipped kernel; for a stride,
                             with zeros between its values (Dumoulin and Visin, arXiv 1603.07285)
    of 5x5 weights           compute two overlapping 5x3 halves
    of dilated weights       split the pixels into one image for each phase, side by side in the
                             batch, and compute those of an ordinary convolution

Strided convolutions in fp32 are left to oneDNN, which is fast at them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.networks.efficientnet_lite import SameConv2d
from inference.networks.padding import pad
from training.engine.precision import dtype_of

CHANNELS_LAST = torch.channels_last
Numbers = tuple[int, int, int, tuple[int, int]]  # stride, padding, dilation, lead: `_Convolution`'s


def make_fast(layer: nn.Module) -> None:
    """Replace the class of a depthwise convolution that oneDNN is slow at: for `network.apply`.

    The weights, their names and the forward pass stay as they are.
    """
    fast = FAST.get(type(layer))
    if fast and isinstance(layer, nn.Conv2d) and _is_slow(layer):
        layer.__class__ = fast


def _is_slow(layer: nn.Conv2d) -> bool:
    depthwise = layer.groups == layer.in_channels == layer.out_channels > 1
    square = all(len(set(v)) == 1 for v in (layer.kernel_size, layer.stride, layer.dilation))
    if not depthwise or not square or layer.bias is not None or layer.padding_mode != "zeros":
        return False
    kernel, reach = layer.kernel_size[0], layer.dilation[0] * (layer.kernel_size[0] - 1)
    if layer.padding not in [(p, p) for p in range(reach + 1)]:
        return False
    one = layer.stride[0] == 1 or layer.dilation[0] == 1
    plain = layer.stride[0] == layer.dilation[0] == 1
    return one and (kernel == 5 or (kernel == 3 and not plain))


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution, square in all its numbers, without bias."""

    def forward(self, x: Tensor) -> Tensor:
        assert not isinstance(self.padding, str)
        y = _convolve(self, x, self.padding[0], (0, 0))
        return super().forward(x) if y is None else y


class DepthwiseSameConv2d(SameConv2d):
    """A `SameConv2d` that is depthwise; it pads without copying its input."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        y = _convolve(self, x, self.kernel_size[0] // 2, (1 - height % 2, 1 - width % 2))
        return super().forward(x) if y is None else y


FAST: dict[type[nn.Module], type[nn.Conv2d]] = {
    nn.Conv2d: DepthwiseConv2d,
    SameConv2d: DepthwiseSameConv2d,
}


def _convolve(layer: nn.Conv2d, x: Tensor, padding: int, lead: tuple[int, int]) -> Tensor | None:
    """Return the layer's output with fast gradients; None where PyTorch's own are fast."""
    dtype = dtype_of(x)
    x, weight = x.to(dtype), layer.weight.to(dtype)
    if layer.stride[0] > 1 and x.dtype == torch.float32:
        return None
    return _Convolution.apply(x, weight, layer.stride[0], padding, layer.dilation[0], lead)


class _Convolution(torch.autograd.Function):
    """The convolution of stride 1, of which rows and columns lead, lead + stride, ... are kept."""

    @staticmethod
    def forward(ctx, x, weight, stride, padding, dilation, lead):
        ctx.save_for_backward(x, weight)
        ctx.numbers = stride, padding, dilation, lead
        # A stride that starts at `lead` starts a whole step earlier too, within a wider padding:
        # to drop that output is cheaper than to copy the input, which is larger, into its padding.
        wider = [padding + (stride - first if first else 0) for first in lead]
        y = functional.conv2d(x, weight, None, stride, wider, dilation, len(weight))
        if any(lead):
            top, left = (int(first > 0) for first in lead)
            y = y[:, :, top:, left:].contiguous(memory_format=CHANNELS_LAST)
        return y

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            of_input = input_gradient(gradient, weight, x.shape, ctx.numbers)
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(gradient, x, weight.shape[-1], ctx.numbers)
        return of_input, of_weight, None, None, None, None


def input_gradient(gradient: Tensor, weight: Tensor, shape: torch.Size, numbers: Numbers) -> Tensor:
    """Return the gradient of the input, of `shape` (N, C, H, W)."""
    stride, padding, dilation, lead = numbers
    reach = dilation * (weight.shape[-1] - 1)
    if stride > 1:
        sides = [side + 2 * padding - reach for side in shape[2:]]
        spread = torch.empty(
            (*shape[:2], *sides),
            dtype=gradient.dtype,
            device=gradient.device,
            memory_format=CHANNELS_LAST,
        ).zero_()
        spread[:, :, lead[0] :: stride, lead[1] :: stride] = gradient
        gradient = spread
    turned = weight.flip(2, 3)
    return functional.conv2d(gradient, turned, None, 1, reach - padding, dilation, len(weight))


def weight_gradient(gradient: Tensor, x: Tensor, kernel: int, numbers: Numbers) -> Tensor:
    """Return the gradient of the weights, (C, 1, kernel, kernel); kernel is 3, or 5."""
    stride, padding, dilation, lead = numbers
    top, left = padding - lead[0], padding - lead[1]
    if kernel == 3 and dilation == 1 and not any(lead):
        return _of_3_columns(gradient, x, 3, stride, (padding, padding))
    # oneDNN pads rows itself unless there are few; columns have to be there to be divided.
    rows = padding if kernel == 5 and stride == dilation == 1 and x.shape[2] > 5 else 0
    x = pad(x, (left, padding), (0, 0) if rows else (top, padding))
    if dilation > 1:
        gradient, x = _phases(gradient, dilation), _phases(x, dilation)
    if kernel == 3:
        return _of_3_columns(gradient, x, 3, stride, (0, 0))
    found = x.new_empty(x.shape[1], 1, 5, 5)
    for j in (0, 2):
        half = x[..., j : x.shape[3] - 2 + j]
        found[..., j : j + 3] = _of_3_columns(gradient, half, 5, stride, (rows, 0))
    return found


def _phases(images: Tensor, dilation: int) -> Tensor:
    """Put the pixels that a dilated kernel sees at once side by side in the batch."""
    height, width = (-side % dilation for side in images.shape[2:])
    images = functional.pad(images, [0, width, 0, height])
    starts = [(i, j) for i in range(dilation) for j in range(dilation)]
    return torch.cat([images[:, :, i::dilation, j::dilation] for i, j in starts])


def _of_3_columns(
    gradient: Tensor, x: Tensor, rows: int, stride: int, padding: tuple[int, int]
) -> Tensor:
    """Return the gradient of weights (C, 1, rows, 3)."""
    gradient, x = (v.contiguous(memory_format=CHANNELS_LAST) for v in (gradient, x))
    weight = x.new_empty(x.shape[1], 1, rows, 3)  # its shape alone matters
    numbers = [stride] * 2, list(padding), [1, 1], False, [0, 0], x.shape[1]
    wanted = [False, True, False]  # of the input, of the weights, of the bias
    return torch.ops.aten.convolution_backward(gradient, x, weight, None, *numbers, wanted)[1]
