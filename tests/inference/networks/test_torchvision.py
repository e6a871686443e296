"""Our text against torchvision's: the same keys, and outputs that differ by nothing."""

import pytest
import torch
import torchvision.models as tv
from torchvision.models import segmentation as tv_segmentation

from inference.networks import build
from inference.networks.mobilenet import mobilenet_v3_large
from inference.networks.segmentation import vgg16_bn

BARE = {"weights": None, "weights_backbone": None}
PAIRS = {  # name: (ours, torchvision's)
    "resnet50": (lambda: build("resnet50", 1000), tv.resnet50),
    "resnext101_64x4d": (
        lambda: build("resnext101_64x4d", 50),
        lambda: tv.resnext101_64x4d(num_classes=50),
    ),
    "mobilenet features": (mobilenet_v3_large, lambda: tv.mobilenet_v3_large().features),
    "vgg16_bn features": (vgg16_bn, lambda: tv.vgg16_bn().features),
    "deeplab": (
        lambda: build("deeplabv3_resnet50", 7),
        lambda: tv_segmentation.deeplabv3_resnet50(**BARE, num_classes=7),
    ),
    "deeplab of the COCO weights": (
        lambda: build("deeplabv3_resnet50", 21, aux=True),
        lambda: tv_segmentation.deeplabv3_resnet50(**BARE, num_classes=21, aux_loss=True),
    ),
    "lraspp of the COCO weights": (
        lambda: build("lraspp_mobilenet_v3_large", 21),
        lambda: tv_segmentation.lraspp_mobilenet_v3_large(**BARE, num_classes=21),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_keys_shapes_and_outputs_are_torchvisions(name):
    make_ours, make_theirs = PAIRS[name]
    ours, theirs = make_ours(), make_theirs()
    state = theirs.state_dict()
    assert [(key, value.shape) for key, value in ours.state_dict().items()] == [
        (key, value.shape) for key, value in state.items()
    ]
    ours.load_state_dict(state, strict=True)
    images = torch.randn(2, 3, 40, 56)
    for training in (True, False):  # training first: evaluation then uses moved statistics
        results = []
        for network in (ours, theirs):
            torch.manual_seed(0)  # dropout draws the same in both
            with torch.no_grad():
                result = network.train(training)(images)
            results.append(result if isinstance(result, dict) else {"out": result})
        assert list(results[0]) == list(results[1])
        for key in results[1]:
            assert torch.equal(results[0][key], results[1][key])
    for key, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[key]), key


def test_gradients_are_torchvisions_too():
    ours, theirs = build("resnet50", 5), tv.resnet50(num_classes=5)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 32, 32)
    for network in (ours, theirs):
        network(images).square().sum().backward()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name
