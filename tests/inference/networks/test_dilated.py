"""Far dilation tap by tap: the answers of the plain convolution, and only where that is slow."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from inference import processor
from inference.networks import build, fused, initialise
from inference.networks.dilated import DilatedConv2d, by_tap, is_slow, sum_of_taps
from inference.networks.fused import FusedConv, FusedDilatedConv, fused_conv
from inference.runner import Runner

BF16 = torch.bfloat16
CPU = torch.device("cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
needs_fused = pytest.mark.skipif(not fused.is_available(BF16), reason="no fused convolutions here")


@pytest.fixture
def amx(monkeypatch):
    monkeypatch.setattr(processor, "has_amx", lambda: True)


@pytest.fixture
def no_amx(monkeypatch):
    monkeypatch.setattr(processor, "has_amx", lambda: False)


def layer(channels=64, out=32, kernel=3, **numbers):
    torch.manual_seed(0)
    numbers = {"padding": 12, "dilation": 12, "bias": False, **numbers}
    conv = nn.Conv2d(channels, out, kernel, **numbers)
    return conv


def pixels(*shape):
    torch.manual_seed(1)
    return torch.randn(*shape).to(memory_format=torch.channels_last)


def difference(found, expected):
    """The largest one, of values above 1 as a part of them: bf16 has 8 bits."""
    return float(((found.float() - expected).abs() / expected.abs().clamp(min=1)).max())


@pytest.mark.parametrize("size", [(33, 40), (64, 64), (12, 12), (7, 30), (1, 1), (3, 100)])
@pytest.mark.parametrize(
    "dilation, padding", [((12, 12), (12, 12)), ((8, 8), (8, 8)), ((12, 12), (12, 30))]
)
def test_the_sum_of_taps_is_the_convolution(size, dilation, padding):
    """In fp32 to the last digits, whether all taps see something or the middle one alone."""
    conv, x = layer(dilation=dilation, padding=padding), pixels(2, 64, *size)
    with torch.no_grad():
        expected = conv(x)
        found = sum_of_taps(x, by_tap(conv.weight), padding, dilation)
    assert found.shape == expected.shape and found.is_contiguous(memory_format=torch.channels_last)
    assert difference(found, expected) < 1e-5


def test_padding_that_is_less_than_the_reach():
    conv, x = layer(padding=3), pixels(1, 64, 30, 29)
    with torch.no_grad():
        found = sum_of_taps(x, by_tap(conv.weight), conv.padding, conv.dilation)
        assert difference(found, conv(x)) < 1e-5
    with pytest.raises(ValueError, match="larger"):
        sum_of_taps(x[:, :, :18], by_tap(conv.weight), conv.padding, conv.dilation)


@needs_fused
@pytest.mark.parametrize(
    "activation, shortcut",
    [("relu", False), ("hardswish", False), ("none", False), ("relu", True)],
)
@pytest.mark.parametrize("dilation", [12, 24, 36])
def test_fused_it_differs_by_rounding_alone(amx, activation, dilation, shortcut):
    conv = layer(512, 64, padding=dilation, dilation=dilation, bias=True)
    norm = nn.BatchNorm2d(64).eval()
    nn.init.uniform_(norm.running_mean, -1, 1)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.uniform_(norm.bias, -1, 1)
    x = pixels(1, 512, 64, 64)
    added = pixels(1, 64, 64, 64) if shortcut else None
    with torch.no_grad():
        expected = norm(conv(x)) + (0 if added is None else added)
        expected = {"relu": torch.relu, "hardswish": nn.Hardswish(), "none": nn.Identity()}[
            activation
        ](expected)
        quick = fused_conv(conv, norm, activation, BF16)
        assert type(quick) is FusedDilatedConv
        slow = FusedConv(conv, norm, activation, BF16)
        rounded = x.to(BF16), None if added is None else added.to(BF16)
        found = quick(*rounded)
        other = slow(rounded[0], None if added is None else rounded[1].clone())
    assert found.dtype == BF16
    assert difference(found, expected) < 0.03
    assert difference(found, other.float()) < 0.03


def deeplab():
    """A small DeepLabV3 with weights as after training: every map about as large as the next."""
    torch.manual_seed(0)
    network = initialise(build("deeplabv3_resnet50", 7)).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    nn.init.normal_(network.classifier[-1].weight, 0, 1)
    with torch.no_grad():
        network((smooth(2, 128) - 0.45) / 0.225)
    return network.eval()


def smooth(count, side):
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    return nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


@needs_fused
@pytest.mark.parametrize("fusing", [True, False])
def test_a_networks_masks_stay_as_they_are(monkeypatch, fusing):
    """Where this PyTorch fuses nothing, too."""
    if not fusing:
        monkeypatch.setattr(fused, "is_available", lambda dtype: False)
    plain = deeplab()
    images = (smooth(2, 128).permute(0, 2, 3, 1) * 255).numpy().astype(np.uint8)
    masks = {}
    for fast in (False, True):
        monkeypatch.setattr(processor, "has_amx", lambda fast=fast: fast)
        runner = Runner(copy.deepcopy(plain), MEAN, STD, CPU, "bf16")
        kind = FusedDilatedConv if fusing else DilatedConv2d
        count = sum(isinstance(module, kind) for module in runner.network.modules())
        assert count == (3 if fast else 0)
        masks[fast] = runner(images)
    assert len(masks[False].unique()) > 2
    assert (masks[True] == masks[False]).float().mean() > 0.995


@pytest.mark.parametrize(
    "numbers",
    [
        {"dilation": 1, "padding": 1},
        {"dilation": 4, "padding": 4},  # fast as it is
        {"kernel": 5},
        {"kernel": 1, "padding": 0},
        {"kernel": (3, 1)},
        {"stride": 2},
        {"groups": 2},
        {"groups": 32},
        {"padding": "same"},
        {"padding_mode": "reflect"},
        {"dilation": (12, 8)},
    ],
)
def test_other_layers_are_left_alone(amx, numbers):
    assert is_slow(layer(), BF16) and not is_slow(layer(**numbers), BF16)


def test_other_types_and_processors_are_left_alone(no_amx, monkeypatch):
    assert not is_slow(layer(), BF16)
    monkeypatch.setattr(processor, "has_amx", lambda: True)
    for dtype in (torch.float32, torch.float16):
        assert not is_slow(layer(), dtype)
    assert not is_slow(nn.ConvTranspose2d(8, 8, 3, dilation=12, padding=12), BF16)
    assert not is_slow(layer().to("meta"), BF16)
    runner = Runner(nn.Sequential(layer(3, 8)), MEAN, STD, CPU, "fp32")
    assert type(runner.network[0]) is nn.Conv2d
