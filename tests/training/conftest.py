"""What tests of several problems share."""

import pytest

from inference.networks import NETWORKS
from inference.networks.resnet import ResNet


@pytest.fixture
def shallow(monkeypatch):
    """Put ResNets of one block a stage in the place of the deep ones: a test can afford them."""

    def build(classes, head=None, logits=0):
        return ResNet(classes, (1, 1, 1, 1), head=head, logits=logits)

    for name in ("resnet50", "resnext101_64x4d"):
        monkeypatch.setitem(NETWORKS, name, build)
