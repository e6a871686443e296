"""Rates: tables worked by hand, and torch's own schedules."""

import pytest
import torch
from torch import nn

from inference import UserError
from inference.networks import build
from training import schedule
from training.classification.recipes import Recipe


def recipe(**changes):
    fields = {"name": "tiny", "task": "p1", "network": "convnet", "classes": 2, "lr": 0.1}
    return Recipe(**{**fields, **changes})


@pytest.mark.parametrize(
    ("progress", "factor"), [(0, 0), (0.05, 0.5), (0.1, 1), (0.55, 0.5), (1, 0), (1.01, 0)]
)
def test_the_rate_rises_and_falls(progress, factor):
    assert schedule.warm_cosine(progress, warmup=0.1) == pytest.approx(factor)


def test_without_warmup_the_rate_starts_high_and_may_end_above_zero():
    assert schedule.warm_cosine(0, warmup=0) == 1
    assert schedule.warm_cosine(0.5, warmup=0, low=0.2) == pytest.approx(0.6)
    assert schedule.warm_cosine(1, warmup=0, low=0.2) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("changes", "rates"),
    [  # rates of lr=.1 at steps 0 to 7 of two an epoch
        ({"schedule": "step", "period": 2}, [0.1] * 4 + [0.01] * 4),
        (
            {"schedule": "step", "period": 1, "gamma": 0.5},
            [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125],
        ),
        (
            {"schedule": "cosine_restart", "period": 2, "lr_min": 0.02},
            [0.1, 0.1, 0.06, 0.06, 0.02, 0.02, 0.06, 0.06],
        ),
        (
            {"schedule": "cosine_restart", "period": 2, "period_unit": "step"},
            [0.1, 0.05, 0, 0.05, 0.1, 0.05, 0, 0.05],
        ),
        ({"schedule": "constant"}, [0.1] * 8),
        (
            {"schedule": "warm_cosine", "epochs": 4, "warmup": 0.25},
            [0, 0.05, 0.1, 0.0933, 0.075, 0.05, 0.025, 0.0067],
        ),
    ],
)
def test_rates_by_hand(changes, rates):
    made = recipe(**changes)
    found = [made.lr * schedule.factor(made, step, steps=2) for step in range(8)]
    assert found == pytest.approx(rates, abs=5e-5)


@pytest.mark.parametrize(
    ("changes", "theirs"),
    [
        (
            {"schedule": "cosine_restart", "period": 10, "lr_min": 2.5e-5, "lr": 5e-4},
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10, 2.5e-5),
        ),
        (
            {"schedule": "step", "period": 10, "gamma": 0.1, "lr": 3e-4},
            lambda o: torch.optim.lr_scheduler.StepLR(o, 10, 0.1),
        ),
    ],
)
def test_a_hundred_epochs_are_torchs(changes, theirs):
    made = recipe(epochs=100, **changes)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], made.lr)
    reference = theirs(optimizer)
    for epoch in range(100):
        ours = made.lr * schedule.factor(made, 7 * epoch + 6, steps=7)  # an epoch's last step
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6, abs=1e-12)
        optimizer.step()
        reference.step()


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("fc.weight", 10),
        ("fc.0.bias", 10),
        ("classifier.4.weight", 10),
        ("layer4.2.conv1.weight", 0.5),
        ("backbone.layer3.0.bn1.weight", 0.25),
        ("layer1.0.conv1.weight", 0.0625),
        ("conv1.weight", 0.03125),
        ("bn1.bias", 0.03125),
    ],
)
def test_the_head_is_faster_and_early_stages_are_slower(name, rate):
    assert schedule.share(name, head=10, decay=0.5) == rate


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("classifier.weight", 10),
        ("classifier.cbr.0.weight", 10),
        ("conv_head.weight", 0.5),
        ("backbone.bn2.bias", 0.5),
        ("blocks.6.0.bn2.weight", 0.5),
        ("backbone.blocks.5.3.conv_dw.weight", 0.25),
        ("blocks.0.0.bn1.weight", 2**-7),
        ("conv_stem.weight", 2**-8),
        ("backbone.bn1.weight", 2**-8),
    ],
)
def test_an_efficientnet_has_seven_stages(name, rate):
    assert schedule.share(name, head=10, decay=0.5, stages=schedule.EFFICIENTNET) == rate


def groups(network, **changes):
    """Gives each parameter's rate and weight decay by name."""
    optimizer = schedule.optimizer(recipe(weight_decay=0.05, **changes), network)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_norms_and_biases_decay_only_when_asked():
    network = build("convnet", 2, widths=[4, 8], depths=[0])
    found = groups(network, head_lr=2.0)
    assert found["fc.weight"] == (0.2, 0.05) and found["fc.bias"] == (0.2, 0)
    assert found["trunk.0.weight"] == (0.1, 0.05) and found["trunk.1.weight"] == (0.1, 0)
    assert {decay for _, decay in groups(network, decay_all=True).values()} == {0.05}


def test_every_parameter_is_trained_but_a_frozen_one():
    network = build("convnet", 2, widths=[4, 8], depths=[0])
    assert set(groups(network)) == {name for name, _ in network.named_parameters()}
    network.trunk.requires_grad_(False)
    assert set(groups(network)) == {"fc.weight", "fc.bias"}


def test_stages_are_asked_of_a_network_that_has_some():
    with pytest.raises(
        UserError, match="layer_decay is for ResNets and EfficientNets; convnet has no stages"
    ):
        groups(build("convnet", 2, widths=[4, 8], depths=[0]), layer_decay=0.9)


def test_the_stages_of_a_network_that_starts_at_random_have_the_whole_rate():
    network = build("resnet50", 2)
    rates = {
        start: groups(network, layer_decay=0.5, pretrained=start)["layer1.0.conv1.weight"][0]
        for start in ("none", "imagenet")
    }
    assert rates == {"none": pytest.approx(0.1), "imagenet": pytest.approx(0.1 * 0.5**4)}


@pytest.mark.parametrize(
    ("name", "prefix"), [("efficientnet_lite0", ""), ("lraspp_efficientnet_lite0", "backbone.")]
)
def test_the_stages_of_an_efficientnet_have_falling_rates(name, prefix):
    found = groups(build(name, 2), layer_decay=0.5, pretrained="imagenet", head_lr=3.0)
    rates = [found[f"{prefix}blocks.{i}.0.conv_dw.weight"][0] for i in range(7)]
    assert rates == pytest.approx([0.1 * 0.5**power for power in range(7, 0, -1)])
    assert found[f"{prefix}conv_stem.weight"][0] == pytest.approx(0.1 * 0.5**8)
    assert found[f"{prefix}conv_head.weight"][0] == pytest.approx(0.1 * 0.5)
    assert max(rate for rate, _ in found.values()) == pytest.approx(0.3)


def test_adams_weight_decay_is_part_of_its_gradient():
    network = nn.Linear(1, 1, bias=False)
    kinds = {
        name: schedule.optimizer(recipe(optimizer=name, weight_decay=0.5, lr=0.1), network)
        for name in ("adam", "adamw")
    }
    after = {}
    for name, optimizer in kinds.items():
        network.weight.data.fill_(1.0)
        network.weight.grad = torch.zeros(1, 1)
        optimizer.step()
        after[name] = network.weight.item()
    # A gradient of the decay alone is scaled to a whole step; AdamW takes lr * decay off.
    assert after == pytest.approx({"adam": 0.9, "adamw": 0.95}, abs=1e-6)
