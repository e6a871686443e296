"""Muon: orthogonal steps of the size asked for, on the right parameters."""

import pytest
import torch
from torch import nn

from inference import UserError, processor
from inference.networks import build
from training.engine import muon
from training.engine.loop import Losses
from training.engine.muon import orthogonalise
from training.engine.optimizers import Muon


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16), (1, 5)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    matrix = torch.randn(*shape)
    turned = orthogonalise(matrix, steps=5)
    u, before, v = torch.linalg.svd(matrix, full_matrices=False)
    after = torch.diag(u.T @ turned @ v.T)
    assert turned.shape == shape
    assert before.max() / before.min() > 1.05 or shape[0] == 1
    assert ((after > 0.6) & (after < 1.3)).all()  # and the directions are those of the matrix


def test_it_is_the_iteration_on_the_matrix_itself():
    torch.manual_seed(0)
    matrix = torch.randn(12, 40)
    x = matrix / matrix.norm()
    for _ in range(3):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    assert torch.allclose(orthogonalise(matrix, steps=3), x, atol=1e-4)


def test_a_step_turns_a_layer_by_lr_and_keeps_its_size():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8))
    optimizer = Muon(lr=0.05, momentum=0.0).build(network, pretrained=False)
    weight = network[0].weight
    before = weight.detach().clone()
    weight.grad = torch.randn_like(weight)
    optimizer.step()
    moved = weight.detach() - before
    assert weight.norm().item() == pytest.approx(before.norm().item(), rel=1e-5)
    assert moved.norm().item() == pytest.approx(0.05 * before.norm().item(), rel=0.05)
    assert (moved * weight.grad).sum() < 0  # downhill


def test_each_group_of_a_convolution_is_a_matrix_of_its_own():
    torch.manual_seed(0)
    whole = nn.Conv2d(8, 12, 3, groups=2, bias=False)
    gradient = torch.randn_like(whole.weight)
    gradient[6:] *= 100  # orthogonal, both halves' steps are of one size
    whole.weight.grad = gradient
    before = whole.weight.detach().clone()
    Muon(lr=0.05, momentum=0.0).build(whole, pretrained=False).step()
    moved = (whole.weight.detach() - before).flatten(1)
    turned = [orthogonalise(part.flatten(1)) for part in gradient.chunk(2)]
    for step, wanted in zip(moved.chunk(2), turned, strict=True):
        assert torch.cosine_similarity(step.flatten(), -wanted.flatten(), dim=0) > 0.99
    sizes = [step.norm().item() for step in moved.chunk(2)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_no_gradient_and_no_weights_move_nothing():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 3, bias=False))
    with torch.no_grad():
        network[1].weight.zero_()
    optimizer = Muon().build(network, pretrained=False)
    before = network[0].weight.detach().clone()
    network[0].weight.grad = torch.zeros_like(network[0].weight)
    network[1].weight.grad = torch.ones_like(network[1].weight)
    optimizer.step()
    assert torch.equal(network[0].weight, before)
    assert not network[1].weight.any()


@pytest.mark.parametrize("name", ["convnet", "efficientnet_lite0"])
def test_every_parameter_moves_once_and_convolutions_alone_are_turned(name):
    network = build(name, 5)
    optimizer = Muon(lr=0.02, rest_lr=0.1, weight_decay=1e-3).build(network, pretrained=False)
    names = {parameter: name for name, parameter in network.named_parameters()}
    moved = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(moved) == len(set(moved)) == len(names)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            convolution = parameter.dim() == 4 and parameter.shape[1] > 1
            assert group["orthogonal"] == convolution
            assert group["lr"] == pytest.approx(0.02 if convolution else 0.1)
            decays = not convolution and parameter.dim() > 1
            assert group["weight_decay"] == (1e-3 if decays else 0)


def test_the_rest_moves_as_with_sgd():
    torch.manual_seed(0)
    ours, torchs = nn.Linear(4, 3), nn.Linear(4, 3)
    torchs.load_state_dict(ours.state_dict())
    mine = Muon(rest_lr=0.1, weight_decay=0.01).build(ours, pretrained=False)
    parameters = [
        {"params": [torchs.weight], "weight_decay": 0.01},
        {"params": [torchs.bias], "weight_decay": 0.0},
    ]
    other = torch.optim.SGD(parameters, 0.1, 0.9, nesterov=True)
    for step in range(3):
        for layer in (ours, torchs):
            torch.manual_seed(step)
            layer.weight.grad, layer.bias.grad = torch.randn(3, 4), torch.randn(3)
        mine.step()
        other.step()
    assert torch.allclose(ours.weight, torchs.weight) and torch.allclose(ours.bias, torchs.bias)


def test_where_training_diverges_both_rates_are_named():
    losses = Losses(0, Muon().rates)
    with pytest.raises(UserError, match=r"the loss is nan at step 0, .*lower lr= or rest_lr=$"):
        losses.add(torch.tensor(float("nan")), 0.1)


def test_a_rate_is_above_zero():
    with pytest.raises(UserError, match=r"rest_lr=0\.0: a rate is above 0"):
        Muon(rest_lr=0.0)


def test_muon_multiplies_as_exactly_as_asked(monkeypatch):
    weight = nn.Parameter(torch.randn(8, 3, 3, 3))
    weight.grad = torch.randn_like(weight)
    optimizer = Muon().build(nn.ParameterList([weight]), pretrained=False)
    seen = []
    monkeypatch.setattr(
        muon, "_turn", lambda *given: seen.append(torch.get_float32_matmul_precision())
    )
    for wanted, amx in (("highest", True), ("high", True), ("high", False)):
        monkeypatch.setattr(processor, "has_amx", lambda amx=amx: amx)
        torch.set_float32_matmul_precision(wanted)
        try:
            optimizer.step()
            assert torch.get_float32_matmul_precision() == wanted
        finally:
            torch.set_float32_matmul_precision("highest")
    assert seen == ["highest", "medium", "high"]
