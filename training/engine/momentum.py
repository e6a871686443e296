"""What optimisers with momentum have in common: `Lars` and `Muon`."""

from __future__ import annotations

import torch
from torch import Tensor


class Momentum(torch.optim.Optimizer):
    """An optimiser that steps a group of parameters at a time; nothing waits for a GPU.

    A group has `lr`, `momentum` and `weight_decay`; a subclass says how it steps.
    """

    def step_group(self, group: dict, weights: list[Tensor]) -> None:
        """Move the parameters of a group, all of which have gradients."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure=None):
        """Take a step with every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if weights:
                self.step_group(group, weights)
        return loss

    def decayed_gradients(self, group: dict, weights: list[Tensor]) -> list[Tensor]:
        """Return the gradients, with the group's weight decay as a part of them."""
        gradients = [p.grad for p in weights if p.grad is not None]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        return gradients

    def update_momentum(
        self, group: dict, weights: list[Tensor], steps: list[Tensor]
    ) -> list[Tensor]:
        """Update the momentum of each weight, m <- momentum * m + step, and return all m.

        They are the optimiser's state itself, not copies.
        """
        for weight in weights:
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        moving = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_mul_(moving, group["momentum"])
        torch._foreach_add_(moving, steps)
        return moving
