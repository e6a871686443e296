"""Networks as a CPU runs them fastest: convolution, BN and activation in one pass over memory.

Scale and shift of a BN in eval mode go into the weights and the bias of the convolution before it,
in fp32; oneDNN adds shortcuts and applies activations while the outputs are still in the caches,
and takes weights in an order of its own, into which PyTorch otherwise brings them at every call.
In bf16 there is one rounding where there were three or four.

What comes out only predicts: it has no gradients and its state_dict lacks the fused layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inference.networks import dilated
from inference.networks import efficientnet_lite as lite
from inference.networks.padding import pad
from inference.networks.resnet import Bottleneck, Trunk

ACTIVATIONS: dict[type, str] = {nn.ReLU: "relu", nn.Hardswish: "hardswish"}
SCALARS = {"hardtanh": [0.0, 6.0]}  # of an activation that has some: ReLU6
APPLY = {
    "relu": torch.relu_,
    "hardswish": nn.functional.hardswish,
    "hardtanh": lambda x: x.clamp_(0.0, 6.0),
    "none": lambda x: x,
}


def fuse(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Rebuild a network in place for predictions on the CPU.

    Args:
        network: Any network of this package, fp32, on the CPU, in eval mode.
        dtype: What it will compute in: torch.float32 or torch.bfloat16.

    Returns:
        The same network, to be cast to `dtype` by the caller; unchanged where this PyTorch or
        this processor has no such convolutions.
    """
    if not is_available(dtype):
        return network
    _fuse_below(network, dtype)
    return network


def _fuse_below(module: nn.Module, dtype: torch.dtype) -> None:
    if isinstance(module, nn.Sequential):
        _fuse_sequence(module, dtype)
    if isinstance(module, Trunk) and isinstance(module.conv1, nn.Conv2d):  # not fused before
        conv1 = FusedConv(module.conv1, module.bn1, "relu", dtype)
        _replace(module, conv1=conv1, bn1=nn.Identity(), relu=nn.Identity())
    if isinstance(module, lite.Trunk) and isinstance(module.conv_head, nn.Conv2d):
        stem = FusedConv(module.conv_stem, module.bn1, "hardtanh", dtype)
        last = FusedConv(module.conv_head, module.bn2, "hardtanh", dtype)
        _replace(module, conv_stem=stem, conv_head=last)
        _replace(module, bn1=nn.Identity(), bn2=nn.Identity(), act=nn.Identity())
    for child in module.children():
        _fuse_below(child, dtype)


def _replace(module: nn.Module, **layers: nn.Module) -> None:
    for name, layer in layers.items():
        setattr(module, name, layer)


def keep_last_layers_exact(network: nn.Module) -> None:
    """Return the layers that make logits, and linear layers before them, to fp32, in place.

    They take next to no time, and classes that are nearly equal become equal in bf16, which has
    8 bits: then the first one wins. What follows them, as enlarging the logits, is fp32 too.
    """
    for name, module in network.named_modules():
        makes_logits = isinstance(module, nn.Conv2d) and module.bias is not None
        makes_logits = makes_logits and "classifier" in name
        if makes_logits or isinstance(module, (nn.Linear, nn.BatchNorm1d)):
            module.float().register_forward_pre_hook(_to_fp32)


def _to_fp32(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.float() for x in inputs)


def is_available(dtype: torch.dtype) -> bool:
    """Return whether this torch and this processor compute `FusedConv` in `dtype` correctly.

    The operators' interface is not one that PyTorch promises to keep.
    """
    images = torch.linspace(-1, 1, 2 * 16 * 5 * 5).reshape(2, 16, 5, 5)
    images = images.to(dtype, memory_format=torch.channels_last)
    conv = nn.Conv2d(16, 16, 3, padding=1, bias=False)
    nn.init.constant_(conv.weight, 1 / 16)
    norm = nn.BatchNorm2d(16).eval()
    with torch.no_grad():
        plain = conv(images.float())
        expected = torch.relu(images + plain), plain.clamp(0, 6)
        try:
            found = (
                FusedConv(conv, norm, "relu", dtype)(images, images.clone()),
                FusedConv(conv, norm, "hardtanh", dtype)(images),
            )
        except (AttributeError, RuntimeError, TypeError):
            return False
        pairs = zip(found, expected)
        return all(torch.allclose(a.float(), b, rtol=0.01, atol=0.01) for a, b in pairs)


class FusedConv(nn.Module):
    """Convolution, BN and activation; a shortcut, which is overwritten, is added before activation.

    Args:
        conv: Without gradients to come.
        norm: The BN that follows it, in eval mode.
        activation: A value of `ACTIVATIONS`, "hardtanh", which is ReLU6, or "none"; of a shortcut
            only "relu" or "none".
        dtype: Of the weights and the images.
    """

    def __init__(
        self, conv: nn.Conv2d, norm: nn.BatchNorm2d, activation: str, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.activation, self.scalars = activation, SCALARS.get(activation, [])
        self.pads = isinstance(conv, lite.SameConv2d)
        assert not isinstance(conv.padding, str)  # "same": none of ours
        self.settings = (conv.padding, conv.stride, conv.dilation, conv.groups)
        assert norm.running_mean is not None and norm.running_var is not None
        with torch.no_grad():
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            weight = conv.weight * scale.reshape(-1, 1, 1, 1)
            bias = norm.bias - norm.running_mean * scale
            if conv.bias is not None:
                bias += conv.bias * scale
        self.weight = weight.to(dtype)
        self.bias = bias
        self.rounded_bias = bias.to(dtype)  # which the addition wants
        self.packed = self.weight
        self.packed_for: torch.Size | None = None

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """(N, C, H, W) -> (N, out, H/stride, W/stride), the shape of the shortcut."""
        ops = torch.ops.mkldnn
        if self.pads:
            x = pad(x, *lite.same_padding(x, self.weight.shape[-1]))
        if x.shape != self.packed_for:  # which order is fastest hangs on the shape
            self.packed = ops._reorder_convolution_weight(
                self.weight, *self.settings, list(x.shape)
            )
            self.packed_for = x.shape
        if shortcut is None:
            return ops._convolution_pointwise(
                x, self.packed, self.bias, *self.settings, self.activation, self.scalars, ""
            )
        return ops._convolution_pointwise_.binary(
            shortcut, x, self.packed, self.rounded_bias, *self.settings,
            "add", 1.0, None if self.activation == "none" else self.activation, [], None,
        )  # fmt: skip


class FusedDilatedConv(FusedConv):
    """A `FusedConv` computed tap by tap (see dilated.py), with sum, bias and activation in fp32."""

    def __init__(
        self, conv: nn.Conv2d, norm: nn.BatchNorm2d, activation: str, dtype: torch.dtype
    ) -> None:
        super().__init__(conv, norm, activation, dtype)
        self.weight = self.packed = dilated.by_tap(self.weight)

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """(N, C, H, W) -> (N, out, H', W'), the shape of the shortcut, which stays as it is."""
        padding, _, dilation, _ = self.settings
        total = dilated.sum_of_taps(x, self.weight, padding, dilation)
        total += self.bias.reshape(-1, 1, 1)
        if shortcut is not None:
            total += shortcut
        return APPLY[self.activation](total).to(self.weight.dtype)


def fused_conv(
    conv: nn.Conv2d, norm: nn.BatchNorm2d, activation: str, dtype: torch.dtype
) -> FusedConv:
    """Return what computes a convolution, its BN and an activation fastest here."""
    kind = FusedDilatedConv if dilated.is_slow(conv, dtype) else FusedConv
    return kind(conv, norm, activation, dtype)


class FusedBottleneck(nn.Module):
    """A `Bottleneck` of three or four passes over memory."""

    def __init__(self, block: Bottleneck, dtype: torch.dtype) -> None:
        super().__init__()
        self.conv1 = fused_conv(block.conv1, block.bn1, "relu", dtype)
        self.conv2 = fused_conv(block.conv2, block.bn2, "relu", dtype)
        self.conv3 = fused_conv(block.conv3, block.bn3, "relu", dtype)
        self.downsample = None
        if block.downsample is not None:
            conv, norm = block.downsample
            assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            self.downsample = fused_conv(conv, norm, "none", dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W), overwritten -> (N, 4 * planes, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.conv3(self.conv2(self.conv1(x)), shortcut)


class FusedDepthwiseSeparable(nn.Module):
    """A `DepthwiseSeparable` of two passes over memory."""

    def __init__(self, block: lite.DepthwiseSeparable, dtype: torch.dtype) -> None:
        super().__init__()
        self.conv_dw = FusedConv(block.conv_dw, block.bn1, "hardtanh", dtype)
        self.conv_pw = FusedConv(block.conv_pw, block.bn2, "none", dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out, H, W)."""
        return self.conv_pw(self.conv_dw(x))


class FusedInvertedResidual(nn.Module):
    """An `InvertedResidual` of three passes over memory, or four where SAME pads."""

    def __init__(self, block: lite.InvertedResidual, dtype: torch.dtype) -> None:
        super().__init__()
        self.adds = block.adds
        self.conv_pw = FusedConv(block.conv_pw, block.bn1, "hardtanh", dtype)
        self.conv_dw = FusedConv(block.conv_dw, block.bn2, "hardtanh", dtype)
        self.conv_pwl = FusedConv(block.conv_pwl, block.bn3, "none", dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W), overwritten if it is added -> (N, out, H/stride, W/stride)."""
        shortcut = x if self.adds else None
        return self.conv_pwl(self.conv_dw(self.conv_pw(x)), shortcut)


BLOCKS = {
    Bottleneck: FusedBottleneck,
    lite.DepthwiseSeparable: FusedDepthwiseSeparable,
    lite.InvertedResidual: FusedInvertedResidual,
}


def _fuse_sequence(layers: nn.Sequential, dtype: torch.dtype) -> None:
    """Fuse what follows each other; an `nn.Identity` keeps the place of each layer that is gone."""
    for i, layer in enumerate(layers):
        if type(layer) in BLOCKS:
            layers[i] = BLOCKS[type(layer)](layer, dtype)
        if not isinstance(layer, nn.Conv2d):
            continue
        pools = isinstance(_at(layers, i + 1), nn.MaxPool2d)
        norm, activation = _at(layers, i + 1 + pools), _at(layers, i + 2 + pools)
        # Maxima go through a scale that is not negative: max(s x + t) = s max(x) + t.
        if not isinstance(norm, nn.BatchNorm2d) or (pools and norm.weight.min() < 0):
            continue
        name = ACTIVATIONS.get(type(activation), "none")
        layers[i] = fused_conv(layer, norm, name, dtype)
        layers[i + 1 + pools] = nn.Identity()
        if name != "none":
            layers[i + 2 + pools] = nn.Identity()


def _at(layers: nn.Sequential, i: int) -> nn.Module | None:
    return layers[i] if i < len(layers) else None
