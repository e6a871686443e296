"""Layer-wise adaptive rates: LARS (arXiv 1708.03888), as BYOL and SimCLR use it.

Each weight moves by a share of its own size, whatever the size of its gradient: large batches and
high rates do not tear a layer apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

TRUST = 1e-3  # the share, at a rate of 1


class Lars(torch.optim.Optimizer):
    """SGD with momentum, whose step on a weight is scaled by TRUST * |weight| / |step|.

    Groups without weight decay, which are norms and biases, are not scaled (arXiv 2006.07733,
    section 3.2: both are excluded from the adaptation and from the decay).
    NOTE: those are told by their dimension, so that a weight_decay of 0 still scales weights.
    """

    def __init__(self, params: Iterable, lr: float, momentum: float = 0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure=None):
        """Take a step; nothing waits for a GPU."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if weights:
                self._step(group, weights)
        return loss

    def _step(self, group: dict, weights: list[torch.Tensor]) -> None:
        steps = [p.grad for p in weights if p.grad is not None]
        if group["weight_decay"]:
            steps = list(torch._foreach_add(steps, weights, alpha=group["weight_decay"]))
        large = [i for i, weight in enumerate(weights) if weight.dim() > 1]
        if large:
            scaled = self._scaled([weights[i] for i in large], [steps[i] for i in large])
            for i, step in zip(large, scaled, strict=True):
                steps[i] = step
        for weight in weights:
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        moving = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_mul_(moving, group["momentum"])
        torch._foreach_add_(moving, steps)
        torch._foreach_add_(weights, moving, alpha=-group["lr"])

    def _scaled(self, weights: list, steps: list) -> Sequence[torch.Tensor]:
        sizes, lengths = torch._foreach_norm(weights), torch._foreach_norm(steps)
        size, length = torch.stack(sizes), torch.stack(lengths)
        # A weight of zero, or one without a gradient, has no size to go by.
        share = torch.where((size > 0) & (length > 0), TRUST * size / length, 1.0)
        return torch._foreach_mul(steps, list(share.unbind()))
