"""Our text against torchvision's: the same keys, and outputs that differ by nothing."""

import copy

import pytest
import torch
import torchvision.models as tv
from torchvision.models import segmentation as tv_segmentation

from inference.networks import build, load_into
from inference.networks.mobilenet import mobilenet_v3_large
from inference.networks.segmentation import vgg16_bn

BARE = {"weights": None, "weights_backbone": None}
PAIRS = {  # name: (ours from a state_dict, torchvision's)
    "resnet50": (lambda state: load_into("resnet50", 1000, {}, state), tv.resnet50),
    "resnext101_64x4d": (
        lambda state: load_into("resnext101_64x4d", 50, {}, state),
        lambda: tv.resnext101_64x4d(num_classes=50),
    ),
    "mobilenet features": (
        lambda state: loaded(mobilenet_v3_large(), state),
        lambda: tv.mobilenet_v3_large().features,
    ),
    "vgg16_bn features": (
        lambda state: loaded(vgg16_bn(), state),
        lambda: tv.vgg16_bn().features,
    ),
    "deeplab of the COCO weights": (
        lambda state: load_into("deeplabv3_resnet50", 21, {"aux": True}, state),
        lambda: tv_segmentation.deeplabv3_resnet50(**BARE, num_classes=21, aux_loss=True),
    ),
    "lraspp of the COCO weights": (
        lambda state: load_into("lraspp_mobilenet_v3_large", 21, {}, state),
        lambda: tv_segmentation.lraspp_mobilenet_v3_large(**BARE, num_classes=21),
    ),
}


def loaded(network, state):
    network.load_state_dict(state, strict=True)
    return network


def keys_and_shapes(network):
    return [(key, value.shape) for key, value in network.state_dict().items()]


@pytest.mark.parametrize("name", PAIRS)
def test_keys_shapes_and_outputs_are_torchvisions(name):
    make_ours, make_theirs = PAIRS[name]
    theirs = make_theirs()
    ours = make_ours(copy.deepcopy(theirs.state_dict()))
    assert keys_and_shapes(ours) == keys_and_shapes(theirs)
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


def test_deeplab_without_auxiliary_head_has_torchvisions_keys():
    with torch.device("meta"):
        ours = build("deeplabv3_resnet50", 7)
        theirs = tv_segmentation.deeplabv3_resnet50(**BARE, num_classes=7)
    assert keys_and_shapes(ours) == keys_and_shapes(theirs)
