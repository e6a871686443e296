"""The first stages of a pretrained network, frozen while the rest is trained."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from inference import UserError
from inference.networks import build, fused
from training.classification.module import Classification
from training.classification.p1 import RECIPES
from training.data.batches import Batches
from training.engine import frozen, loop

FROZEN = ("conv_stem", "bn1.", "blocks.0.", "blocks.1.")  # with frozen_stages=2
LAST = torch.channels_last


@pytest.fixture
def weights(tmp_path):
    """Return a file with weights of a network whose statistics are not those of what will come."""
    torch.manual_seed(0)
    state = build("efficientnet_lite0", 3).state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.normal_(std=0.1)
            value[::2] = -0.0
    torch.save(state, tmp_path / "lite.pth")
    return tmp_path / "lite.pth"


def module_of(weights, *changes):
    small = ["classes=3", "epochs=4", "batch_size=8", "size=32", "small_until=0", "augment=Flip()"]
    small += ["ema=0.9", 'arguments={"dropout":0.0}', f"pretrained={weights}"]
    torch.manual_seed(0)
    return Classification(RECIPES["p1-b-lite"].with_changes([*small, *changes]))


def bits(value):
    return value.numpy().tobytes()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_no_byte_of_the_first_stages_changes_and_the_rest_is_trained(
    precision, weights, tmp_path, monkeypatch
):
    calls = []
    forward = fused.FusedConv.forward
    monkeypatch.setattr(
        fused.FusedConv, "forward", lambda *given: calls.append(1) or forward(*given)
    )
    available = fused.is_available(torch.bfloat16)
    calls.clear()  # two of them find out whether there are any
    given = torch.load(weights, weights_only=True)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    batches = Batches((pixels, np.arange(24) % 3), range(24), 8, shuffle=True)
    module = module_of(weights, "frozen_stages=2", f"precision={precision}")
    loop.train(module, batches, None, tmp_path / "run", log=lambda line: None)
    after = torch.load(tmp_path / "run" / "best.pth", weights_only=True)
    for key, value in after.items():
        if "tracked" not in key:
            assert (bits(value) == bits(given[key])) == key.startswith(FROZEN), key
    assert (len(calls) > 2) == (precision == "bf16" and available)


@pytest.mark.parametrize("stages", [1, 3])
def test_in_bf16_frozen_blocks_are_fused_and_the_rest_learns_the_same(stages, weights):
    if not fused.is_available(torch.bfloat16):
        pytest.skip("no fused convolutions in bf16 here")
    torch.manual_seed(2)
    batches = [torch.randn(8, 3, side, side).contiguous(memory_format=LAST) for side in (64, 96)]
    found = []
    for fast, precise in ((False, True), (False, False), (True, False)):
        module = module_of(weights, f"frozen_stages={stages}").to(memory_format=LAST)
        network = module.network
        if fast:
            frozen.make_fast(network)
        first = network.blocks[stages][0]
        values = []
        for images in batches:
            network.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
                logits = network(images)
            logits.float().square().sum().backward()
            values += [logits.detach().float(), network.classifier.weight.grad]
            values += [first.conv_pw.weight.grad, first.bn1.weight.grad]
        assert network.blocks[0][0].conv_dw.weight.grad is None
        assert list(network.state_dict()) == list(build("efficientnet_lite0", 3).state_dict())
        found.append([value.clone() for value in values])
    for exact, slow, ours in zip(*found, strict=True):
        # One rounding where there were three: about as near to fp32, but not the same.
        assert not torch.equal(ours, slow)
        assert (ours - exact).norm() < 1.5 * (slow - exact).norm()


def test_only_frozen_blocks_are_fused_and_a_copy_computes_as_they_do(weights):
    if not fused.is_available(torch.bfloat16):
        pytest.skip("no fused convolutions in bf16 here")
    network = module_of(weights, "frozen_stages=2").network
    frozen.make_fast(network)
    changed = [name for name, layer in network.named_modules() if "forward" in vars(layer)]
    assert changed == ["blocks.0.0", "blocks.1.0", "blocks.1.1"]
    images = torch.randn(8, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        found = network(images)
        assert torch.equal(copy.deepcopy(network)(images), found)


def test_what_is_frozen_stays_so_where_batch_norm_is_shared_among_processes(weights):
    module = module_of(weights, "frozen_stages=2")
    module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    module.train()
    norms = {
        f"{name}.": layer
        for name, layer in module.network.named_modules()
        if isinstance(layer, nn.SyncBatchNorm)
    }
    assert len(norms) == 49
    for name, norm in norms.items():
        assert norm.training != name.startswith(FROZEN), name


def test_of_a_resnet_the_stem_and_the_stages_are_frozen(tmp_path):
    torch.save(build("resnet50", 3).state_dict(), tmp_path / "resnet.pth")
    module = module_of(
        tmp_path / "resnet.pth", "network=resnet50", "frozen_stages=1", "arguments={}"
    )
    trained = {
        name.split(".")[0] for name, p in module.network.named_parameters() if p.requires_grad
    }
    assert trained == {"layer2", "layer3", "layer4", "fc"}


@pytest.mark.parametrize(
    "changes, said",
    [
        (["frozen_stages=7"], "EfficientNetLite has 7 stages: at most 6 can be frozen"),
        (["frozen_stages=-1"], "frozen_stages=-1"),
        (["frozen_stages=2", "frozen=true"], "frozen=true freezes all stages"),
        (
            ["frozen_stages=2", "pretrained=none"],
            "would keep random weights: add pretrained=, or say",
        ),
    ],
)
def test_what_cannot_be_is_said(changes, said, weights):
    with pytest.raises(UserError, match=said):
        module_of(weights, *changes)


def test_a_network_without_stages_has_none_to_freeze(tmp_path):
    torch.save(build("convnet", 3).state_dict(), tmp_path / "convnet.pth")
    with pytest.raises(UserError, match="ConvNet has no stages"):
        module_of(tmp_path / "convnet.pth", "frozen_stages=1", "network=convnet", "arguments={}")


@pytest.mark.parametrize("stages, said", [(1, "the first stage"), (3, "the first 3 stages")])
def test_the_recipe_says_what_is_frozen(stages, said):
    recipe = RECIPES["p1-b-lite"].with_changes([f"frozen_stages={stages}"])
    assert f"all layers but the stem and those of {said}" in str(recipe.describe())
