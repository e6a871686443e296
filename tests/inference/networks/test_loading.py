"""Building by name, loading stored weights, starting weights, and what each refuses."""

import math

import pytest
import torch
from torch import nn

from inference import UserError
from inference.networks import build, initialise, load_into
from tests.inference.networks.test_networks import SEGMENTATION

SMALL = {"widths": [8, 8, 16], "depths": [1, 0]}


@pytest.mark.parametrize(
    "name, classes, arguments, words",
    [
        ("resnet5", 50, {}, "no network 'resnet5'; there are: convnet, "),
        (
            "convnet",
            50,
            {"wdths": [8]},
            "no argument 'wdths'; it takes: widths, depths, blocks, dropout",
        ),
        ("lraspp_mobilenet_v3_large", 7, {"aux": True}, "it takes: no arguments"),
        ("vgg16_fcn32", 7, {"aux": True}, "no argument 'aux'; it takes: width, transposed"),
        ("convnet", 50, {"widths": [8, 16], "depths": [1, 1]}, "widths"),
        ("convnet", 50, {"widths": [8, 0], "depths": [1]}, "widths"),
        ("convnet", 50, {"widths": "wide", "depths": "abc"}, "widths='wide'"),
        ("convnet", 50, {"dropout": 2}, "dropout"),
        ("resnet50", 50, {"head": 256}, "head=256"),
        ("report_cnn", 50, {"divide": 0}, "divide is 1..128"),
        ("convnet", 50, {"name": "x", "classes": 3}, "no argument 'name'; it takes: widths"),
        ("convnet", 0, {}, "classes is 0"),
        ("convnet", "50", {}, "classes is '50'"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(name, classes, arguments, words):
    with pytest.raises(UserError) as caught:
        build(name, classes, **arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_stored_weights_load_as_fp32_in_eval_mode(dtype):
    stored = build("convnet", 6, **SMALL).eval()
    images = torch.randn(2, 3, 16, 16)
    stored.to(dtype).float()
    state = {
        key: value.to(dtype) if value.is_floating_point() else value
        for key, value in stored.state_dict().items()
    }
    loaded = load_into("convnet", 6, SMALL, state)
    assert not any(module.training for module in loaded.modules())
    for tensor in [*loaded.parameters(), *loaded.buffers()]:
        assert tensor.device.type == "cpu"
        assert tensor.dtype in (torch.float32, torch.int64)
    with torch.no_grad():
        assert torch.equal(loaded(images), stored(images))


def test_loaded_weights_can_be_trained_further():
    loaded = load_into("convnet", 6, SMALL, build("convnet", 6, **SMALL).state_dict())
    loaded.train()(torch.randn(2, 3, 16, 16)).sum().backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())


def test_weights_that_do_not_fit_are_named_in_one_line():
    state = build("convnet", 6, **SMALL).state_dict()
    state["head.weight"] = state["head.bias"] = state.pop("fc.bias")
    state["fc.weight"] = torch.zeros(5, 16)
    with pytest.raises(UserError) as caught:
        load_into("convnet", 6, SMALL, state)
    message = str(caught.value)
    assert "1 missing (fc.bias)" in message
    assert "2 unexpected (head.weight)" in message
    assert "1 of another shape (fc.weight (5, 16), not (6, 16))" in message
    assert "\n" not in message


def test_initialise_gives_standard_starting_weights():
    network = build("resnet50", 65, head=[256, 128])
    for parameter in network.parameters():
        parameter.data.fill_(7)
    assert initialise(network) is network
    convolution = network.layer3[1].conv2.weight
    assert convolution.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)
    assert network.fc[0].weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert (network.bn1.weight == 1).all() and (network.bn1.bias == 0).all()
    assert (network.fc[0].bias == 0).all()
    assert not any((parameter == 7).any() for parameter in network.parameters())


@pytest.mark.parametrize("name", SEGMENTATION)
def test_a_segmenter_starts_undecided(name):
    torch.manual_seed(0)
    network = initialise(build(name, 7), zero_residual=True).train()
    with torch.no_grad():
        logits = network(torch.randn(2, 3, 64, 64))["out"]
    loss = nn.functional.cross_entropy(logits, torch.randint(7, (2, 64, 64)))
    assert loss == pytest.approx(math.log(7), rel=0.1)


@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", "lraspp_efficientnet_lite0"])
def test_the_statistics_of_a_mobile_network_arrive_within_a_hundred_steps(name):
    torch.manual_seed(0)
    network = initialise(build(name, 7)).train()
    images = torch.randn(4, 3, 96, 96)
    with torch.no_grad():
        for _ in range(100):
            trained = network(images)["out"]
        off = (network.eval()(images)["out"] - trained).abs().mean()
    assert off < 0.3 * trained.std()


def test_zero_residual_makes_every_block_start_as_its_shortcut():
    network = initialise(build("resnet50", 5), zero_residual=True).eval()
    x = torch.rand(1, 256, 4, 4)
    with torch.no_grad():
        assert torch.equal(network.layer1[1](x), x)
