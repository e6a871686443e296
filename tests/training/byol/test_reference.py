"""BYOL in ten plain lines, against which ours is measured."""

import copy
import csv
import math

import pytest
import torch
from torch.nn import functional as F
from training.byol.task import Byol

from tests.training.byol.tiny import arrays, plain_pair, recipe, train
from training.byol import views
from training.data import cache as memory


def distance(prediction, target):
    return ((F.normalize(prediction, dim=1) - F.normalize(target, dim=1)) ** 2).sum(1).mean()


def reference(momentum):
    """Trains as the paper's algorithm 1 says; gives losses, the online and the target network."""
    torch.manual_seed(0)
    task = Byol(recipe()).to(memory_format=torch.channels_last)  # the same rounding
    online, target = task.network, copy.deepcopy(task.network)  # all of it in train mode
    optimizer = torch.optim.SGD(online.parameters(), 0.002, momentum=0.9)
    batches, losses = memory.Batches((arrays()[0],), range(40), 13, shuffle=True), []
    for epoch in range(2):
        batches.epoch = epoch
        for (images,) in batches:
            one, other = plain_pair(task.unit(images), None, task.normalise)
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


@pytest.mark.parametrize("kind", ["momentum", "online"])
def test_six_steps_are_those_of_the_plain_reference(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(views, "pair", plain_pair)
    fields = {
        "schedule": "constant",
        "optimizer": "sgd",
        "nesterov": False,
        "weight_decay": 0.0,
        "lr": 0.002,
        "batch_size": 13,
    }
    task, _ = train(tmp_path, watched=False, target=kind, **fields)
    losses, online, target = reference(kind == "momentum")
    with (tmp_path / "metrics.csv").open() as text:
        found = [float(row["loss"]) for row in csv.DictReader(text)]
    means = [sum(losses[:3]) / 3, sum(losses[3:]) / 3]
    assert found == pytest.approx(means, abs=1e-6) and abs(means[0] - means[1]) > 0.01
    pairs = [(task.network, online)] + ([(task.target, target)] if kind == "momentum" else [])
    for ours, theirs in pairs:
        parameters, wanted = dict(ours.named_parameters()), dict(theirs.named_parameters())
        for name, value in parameters.items():
            assert torch.allclose(value, wanted[name], atol=1e-6), name
    for key, value in task.network.state_dict().items():  # the statistics that are exported
        assert torch.allclose(value, online.state_dict()[key], atol=1e-6), key
