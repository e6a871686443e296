"""BYOL in ten plain lines, against which ours is measured."""

import copy
import csv
import math

import pytest
import torch
from torch.nn import functional as F

from tests.training.byol.tiny import PlainViews, arrays, plain_pair, recipe, train
from training.byol.module import Byol
from training.byol.recipes import Momentum, Online
from training.data.batches import Batches
from training.engine.optimizers import SGD
from training.engine.schedules import Constant


def distance(prediction, target):
    return ((F.normalize(prediction, dim=1) - F.normalize(target, dim=1)) ** 2).sum(1).mean()


def reference(momentum):
    """Train as the paper's algorithm 1 says; return losses, the online and the target network."""
    torch.manual_seed(0)
    module = Byol(recipe()).to(memory_format=torch.channels_last)  # the same rounding
    online, target = module.network, copy.deepcopy(module.network)  # all of it in train mode
    optimizer = torch.optim.SGD(online.parameters(), 0.002, momentum=0.9)
    batches, losses = Batches((arrays()[0],), range(40), 13, shuffle=True), []
    for epoch in range(2):
        batches.epoch = epoch
        for (images,) in batches:
            one, other = plain_pair(module.to_float(images), module.normalise)
            answers = [online(view)[1] for view in (one, other)]
            with torch.no_grad():
                teacher = target if momentum else copy.deepcopy(online)
                wanted = [teacher(view)[0] for view in (one, other)]
            loss = distance(answers[0], wanted[1]) + distance(answers[1], wanted[0])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tau = 1 - (1 - 0.9) * (math.cos(math.pi * len(losses) / 6) + 1) / 2
            for mean, weight in zip(target.parameters(), online.parameters()):
                mean.data = tau * mean.data + (1 - tau) * weight.data
            losses.append(loss.item())
    return losses, online, target


@pytest.mark.parametrize("kind", [Momentum(0.9), Online()], ids=lambda kind: type(kind).__name__)
def test_six_steps_are_those_of_the_plain_reference(tmp_path, kind):
    momentum = kind != Online()
    fields = {
        "schedule": Constant(),
        "optimizer": SGD(0.002, weight_decay=0.0, nesterov=False),
        "batch_size": 13,
        "views_by": PlainViews(),
    }
    module, _ = train(tmp_path, watched=False, target=kind, **fields)
    losses, online, target = reference(momentum)
    with (tmp_path / "metrics.csv").open() as text:
        found = [float(row["loss"]) for row in csv.DictReader(text)]
    means = [sum(losses[:3]) / 3, sum(losses[3:]) / 3]
    assert found == pytest.approx(means, abs=1e-6) and abs(means[0] - means[1]) > 0.01
    pairs = [(module.network, online)] + ([(module.target, target)] if momentum else [])
    for ours, theirs in pairs:
        parameters, wanted = dict(ours.named_parameters()), dict(theirs.named_parameters())
        for name, value in parameters.items():
            assert torch.allclose(value, wanted[name], atol=1e-6), name
    for key, value in module.network.state_dict().items():  # the statistics that are exported
        assert torch.allclose(value, online.state_dict()[key], atol=1e-6), key
