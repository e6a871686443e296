"""Weights to start from: those that torchvision hosts, without a network."""

import urllib.error

import pytest
import torch
import torchvision
from torchvision import models

from inference import UserError
from inference.networks import build
from training.engine.pretrained import HOSTED, start_from


@pytest.fixture
def hosted(monkeypatch):
    """Let torchvision's files be random weights of the network that they are of."""
    asked = []

    def load(url, map_location=None, check_hash=False, progress=True):
        assert check_hash
        asked.append(url)
        kind = url.rpartition("/")[2].partition("-")[0].removesuffix("_coco")
        if hasattr(models, kind):
            return getattr(models, kind)(weights=None).state_dict()
        more = {"aux_loss": True} if "deeplab" in kind else {}
        maker = getattr(models.segmentation, kind)
        return maker(weights=None, weights_backbone=None, **more).state_dict()

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", load)
    return asked


@pytest.mark.parametrize(
    ("name", "word", "key", "theirs"),
    [
        ("resnet50", "imagenet", "layer4.2.conv3.weight", None),
        ("vgg16_fcn32", "imagenet", "features.40.weight", None),
        ("deeplabv3_resnet50", "imagenet", "backbone.layer4.2.conv3.weight", None),
        ("deeplabv3_resnet50", "coco", "classifier.0.project.0.weight", None),
        ("deeplabv3_resnet50", "coco_trunk", "backbone.conv1.weight", "classifier.1.weight"),
        ("lraspp_mobilenet_v3_large", "imagenet", "backbone.16.0.weight", None),
        ("lraspp_mobilenet_v3_large", "coco", "classifier.cbr.0.weight", None),
    ],
)
def test_a_trunk_is_loaded_and_a_head_of_other_classes_stays(hosted, name, word, key, theirs):
    network = build(name, 7)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    start_from(network, name, word)
    after = network.state_dict()
    assert len(hosted) == 1
    assert not torch.equal(before[key], after[key])
    last = [k for k in after if k.endswith("weight") and after[k].shape[:1] == (7,)]
    assert last and all(torch.equal(before[k], after[k]) for k in last)
    if theirs:
        assert torch.equal(before[theirs], after[theirs])


def test_a_file_without_bns_counters_will_do(tmp_path):
    state = torchvision.models.resnet50(weights=None).state_dict()
    old = {key: value for key, value in state.items() if not key.endswith("_tracked")}
    torch.save(old, tmp_path / "old.pth")
    network = build("resnet50", 65, head=[8, 8])
    start_from(network, "resnet50", str(tmp_path / "old.pth"))
    assert torch.equal(network.conv1.weight, state["conv1.weight"])


def test_every_hosted_entry_exists_in_torchvision():
    kinds = vars(models) | vars(models.segmentation)
    for entries in HOSTED.values():
        for entry, _ in entries.values():
            enum, _, member = entry.partition(".")
            assert getattr(kinds[enum], member).url.startswith("https://")


def test_no_network_is_one_line(monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(UserError, match=r"cannot fetch imagenet .*https://.*put it into") as caught:
        start_from(build("resnet50", 65), "resnet50", "imagenet")
    assert "\n" not in str(caught.value)


def test_a_network_that_torchvision_does_not_have_is_one_line():
    with pytest.raises(UserError, match="no imagenet weights of convnet: pretrained= is one of"):
        start_from(build("convnet", 50), "convnet", "imagenet")


def test_a_broken_download_is_one_line_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    url = models.ResNet50_Weights.DEFAULT.url
    file = tmp_path / "checkpoints" / url.rpartition("/")[2]
    file.parent.mkdir()
    file.write_bytes(b"<html>no weights</html>")
    with pytest.raises(UserError, match=rf"{file} is broken .*: remove it") as caught:
        start_from(build("resnet50", 65), "resnet50", "imagenet")
    assert "\n" not in str(caught.value)


def test_a_misspelt_word_is_answered_with_the_words():
    says = (
        r"cannot read pretrained=imagnet: .* or one of none, imagenet; did you mean 'imagenet'\?$"
    )
    with pytest.raises(UserError, match=says):
        start_from(build("resnet50", 65), "resnet50", "imagnet")
