"""Gradients of depthwise convolutions: those of PyTorch's own, whatever the layer's numbers."""

import copy

import pytest
import torch
from torch import nn

from inference.networks import build, initialise
from inference.networks.efficientnet_lite import SameConv2d
from training.engine import depthwise


def gradients(layer, x):
    x = x.clone().requires_grad_()
    generator = torch.Generator().manual_seed(1)
    y = layer(x)
    y.backward(torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.dtype))
    return y.detach(), x.grad, layer.weight.grad


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding"),
    [
        (3, 2, 1, 1),
        (3, 3, 1, 0),
        (3, 1, 2, 2),
        (3, 1, 3, 1),
        (5, 1, 1, 2),
        (5, 2, 1, 2),
        (5, 1, 2, 4),
        (5, 1, 3, 0),
    ],
)
@pytest.mark.parametrize("side", [(15, 16), (18, 17)])
def test_the_gradients_are_pytorchs(kernel, stride, dilation, padding, side):
    torch.manual_seed(0)
    x = torch.randn(2, 6, *side, dtype=torch.float64)
    plain = nn.Conv2d(6, 6, kernel, stride, padding, dilation, 6, bias=False).double()
    fast = copy.deepcopy(plain)
    fast.apply(depthwise.make_fast)
    assert isinstance(fast, depthwise.DepthwiseConv2d)
    for ours, theirs in zip(gradients(fast, x), gradients(plain, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [(15, 16), (18, 17), (8, 8), (2, 3)])
def test_the_gradients_of_same_padding_are_pytorchs(kernel, side):
    torch.manual_seed(0)
    x = torch.randn(2, 6, *side, dtype=torch.float64)
    plain = SameConv2d(6, 6, kernel, groups=6).double()
    fast = copy.deepcopy(plain)
    fast.apply(depthwise.make_fast)
    assert isinstance(fast, depthwise.DepthwiseSameConv2d)
    for ours, theirs in zip(gradients(fast, x), gradients(plain, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("lraspp_mobilenet_v3_large", 8),
        ("efficientnet_lite0", 11),
        ("lraspp_efficientnet_lite0", 12),
    ],
)
def test_a_network_learns_as_before(name, layers):
    torch.manual_seed(0)
    arguments = {"dropout": 0} if name == "efficientnet_lite0" else {}
    plain = initialise(build(name, 3, **arguments)).double()
    fast = copy.deepcopy(plain)
    fast.apply(depthwise.make_fast)
    kinds = tuple(depthwise.FAST.values())
    assert sum(isinstance(m, kinds) for m in fast.modules()) == layers
    assert list(fast.state_dict()) == list(plain.state_dict())
    images = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    for network in (plain, fast):
        result = network(images)
        logits = result["out"] if isinstance(result, dict) else result
        logits.square().sum().backward()
    for (name, one), other in zip(plain.named_parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-6, atol=1e-9, msg=name)


def test_in_bf16_the_weights_gradient_has_the_weights_type():
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, 5, 1, 2, groups=8, bias=False)
    layer.apply(depthwise.make_fast)
    x = torch.randn(2, 8, 9, 9, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert (x.grad.dtype, layer.weight.grad.dtype) == (torch.float32, torch.float32)


def test_strided_layers_in_fp32_are_pytorchs():
    torch.manual_seed(0)
    plain = SameConv2d(8, 8, 3, groups=8)
    fast = copy.deepcopy(plain)
    fast.apply(depthwise.make_fast)
    x = torch.randn(2, 8, 10, 9)
    for ours, theirs in zip(gradients(fast, x), gradients(plain, x), strict=True):
        assert torch.equal(ours, theirs)
