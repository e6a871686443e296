"""Rates: tables worked by hand, and torch's own schedules."""

import pytest
import torch
from torch import nn

from inference import UserError
from inference.networks import build
from training.engine.optimizers import SGD, Adam, AdamW, Stages
from training.engine.schedules import Constant, CosineCycle, Step, WarmupCosine, warmup_cosine


@pytest.mark.parametrize(
    ("progress", "factor"), [(0, 0), (0.05, 0.5), (0.1, 1), (0.55, 0.5), (1, 0), (1.01, 0)]
)
def test_the_rate_rises_and_falls(progress, factor):
    assert warmup_cosine(progress, warmup=0.1) == pytest.approx(factor)


def test_without_warmup_the_rate_starts_high_and_may_end_above_zero():
    assert warmup_cosine(0, warmup=0) == 1
    assert warmup_cosine(0.5, warmup=0, low=0.2) == pytest.approx(0.6)
    assert warmup_cosine(1, warmup=0, low=0.2) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [  # rates of lr=.1 at steps 0 to 7 of two an epoch, in four epochs
        (Step(2), [0.1] * 4 + [0.01] * 4),
        (Step(1, gamma=0.5), [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125]),
        (CosineCycle(2, lr_min=0.02), [0.1, 0.1, 0.06, 0.06, 0.02, 0.02, 0.06, 0.06]),
        (CosineCycle(2, unit="step"), [0.1, 0.05, 0, 0.05, 0.1, 0.05, 0, 0.05]),
        (Constant(), [0.1] * 8),
        (WarmupCosine(0.25), [0, 0.05, 0.1, 0.0933, 0.075, 0.05, 0.025, 0.0067]),
    ],
)
def test_rates_by_hand(schedule, rates):
    found = [0.1 * schedule.factor(step, steps=2, epochs=4, lr=0.1) for step in range(8)]
    assert found == pytest.approx(rates, abs=5e-5)


@pytest.mark.parametrize(
    ("schedule", "lr", "theirs"),
    [
        (
            CosineCycle(10, lr_min=2.5e-5),
            5e-4,
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10, 2.5e-5),
        ),
        (Step(10), 3e-4, lambda o: torch.optim.lr_scheduler.StepLR(o, 10, 0.1)),
    ],
)
def test_a_hundred_epochs_are_torchs(schedule, lr, theirs):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr)
    reference = theirs(optimizer)
    for epoch in range(100):
        last = 7 * epoch + 6  # an epoch's last step
        ours = lr * schedule.factor(last, steps=7, epochs=100, lr=lr)
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
    with torch.device("meta"):
        network = build("resnet50", 2)
    assert Stages(network, decay=0.5, head=10).factor(name) == rate


def groups(network, optimizer=SGD(0.1, 0.05), pretrained=False):  # noqa: B008
    """Return each parameter's rate and weight decay by name."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.build(network, pretrained).param_groups
        for parameter in group["params"]
    }


def test_norms_and_biases_decay_only_when_asked():
    network = build("convnet", 2, widths=[4, 8], depths=[0])
    found = groups(network, SGD(0.1, 0.05, head_lr=2.0))
    assert found["fc.weight"] == (0.2, 0.05) and found["fc.bias"] == (0.2, 0)
    assert found["trunk.0.weight"] == (0.1, 0.05) and found["trunk.1.weight"] == (0.1, 0)
    everything = SGD(0.1, 0.05, decay_norm_and_bias=True)
    assert {decay for _, decay in groups(network, everything).values()} == {0.05}


def test_every_parameter_is_trained_but_a_frozen_one():
    network = build("convnet", 2, widths=[4, 8], depths=[0])
    assert set(groups(network)) == {name for name, _ in network.named_parameters()}
    network.trunk.requires_grad_(False)
    assert set(groups(network)) == {"fc.weight", "fc.bias"}


def test_stages_are_asked_of_a_network_that_has_some():
    with pytest.raises(UserError, match="networks with stages; ConvNet has none"):
        groups(build("convnet", 2, widths=[4, 8], depths=[0]), SGD(layer_decay=0.9), True)


def test_the_stages_of_a_network_that_starts_at_random_have_the_whole_rate():
    network = build("resnet50", 2)
    rates = {
        pretrained: groups(network, SGD(layer_decay=0.5), pretrained)["layer1.0.conv1.weight"][0]
        for pretrained in (False, True)
    }
    assert rates == {False: pytest.approx(0.1), True: pytest.approx(0.1 * 0.5**4)}


def test_adams_weight_decay_is_part_of_its_gradient():
    network = nn.Linear(1, 1, bias=False)
    kinds = {"adam": Adam(0.1, 0.5), "adamw": AdamW(0.1, 0.5)}
    after = {}
    for name, kind in kinds.items():
        optimizer = kind.build(network, pretrained=False)
        network.weight.data.fill_(1.0)
        network.weight.grad = torch.zeros(1, 1)
        optimizer.step()
        after[name] = network.weight.item()
    # A gradient of the decay alone is scaled to a whole step; AdamW takes lr * decay off.
    assert after == pytest.approx({"adam": 0.9, "adamw": 0.95}, abs=1e-6)
