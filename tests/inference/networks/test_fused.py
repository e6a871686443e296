"""Fused networks give what they gave before; where they cannot be fused they stay as they are."""

import copy

import pytest
import torch
from torch import nn

from inference.networks import build, fused
from inference.networks.fused import FusedConv, fuse, is_available, keep_last_layers_exact
from tests.inference.networks.test_networks import CASES, network

FP32, BF16 = torch.float32, torch.bfloat16
needs_fp32 = pytest.mark.skipif(not is_available(FP32), reason="no fused convolutions here")
needs_bf16 = pytest.mark.skipif(not is_available(BF16), reason="no fused bf16 convolutions here")


def images(count, size, height=None):
    shape = (count, 3, height or size, size)
    values = torch.sin(torch.arange(3 * count * shape[2] * size) * 0.37)
    return values.reshape(shape).contiguous(memory_format=torch.channels_last)


def logits(module, batch):
    with torch.no_grad():
        out = module(batch)
    return (out["out"] if isinstance(out, dict) else out).float()


def difference(found, expected):
    """The largest difference, as a part of the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())


@needs_fp32
@pytest.mark.parametrize("case", CASES)
def test_every_network_keeps_its_logits_and_labels(case):
    plain = network(case)
    quick = fuse(copy.deepcopy(plain), FP32)
    assert any(isinstance(module, FusedConv) for module in quick.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quick.modules()) or (
        case == "vgg16_fcn32 transposed"  # whose transposed convolutions keep theirs
    )
    size = CASES[case][-1]
    for count in (2, 3, 2):  # weights are reordered for each shape
        batch = images(count, size)
        found, expected = logits(quick, batch), logits(plain, batch)
        assert difference(found, expected) < 1e-5
        assert torch.equal(found.argmax(1), expected.argmax(1))


@needs_fp32
@pytest.mark.parametrize("name", ["convnet", "resnet50"])
def test_a_network_may_be_fused_again(name):
    quick = fuse(copy.deepcopy(network(name)), FP32)
    batch = images(2, 64)
    expected = logits(quick, batch)
    assert torch.equal(logits(fuse(quick, FP32), batch), expected)


@needs_fp32
def test_images_of_another_size_and_memory_format():
    plain = network("lraspp_mobilenet_v3_large")
    quick = fuse(copy.deepcopy(plain), FP32)
    for batch in (images(1, 64), images(1, 40, 72), images(2, 64).contiguous()):
        assert difference(logits(quick, batch), logits(plain, batch)) < 1e-5


@needs_fp32
@pytest.mark.parametrize("scale", [0.7, 0.0, -0.7])
def test_pooling_between_convolution_and_norm(scale):
    """A maximum goes through a scale that is not negative; one that is negative stays behind it."""
    plain = build("convnet", 5, widths=[4, 8, 8, 8], depths=[1, 0, 1]).eval()
    for i, norm in enumerate(m for m in plain.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.constant_(norm.running_mean, 0.1 * i)
        nn.init.constant_(norm.bias, 0.3)
        norm.weight.data[0] = scale
    quick = fuse(copy.deepcopy(plain), FP32)
    assert difference(logits(quick, images(4, 32)), logits(plain, images(4, 32))) < 1e-5
    left = sum(isinstance(module, nn.BatchNorm2d) for module in quick.modules())
    assert left == (3 if scale < 0 else 0)  # one in each stage, after its pooling


@needs_fp32
def test_the_images_are_not_overwritten():
    quick = fuse(copy.deepcopy(network("resnet50")), FP32)
    batch = images(2, 32)
    logits(quick, batch)
    assert torch.equal(batch, images(2, 32))


@needs_bf16
def test_bf16_is_nearer_to_fp32_than_a_plain_cast():
    plain, batch = network("resnet50"), images(8, 32)
    expected = logits(plain, batch)
    cast = logits(copy.deepcopy(plain).to(BF16), batch.to(BF16))
    quick = fuse(copy.deepcopy(plain), BF16).to(BF16)
    keep_last_layers_exact(quick)
    assert difference(logits(quick, batch.to(BF16)), expected) < difference(cast, expected) < 0.1


@pytest.mark.parametrize("case", ["convnet", "resnet50 with head", "deeplabv3_resnet50"])
def test_the_last_layers_stay_exact(case):
    rounded = copy.deepcopy(network(case)).to(BF16)
    keep_last_layers_exact(rounded)
    with torch.no_grad():
        out = rounded(images(2, CASES[case][-1]).to(BF16))
    assert (out["out"] if isinstance(out, dict) else out).dtype == FP32
    assert rounded.state_dict()[next(iter(rounded.state_dict()))].dtype == BF16


@pytest.mark.parametrize("trouble", [AttributeError, RuntimeError, TypeError, "wrong"])
def test_without_such_convolutions_a_network_stays_as_it_is(monkeypatch, trouble):
    def forward(_, x, shortcut=None):
        if trouble == "wrong":
            return x + 1
        raise trouble("the interface has changed")

    monkeypatch.setattr(fused.FusedConv, "forward", forward)
    plain = network("convnet")
    same = fuse(copy.deepcopy(plain), FP32)
    assert same.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(logits(same, images(2, 32)), logits(plain, images(2, 32)))
