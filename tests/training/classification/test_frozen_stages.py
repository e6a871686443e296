"""The first stages of a pretrained network, frozen while the rest is trained."""

import numpy as np
import pytest
import torch

from inference import UserError
from inference.networks import build, fused
from training.classification.module import Classification
from training.classification.p1 import RECIPES
from training.data.batches import Batches
from training.engine import frozen, loop

FROZEN = ("conv_stem", "bn1.", "blocks.0.", "blocks.1.")


@pytest.fixture
def weights(tmp_path):
    """Return a file with weights of a network whose statistics are not those of what will come."""
    torch.manual_seed(0)
    state = build("efficientnet_lite0", 3).state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.normal_(std=0.1)
    torch.save(state, tmp_path / "lite.pth")
    return tmp_path / "lite.pth"


def module_of(weights, *changes):
    small = ["classes=3", "epochs=2", "batch_size=8", "size=32", "small_until=0", "augment=Flip()"]
    torch.manual_seed(0)
    recipe = RECIPES["p1-b-lite"].with_changes([*small, f"pretrained={weights}", *changes])
    return Classification(recipe)


def test_the_first_stages_stay_and_the_rest_is_trained(weights, tmp_path):
    given = torch.load(weights, weights_only=True)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    batches = Batches((pixels, np.arange(24) % 3), range(24), 8, shuffle=True)
    module = module_of(weights, "frozen_stages=2", "precision=fp32")
    loop.train(module, batches, None, tmp_path / "run", log=lambda line: None)
    after = torch.load(tmp_path / "run" / "best.pth", weights_only=True)
    for key, value in after.items():
        if "tracked" not in key:
            assert torch.equal(value, given[key]) == key.startswith(FROZEN), key


@pytest.mark.parametrize("stages", [1, 3])
def test_in_bf16_frozen_blocks_are_fused_and_the_rest_learns_the_same(stages, weights):
    if not fused.is_available(torch.bfloat16):
        pytest.skip("no fused convolutions in bf16 here")
    images = torch.randn(4, 3, 64, 64)
    found = []
    for fast, precise in ((False, True), (False, False), (True, False)):
        module = module_of(weights, f"frozen_stages={stages}", 'arguments={"dropout":0.0}')
        module.train()
        if fast:
            frozen.make_fast(module.network)
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            logits = module.network(images)
        logits.float().square().sum().backward()
        assert module.network.blocks[0][0].conv_dw.weight.grad is None
        assert list(module.network.state_dict()) == list(
            build("efficientnet_lite0", 3).state_dict()
        )
        found.append((logits.detach().float(), module.network.classifier.weight.grad))
    for exact, slow, ours in zip(*found, strict=True):
        # one rounding where there were three: nearer to fp32, if anything
        assert not torch.equal(ours, slow)
        assert (ours - exact).norm() < 1.2 * (slow - exact).norm()


def test_what_is_trained_is_left_as_it_is(weights):
    module = module_of(weights)
    frozen.make_fast(module.network)
    assert not any("forward" in vars(layer) for layer in module.network.modules())


@pytest.mark.parametrize(
    "changes, said",
    [
        (["frozen_stages=8"], "frozen_stages=8: EfficientNetLite has 7 stages"),
        (["frozen_stages=-1"], "frozen_stages=-1"),
        (["frozen_stages=2", "frozen=true"], "frozen=true freezes all stages"),
        (["frozen_stages=1", "network=convnet", "layer_decay=1"], "ConvNet has no stages"),
    ],
)
def test_what_cannot_be_is_said(changes, said, weights):
    if "network=convnet" in changes:
        weights = "none"
    with pytest.raises(UserError, match=said):
        module_of(weights, *changes)


def test_the_recipe_says_what_is_frozen():
    recipe = RECIPES["p1-b-lite"].with_changes(["frozen_stages=3"])
    assert "all layers but those of the first 3 stages" in str(recipe.describe())
