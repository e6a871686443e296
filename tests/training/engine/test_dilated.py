"""Dilated convolutions that train tap by tap: PyTorch's own values and gradients."""

import copy

import pytest
import torch
from torch import nn

from inference import processor
from inference.networks import build, initialise
from training.engine import dilated


@pytest.fixture(autouse=True)
def amx(monkeypatch):
    monkeypatch.setattr(processor, "has_amx", lambda: True)


@pytest.mark.parametrize("dilation, padding", [(12, 12), (8, 8), (8, 3), (36, 36)])
@pytest.mark.parametrize("side", [(20, 23), (33, 40)])
def test_the_gradients_are_pytorchs(dilation, padding, side):
    torch.manual_seed(0)
    x = torch.randn(2, 6, *side, dtype=torch.float64)
    weight = torch.randn(5, 6, 3, 3, dtype=torch.float64, requires_grad=True)
    x.requires_grad_()
    y = nn.functional.conv2d(x, weight, None, 1, padding, dilation)
    gradient = torch.randn_like(y)
    y.backward(gradient)
    numbers = (padding, padding), (dilation, dilation)
    # The sums are fp32 whatever comes in.
    found = dilated.input_gradient(gradient, weight.detach(), *numbers)
    torch.testing.assert_close(found, x.grad, rtol=1e-5, atol=1e-5)
    found = dilated.weight_gradient(gradient, x.detach(), *numbers)
    torch.testing.assert_close(found, weight.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("bias", [False, True])
def test_under_autocast_it_is_the_same_layer_but_for_rounding(bias):
    torch.manual_seed(0)
    plain = nn.Conv2d(256, 16, 3, padding=12, dilation=12, bias=bias)
    fast = copy.deepcopy(plain)
    fast.apply(dilated.make_fast)
    assert isinstance(fast, dilated.DilatedConv2d)
    x = torch.randn(2, 256, 40, 40)
    found = []
    for layer, precise in ((plain, True), (plain, False), (fast, False)):
        layer.zero_grad()
        x = x.detach().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            y = layer(x)
        y.float().square().mean().backward()
        found.append([y.detach(), x.grad, *(p.grad.clone() for p in layer.parameters())])
    for exact, slow, ours in zip(*found, strict=True):
        assert ours.dtype == slow.dtype
        scale = exact.abs().max()
        assert (ours - exact).abs().max() < max(2 * (slow - exact).abs().max(), 0.03 * scale)


def test_in_fp32_not_a_bit_differs():
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 8, 3, padding=12, dilation=12)
    fast = copy.deepcopy(plain)
    fast.apply(dilated.make_fast)
    x = torch.randn(2, 8, 30, 30)
    assert torch.equal(fast(x), plain(x))


def test_of_deeplab_three_layers_are_fast_and_train_on():
    torch.manual_seed(0)
    network = initialise(build("deeplabv3_resnet50", 3))
    keys = list(network.state_dict())
    network.apply(dilated.make_fast)
    assert sum(isinstance(m, dilated.DilatedConv2d) for m in network.modules()) == 3
    assert list(network.state_dict()) == keys
    with torch.autocast("cpu", torch.bfloat16):
        loss = network(torch.randn(2, 3, 64, 64))["out"].float().square().mean()
    loss.backward()
    for layer in network.modules():
        if isinstance(layer, dilated.DilatedConv2d):
            assert layer.weight.grad.abs().sum() > 0
