"""Muon: momentum whose steps are made orthogonal, layer by layer (K. Jordan, 2024).

The gradient of a layer's weights, seen as a matrix, has a few large singular values and many small
ones; a step that gives all the same size moves the layer in every direction that the gradients
name, and a small network learns more in an epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from inference import processor
from training.engine.momentum import Momentum

STEPS = 3  # of the iteration, as in airbench94_muon.py: near 1 is good enough for a step
A, B, C = 3.4445, -4.7750, 2.0315  # Jordan's polynomial: a x + b x^3 + c x^5


class Muon(Momentum):
    """Orthogonal steps on the weights of groups with `orthogonal`; SGD with momentum on the others.

    An orthogonal step has `lr` times the size of the weights, which keep their size: behind a
    normalisation only their direction counts. The others move as torch's SGD (Nesterov) moves them.

    A group's `matrices` says how many matrices a kernel is: as many as its convolution has groups.
    """

    def __init__(self, params: Iterable, lr: float, momentum: float = 0.9):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": 0.0}
        defaults |= {"orthogonal": False, "matrices": 1}
        super().__init__(params, defaults)

    def step_group(self, group: dict, weights: list[Tensor]) -> None:
        """Move the parameters of a group."""
        gradients = self.decayed_gradients(group, weights)
        moving = self.update_momentum(group, weights, gradients)
        steps = torch._foreach_add(gradients, moving, alpha=group["momentum"])  # Nesterov's
        if not group["orthogonal"]:
            torch._foreach_add_(weights, steps, alpha=-group["lr"])
            return
        with _fast_products(weights[0].device):
            for weight, step in zip(weights, steps, strict=True):
                _turn(weight, step, group["lr"], group.get("matrices", 1))  # older states lack it


@contextmanager
def _fast_products(device: torch.device) -> Iterator[None]:
    """Let a CPU with AMX multiply matrices rounded to bf16, unless fp32 is asked for.

    A step differs by .4 %, and takes 40 % of the time.
    """
    wanted = torch.get_float32_matmul_precision()
    if device.type == "cpu" and wanted != "highest" and processor.has_amx():
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(wanted)


def _turn(weight: Tensor, step: Tensor, lr: float, matrices: int = 1) -> None:
    """Take an orthogonal step of `lr` times the weight's size, in place, and restore that size."""
    # As it lies in memory (channels_last): the order of a matrix's columns changes nothing.
    rows = step.permute(0, 2, 3, 1)
    parts = [orthogonalise(part) for part in rows.flatten(1).chunk(matrices)]
    whole = torch.cat(parts) if matrices > 1 else parts[0]  # one needs no copy
    turned = whole.view(rows.shape).permute(0, 3, 1, 2)
    size, length = torch.linalg.vector_norm(weight), torch.linalg.vector_norm(turned)
    # No gradient, or weights of zero: nothing that could be scaled
    share = torch.where((size > 0) & (length > 0), lr * size / length, 0.0)
    weight.sub_(turned.mul_(share))
    now = torch.linalg.vector_norm(weight)
    weight.mul_(torch.where(now > 0, size / now, 1.0))


def orthogonalise(matrix: Tensor, steps: int = STEPS) -> Tensor:
    """Return the matrix with all singular values near 1, in fp32 and of the same shape.

    It takes `steps` of Newton and Schulz's iteration with Jordan's polynomial. After five steps the
    singular values are between .7 and 1.2, except those that were almost 0. Each step multiplies X
    from the left by a polynomial of X X^T. These small square factors are multiplied with each
    other first, and their product with the wide X once: half the arithmetic of updating X itself.

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
