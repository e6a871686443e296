"""1x1 convolutions with one thread: computed by oneDNN, with the same results."""

import copy

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from training.engine import pointwise


@pytest.fixture
def pair():
    """Return a 1x1 convolution, and a copy of it that is made fast."""
    torch.manual_seed(0)
    plain = nn.Conv2d(16, 24, 1).to(memory_format=torch.channels_last)
    fast = copy.deepcopy(plain)
    fast.apply(pointwise.make_fast)
    return plain, fast


def test_it_computes_what_it_computed(pair):
    x = torch.randn(4, 16, 9, 7).to(memory_format=torch.channels_last)
    inputs = [x.clone().requires_grad_() for _ in pair]
    ys = [layer(x) for layer, x in zip(pair, inputs, strict=True)]
    gradient = torch.randn_like(ys[0])
    for y in ys:
        y.backward(gradient)
    plain, fast = pair
    for one, other in (
        ys,
        [x.grad for x in inputs],
        (plain.weight.grad, fast.weight.grad),
        (plain.bias.grad, fast.bias.grad),
    ):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)
    assert plain.state_dict().keys() == fast.state_dict().keys()


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="no oneDNN in this torch")
def test_one_thread_computes_it_by_onednn(pair):
    assert torch.get_num_threads() == 1  # as in all tests
    with profile(activities=[ProfilerActivity.CPU]) as found:
        pair[1](torch.randn(4, 16, 8, 8))
    assert "aten::mkldnn_convolution" in {event.name for event in found.events()}


def test_other_convolutions_stay_as_they_are():
    for layer in (nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1, padding=1)):
        layer.apply(pointwise.make_fast)
        assert layer.dilation == (1, 1)
