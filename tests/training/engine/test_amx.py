"""Layers made fast for a CPU with AMX: PyTorch's own values and gradients."""

import copy

import pytest
import torch
from torch import nn

from inference import processor
from inference.networks import build, initialise
from training.engine import amx


@pytest.fixture(autouse=True)
def has_amx(monkeypatch):
    monkeypatch.setattr(processor, "has_amx", lambda: True)


def values_and_gradients(network, images, precise):
    """Return the output and every gradient, that of the images last."""
    network.zero_grad()
    images = images.detach().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
        y = network(images)
    torch.manual_seed(1)
    (y.float() * torch.randn(y.shape)).sum().backward()
    return [y.detach(), *(p.grad.clone() for p in network.parameters()), images.grad]


@pytest.mark.parametrize(
    "side, padding", [((4, 4), 1), ((8, 8), 1), ((1, 3), 1), ((7, 5), 0), ((6, 5), (0, 1))]
)
def test_a_convolution_of_few_pixels_is_the_same_layer_but_for_rounding(side, padding):
    torch.manual_seed(0)
    plain = nn.Conv2d(128, 192, 3, padding=padding, bias=False)
    fast = copy.deepcopy(plain)
    fast.apply(amx.make_fast)
    assert isinstance(fast, amx.Conv2d)
    images = torch.randn(3, 128, *side).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        assert type(fast(images).grad_fn).__name__ == "_ConvolutionBackward"
    exact = values_and_gradients(plain, images, precise=True)
    slow = values_and_gradients(plain, images, precise=False)
    ours = values_and_gradients(fast, images, precise=False)
    for right, theirs, found in zip(exact, slow, ours, strict=True):
        assert found.dtype == theirs.dtype and found.shape == theirs.shape
        assert (found - right).norm() < 1.1 * (theirs - right).norm() + 1e-6 * right.norm()


def test_many_pixels_or_few_channels_are_left_to_pytorch():
    wide, narrow = nn.Conv2d(128, 128, 3, bias=False), nn.Conv2d(64, 128, 3, bias=False)
    same = nn.Conv2d(128, 128, 3, padding="same", bias=False)
    for layer in (wide, narrow, same):
        layer.apply(amx.make_fast)
    assert type(narrow) is type(same) is nn.Conv2d
    with torch.autocast("cpu", torch.bfloat16):
        y = wide(torch.randn(1, 128, 9, 9))
    assert type(y.grad_fn).__name__ != "_ConvolutionBackward"


def test_what_needs_no_gradient_gets_none():
    layer = nn.Conv2d(128, 128, 3, padding=1, bias=False)
    layer.apply(amx.make_fast)
    images = torch.randn(2, 128, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        layer(images).sum().backward()  # a gradient whose values are one value, expanded
    assert layer.weight.grad.isfinite().all() and layer.weight.grad.any()
    layer.requires_grad_(False)
    images.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        layer(images).sum().backward()
    assert images.grad.any()


@pytest.mark.parametrize("kind", [nn.ReLU, nn.ReLU6])
def test_activations_are_the_same_to_the_bit_and_leave_bf16s_input_alone(kind):
    plain, fast = kind(inplace=True), kind(inplace=True)
    fast.apply(amx.make_fast)
    for dtype in (torch.float32, torch.bfloat16):
        x = 5 * torch.randn(100, generator=torch.Generator().manual_seed(0)).to(dtype)
        given = x.clone()
        assert torch.equal(fast(given), plain(x.clone()))
        assert torch.equal(given, x) == (dtype is torch.bfloat16)


def test_a_network_keeps_its_keys_and_in_fp32_every_bit():
    torch.manual_seed(0)
    plain = initialise(build("convnet", 5))
    fast = copy.deepcopy(plain)
    fast.apply(amx.make_fast)
    assert sum(isinstance(m, amx.Conv2d) for m in fast.modules()) == 5
    assert list(fast.state_dict()) == list(plain.state_dict())
    images = torch.randn(4, 3, 32, 32)
    expected = values_and_gradients(plain, images, precise=True)
    for a, b in zip(values_and_gradients(fast, images, precise=True), expected, strict=True):
        assert torch.equal(a, b)


def test_without_amx_nothing_is_replaced(monkeypatch):
    monkeypatch.setattr(processor, "has_amx", lambda: False)
    network = build("convnet", 5)
    kinds = [type(m) for m in network.modules()]
    network.apply(amx.make_fast)
    assert [type(m) for m in network.modules()] == kinds
