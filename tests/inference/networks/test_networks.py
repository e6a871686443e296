"""Every entry of NETWORKS: shapes, gradients, features, odd sizes and stored outputs."""

import copy
import functools

import pytest
import torch
from torch import nn

from inference.networks import NETWORKS, build, load_into

CLASSES = 5
SEGMENTATION = (
    "vgg16_fcn32",
    "deeplabv3_resnet50",
    "lraspp_mobilenet_v3_large",
    "lraspp_efficientnet_lite0",
)
CASES = {  # name: (network, arguments, image size)
    "convnet": ("convnet", {}, 32),
    "report_cnn": ("report_cnn", {"divide": 8}, 64),
    "resnet50": ("resnet50", {}, 32),
    "resnet50 with head": ("resnet50", {"head": [24, 16]}, 32),
    "resnext101_64x4d": ("resnext101_64x4d", {}, 32),
    "vgg16_fcn32": ("vgg16_fcn32", {"width": 24}, 32),
    "vgg16_fcn32 transposed": ("vgg16_fcn32", {"transposed": True}, 32),
    "deeplabv3_resnet50": ("deeplabv3_resnet50", {}, 32),
    "deeplabv3_resnet50 with aux": ("deeplabv3_resnet50", {"aux": True}, 32),
    "lraspp_mobilenet_v3_large": ("lraspp_mobilenet_v3_large", {}, 32),
    "efficientnet_lite0": ("efficientnet_lite0", {}, 32),
    "efficientnet_lite1": ("efficientnet_lite1", {}, 48),
    "efficientnet_lite2": ("efficientnet_lite2", {}, 33),
    "lraspp_efficientnet_lite0": ("lraspp_efficientnet_lite0", {}, 32),
}
CLASSIFIERS = [case for case, (name, _, _) in CASES.items() if name not in SEGMENTATION]
# Mean of |logits|, and the same weighted by a ramp from 0 to 1 over them, of `filled` networks.
GOLDEN = {
    "convnet": (0.012141525, 0.0059362125),
    "report_cnn": (0.160657, 0.0694284),
    "resnet50": (0.258877, 0.124196),
    "resnet50 with head": (0.118718, 0.0525185),
    "resnext101_64x4d": (0.358757, 0.190232),
    "vgg16_fcn32": (0.382927, 0.186365),
    "vgg16_fcn32 transposed": (0.15374, 0.0716801),
    "deeplabv3_resnet50": (0.153889, 0.0629323),
    "deeplabv3_resnet50 with aux": (0.153889, 0.0629323),
    "lraspp_mobilenet_v3_large": (0.0966393, 0.0487368),
    "efficientnet_lite0": (0.148069, 0.0699478),
    "efficientnet_lite1": (0.185447, 0.0978079),
    "efficientnet_lite2": (0.15984, 0.0832992),
    "lraspp_efficientnet_lite0": (0.10504, 0.0460605),
}


@functools.cache
def network(case):
    """The case's network with its weights from a closed form, so that no seed matters."""
    name, arguments, _ = CASES[case]
    with torch.device("meta"):  # no random numbers to draw first
        shapes = build(name, CLASSES, **arguments).state_dict()
    return load_into(name, CLASSES, arguments, filled(shapes))


def filled(shapes):
    """Each weight a sine of its index, of He's variance; BN's scale .4 .. .6, its shift small."""
    index = torch.arange(65537, dtype=torch.float64)
    period = torch.sin(index * 0.7311 + index * index * 1e-3).float()
    state = {}
    for number, (key, shape) in enumerate(shapes.items()):
        count = shape.numel()
        wave = period.roll(number).repeat(count // len(period) + 1)[:count].reshape(shape.shape)
        if shape.dim() > 1:
            state[key] = wave * (4 / shape[0].numel()) ** 0.5
        elif key.endswith("running_var"):
            state[key] = 1 + 0.1 * wave
        elif key.endswith("weight"):
            state[key] = 0.5 + 0.1 * wave
        elif shape.is_floating_point():
            state[key] = 0.1 * wave
        else:
            state[key] = torch.zeros((), dtype=shape.dtype)
    return state


def pictures(count, height, width=None):
    """Smooth images of about unit variance, (count, 3, height, width)."""
    width = width or height
    index = torch.arange(count * 3 * height * width, dtype=torch.float64)
    waves = torch.sin(index * 0.37) + torch.sin(index * 0.0011 + 1)
    return waves.reshape(count, 3, height, width).float()


def as_dict(result):
    return result if isinstance(result, dict) else {"out": result}


def test_every_network_has_a_case():
    assert {name for name, _, _ in CASES.values()} == set(NETWORKS)


@pytest.mark.parametrize("case", CASES)
def test_shape_and_finite_values(case):
    size = CASES[case][2]
    with torch.no_grad():
        result = network(case)(pictures(2, size))
    wanted = (2, CLASSES) if case in CLASSIFIERS else (2, CLASSES, size, size)
    if case not in CLASSIFIERS:
        assert set(result) == ({"out", "aux"} if "aux" in case else {"out"})
    for logits in as_dict(result).values():
        assert logits.shape == wanted
        assert logits.isfinite().all()


@pytest.mark.parametrize("case", CASES)
def test_one_image_gives_what_it_gives_in_a_batch(case):
    images = pictures(3, CASES[case][2])
    with torch.no_grad():
        alone, together = (as_dict(network(case)(x))["out"] for x in (images[1:2], images))
    torch.testing.assert_close(alone[0], together[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_every_parameter_gets_a_gradient(case):
    size = CASES[case][2]
    trained = copy.deepcopy(network(case)).train()
    result = as_dict(trained(torch.randn(2, 3, size, size)))
    sum(logits.square().sum() for logits in result.values()).backward()
    for key, parameter in trained.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_features_are_the_input_of_the_last_linear_layer(case):
    last = [layer for layer in network(case).modules() if isinstance(layer, nn.Linear)][-1]
    seen = []
    handle = last.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    images = pictures(2, CASES[case][2])
    with torch.no_grad():
        logits = network(case)(images)
        features = network(case).features(images)
    handle.remove()
    assert torch.equal(features, seen[0]) and len(seen) == 1
    scale = getattr(network(case), "scale", 1)
    assert torch.equal(logits, scale * last(features))


@pytest.mark.parametrize("case", CASES)
def test_stored_outputs(case):
    size = CASES[case][2]
    with torch.no_grad():
        logits = as_dict(network(case)(pictures(2, size)))["out"].double().abs().flatten()
    ramp = torch.linspace(0, 1, logits.numel(), dtype=torch.float64)
    assert (logits.mean().item(), (logits * ramp).mean().item()) == pytest.approx(
        GOLDEN[case], rel=1e-4
    )


@pytest.mark.parametrize("name", SEGMENTATION)
@pytest.mark.parametrize("height, width", [(33, 47), (32, 65)])
def test_segmentation_answers_at_the_images_own_size(name, height, width):
    with torch.no_grad():
        logits = network(name)(pictures(1, height, width))["out"]
    assert logits.shape == (1, CLASSES, height, width)


@pytest.mark.parametrize("case", ["vgg16_fcn32", "vgg16_fcn32 transposed"])
def test_fcn32_padding_leaves_pixels_in_place(case):
    whole = pictures(1, 64)
    whole[..., 40:, :] = 0  # what padding would put there
    with torch.no_grad():
        cropped = network(case)(whole[..., :40, :])["out"]
        assert torch.equal(cropped, network(case)(whole)["out"][..., :40, :])


def test_fcn32_has_the_papers_head_and_bilinear_enlargement():
    with torch.device("meta"):
        layers = [m for m in build("vgg16_fcn32", 7).modules() if isinstance(m, nn.Conv2d)]
    assert [layer.weight.shape for layer in layers[-3:]] == [
        (4096, 512, 7, 7),
        (4096, 4096, 1, 1),
        (7, 4096, 1, 1),
    ]
    images = pictures(1, 96)
    with torch.no_grad():
        logits = network("vgg16_fcn32")(images)["out"]
    assert logits.isfinite().all() and logits.std() > 0
    # Linear between the centres of the coarse pixels, 16 and 48, along a row and down a column.
    for line in (logits[0, 0, 30, 16:48], logits[0, 0, 16:48, 50]):
        assert line.diff().diff().abs().max() < 1e-5


def test_fcn32_reports_decoder_has_the_reports_channels():
    with torch.device("meta"):
        report = build("vgg16_fcn32", 7, transposed=True)
    steps = [layer for layer in report.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.out_channels for layer in steps] == [512, 256, 128, 64, 32]
    assert all(layer.kernel_size == (3, 3) and layer.stride == (2, 2) for layer in steps)
    kinds = [type(layer) for layer in report.decoder]
    assert kinds == [nn.ConvTranspose2d, nn.BatchNorm2d] * 5


@pytest.mark.parametrize("height, width", [(8, 8), (9, 31), (64, 64)])
def test_convnet_takes_any_size_from_8(height, width):
    with torch.no_grad():
        assert network("convnet")(pictures(2, height, width)).shape == (2, CLASSES)


def test_convnet_is_small_enough_to_bundle_and_takes_other_shapes():
    sizes = [parameter.numel() for parameter in build("convnet", 50).parameters()]
    assert sum(sizes) <= 6.5e6
    other = build("convnet", 4, widths=[8, 16, 24], depths=[0, 1], dropout=0.3).eval()
    assert other(torch.randn(1, 3, 32, 32)).shape == (1, 4)
    assert other.features(torch.randn(1, 3, 32, 32)).shape == (1, 24)


def test_report_cnn_has_the_reports_widths():
    with torch.device("meta"):
        report = build("report_cnn", 50)
    convolutions = [layer for layer in report.modules() if isinstance(layer, nn.Conv2d)]
    linear = [layer for layer in report.modules() if isinstance(layer, nn.Linear)]
    assert [layer.out_channels for layer in convolutions] == [512, 1024, 512, 256, 128]
    assert [layer.weight.shape for layer in linear] == [(128, 512), (50, 128)]


def test_resnet_pooled_is_the_mean_of_the_last_stage():
    images = pictures(2, 64)
    with torch.no_grad():
        third, last = network("resnet50").stages(images)
        pooled = network("resnet50 with head").pooled(images)
    assert third.shape == (2, 1024, 4, 4) and last.shape == (2, 2048, 2, 2)
    torch.testing.assert_close(pooled, last.mean(dim=(2, 3)))
