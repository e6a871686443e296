"""What a drawing says of a network, and that it stays within its edges."""

import re

import pytest

from inference.networks import build
from training.report import drawing
from training.report.html import environment
from training.report.trace import take_apart

CASES = [
    ("convnet", 50, {}, 32),
    ("report_cnn", 50, {}, 64),
    ("resnext101_64x4d", 50, {}, 128),
    ("resnet50", 65, {"head": [512]}, 128),
    ("vgg16_fcn32", 7, {}, 512),
    ("vgg16_fcn32", 7, {"transposed": True}, 512),
    ("deeplabv3_resnet50", 7, {"aux": True}, 512),
    ("lraspp_mobilenet_v3_large", 7, {}, 512),
    ("efficientnet_lite0", 50, {}, 128),
    ("lraspp_efficientnet_lite0", 7, {}, 512),
]


def svgs(network):
    """Return a network's drawings, as the page has them."""
    template = environment().get_template("network.svg.j2").module
    return template.network(drawing.draw(network, "classes"), "title").split("<svg")[1:]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, [case[0], *case[2]])))
def test_boxes_and_words_stay_inside_and_apart(case):
    network = take_apart(*case)
    for svg in svgs(network):
        width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
        main = svg.split("<g ")[0]
        boxes = [
            tuple(map(float, box))
            for box in re.findall(
                r'<rect [^>]*x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', main
            )
        ]
        assert len(boxes) == len(network.boxes) + 2
        for x, y, w, h in boxes:
            assert 0 <= x and x + w <= width and 0 <= y and y + h <= height
        for i, (x, y, w, h) in enumerate(boxes):
            for a, b, c, d in boxes[:i]:
                assert x >= a + c or a >= x + w or y >= b + d or b >= y + h
        longest = max(len(line) for line in re.findall(r"<tspan[^>]*>([^<]*)<", main))
        assert longest <= {1040: 27, 340: 43}[width]


def test_efficientnet_lite_is_drawn_by_its_blocks():
    network = take_apart("efficientnet_lite0", 50, {}, 128)
    lines = [line for box in network.boxes for line in box.text()]
    assert lines[0] == "3×3 conv, 32, stride 2 · BN · ReLU6"
    assert "inverted residual: 1×1 conv, 96 · 3×3 depthwise, 96 · 1×1 conv, 24" in "".join(lines)
    assert network.boxes[-2].text() == ["global average · dropout 0.2"]
    assert network.boxes[-2].out == (1280,) and network.boxes[-1].given == (1280,)
    assert len(network.boxes) < 20


def test_the_report_s_network_in_words_and_shapes():
    network = take_apart("report_cnn", 50, {}, 64)
    assert [box.out for box in network.boxes] == [
        (512, 32, 32), (1024, 16, 16), (512, 8, 8), (256, 4, 4), (128, 2, 2), (128,), (50,)
    ]  # fmt: skip
    assert network.boxes[0].text() == ["3×3 conv, 512 · BN · ReLU", "max-pool 2×2"]
    assert network.boxes[-2].text() == ["linear, 128 · ReLU"]
    assert network.parameters == sum(p.numel() for p in build("report_cnn", 50).parameters())
    assert network.deepest == (128, 2, 2)


def test_repeated_blocks_are_counted_and_their_strides_and_rates_named():
    network = take_apart("deeplabv3_resnet50", 7, {"aux": True}, 512)
    stages = [box.text() for box in network.boxes if box.kind == "residual"]
    assert [text[0].split(" ×")[0] for text in stages] == ["3", "4", "6", "3"]
    assert stages[0] == ["3 × bottleneck: 1×1 conv, 64 · 3×3 conv, 64 · 1×1 conv, 256"]
    assert stages[1][1:] == ["the first: stride 2"] and stages[2][1:] == ["the others: rate 2"]
    assert stages[3][1:] == ["the first: rate 2", "the others: rate 4"]
    aspp = next(box for box in network.boxes if box.kind == "context").text()
    assert [f"rate {rate}" in " ".join(aspp) for rate in (12, 24, 36)] == [True] * 3
    assert network.deepest == (2048, 64, 64) and network.rates == [1, 2, 4, 12, 24, 36]
    given, side = network.side
    assert given == (1024, 64, 64) and side[-1].out == (7, 512, 512)


def test_arithmetic_is_that_of_prediction():
    with_head = take_apart("deeplabv3_resnet50", 7, {"aux": True}, 64)
    without = take_apart("deeplabv3_resnet50", 7, {}, 64)
    assert with_head.flops == without.flops and with_head.parameters == without.parameters
    # one 3x3 convolution 3 -> 4 on 8x8 pixels, the rest by hand: pooled, then a linear layer
    small = take_apart("convnet", 5, {"widths": [4, 8], "depths": [0]}, 8)
    assert small.flops == 2 * (3 * 4 * 9 * 64 + 4 * 8 * 9 * 64 + 8 * 5)
