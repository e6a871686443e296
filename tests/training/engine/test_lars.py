"""LARS: steps worked by hand."""

import pytest
import torch
from torch import nn

from training.engine.lars import Lars


def steps(weight, gradient, count=1, momentum=0.0, decay=0.0, lr=0.5):
    weight = nn.Parameter(torch.tensor(weight))
    optimizer = Lars([{"params": [weight], "lr": lr, "weight_decay": decay}], lr, momentum)
    for _ in range(count):
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    return weight.detach()


def test_a_weight_moves_by_a_share_of_its_size_whatever_the_gradients():
    # |weight| = 5: the step is 0.5 * 0.001 * 5 along the gradient.
    for size in (1.0, 1e-6, 1e6):
        moved = steps([[3.0, 4.0]], [[0.0, -2.0 * size]])
        assert moved.tolist() == [[3.0, pytest.approx(4.0025)]]


def test_decay_is_part_of_the_gradient():
    moved = steps([[3.0, 4.0]], [[0.0, 0.0]], decay=0.1)  # along the weight itself
    assert torch.allclose(moved, torch.tensor([[3.0, 4.0]]) * (1 - 0.0005))


def test_momentum_adds_up():
    # Unscaled, as a bias is: 0.5 * (2 + (2 + 0.9 * 2))
    assert steps([1.0], [2.0], count=2, momentum=0.9).item() == pytest.approx(1 - 0.5 * 5.8)


def test_a_weight_of_zero_takes_a_plain_step():
    assert torch.equal(steps([[0.0, 0.0]], [[1.0, 0.0]]), torch.tensor([[-0.5, 0.0]]))
