"""Muon: momentum whose steps are made orthogonal, layer by layer (K. Jordan, 2024).

The gradient of a layer's weights, seen as a matrix, has a few large singular values and many small
ones; a step that gives all the same size moves the layer in every direction that the gradients
name, and a small network learns more in an epoch.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

STEPS = 3  # of the iteration: more bring nothing in training (as airbench94_muon.py has it)
A, B, C = 3.4445, -4.7750, 2.0315  # Jordan's polynomial: a x + b x^3 + c x^5


class Muon(torch.optim.Optimizer):
    """Orthogonal steps on the weights of groups with `orthogonal`; SGD with momentum on the others.

    An orthogonal step has `lr` times the size of the weights, which keep their size: behind a
    normalisation only their direction counts. The others move as torch's SGD (Nesterov) moves them.
    """

    def __init__(self, params: Iterable, lr: float, momentum: float = 0.9):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "orthogonal": False}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        """Take a step; nothing waits for a GPU."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            steps = self._momentum_steps(group, weights)
            if group["orthogonal"]:
                for weight, step in zip(weights, steps, strict=True):
                    _turn(weight, step, group["lr"])
            else:
                torch._foreach_add_(weights, steps, alpha=-group["lr"])
        return loss

    def _momentum_steps(self, group: dict, weights: list[Tensor]) -> list[Tensor]:
        """Return the gradients, weight decay among them, with what moves on from earlier steps."""
        gradients = [p.grad for p in weights if p.grad is not None]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        for weight in weights:
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        moving = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_mul_(moving, group["momentum"])
        torch._foreach_add_(moving, gradients)
        return list(torch._foreach_add(gradients, moving, alpha=group["momentum"]))


def _turn(weight: Tensor, step: Tensor, lr: float) -> None:
    """Take an orthogonal step of `lr` times the weight's size, in place, and restore that size."""
    # As it lies in memory (channels_last): the order of a matrix's columns changes nothing.
    rows = step.permute(0, 2, 3, 1)
    turned = orthogonalise(rows.flatten(1)).view(rows.shape).permute(0, 3, 1, 2)
    size, length = torch.linalg.vector_norm(weight), torch.linalg.vector_norm(turned)
    # No gradient, or weights of zero: nothing that could be scaled
    share = torch.where((size > 0) & (length > 0), lr * size / length, 0.0)
    weight.sub_(turned.mul_(share))
    now = torch.linalg.vector_norm(weight)
    weight.mul_(torch.where(now > 0, size / now, 1.0))


def orthogonalise(matrix: Tensor, steps: int = STEPS) -> Tensor:
    """Return the matrix with all singular values near 1, of fp32 and the same shape.

    By Newton and Schulz's iteration with Jordan's polynomial, whose singular values end between .7
    and 1.2 after five steps, except those that were next to nothing. Since every step multiplies by
    a polynomial of X X^T from the left, those are multiplied first, small and square, and by the
    wide matrix once: half the arithmetic of going on with X itself.

    Args:
        matrix: (rows, columns).
    """
    x = matrix.float()
    if x.shape[0] > x.shape[1]:
        return orthogonalise(x.T, steps).T
    x = x / (torch.linalg.vector_norm(x) + 1e-12)
    gram = x @ x.T
    identity = torch.eye(len(gram), device=gram.device)
    product = identity
    for step in range(steps):
        factor = torch.addmm(A * identity + B * gram, gram, gram, alpha=C)
        product = factor @ product if step else factor
        if step < steps - 1:
            gram = factor @ gram @ factor
    return product @ x
