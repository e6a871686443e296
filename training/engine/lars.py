"""Layer-wise adaptive rates: LARS (arXiv 1708.03888), as BYOL and SimCLR use it.

Each weight moves by a share of its own size, whatever the size of its gradient: large batches and
high rates do not tear a layer apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from training.engine.momentum import Momentum

TRUST = 1e-3  # the share, at a rate of 1


class Lars(Momentum):
    """SGD with momentum, whose step on a weight is scaled by TRUST * |weight| / |step|.

    Norms and biases, which are told by their one dimension, are not scaled, and by default not
    decayed either (arXiv 2006.07733, section 3.2).
    """

    def __init__(self, params: Iterable, lr: float, momentum: float = 0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    def step_group(self, group: dict, weights: list[torch.Tensor]) -> None:
        """Move the parameters of a group."""
        steps = self.decayed_gradients(group, weights)
        large = [i for i, weight in enumerate(weights) if weight.dim() > 1]
        if large:
            scaled = self._scaled([weights[i] for i in large], [steps[i] for i in large])
            for i, step in zip(large, scaled, strict=True):
                steps[i] = step
        torch._foreach_add_(
            weights, self.update_momentum(group, weights, steps), alpha=-group["lr"]
        )

    def _scaled(self, weights: list, steps: list) -> Sequence[torch.Tensor]:
        sizes, lengths = torch._foreach_norm(weights), torch._foreach_norm(steps)
        size, length = torch.stack(sizes), torch.stack(lengths)
        # A weight of zero, or one without a gradient, has no size to go by.
        share = torch.where((size > 0) & (length > 0), TRUST * size / length, 1.0)
        return torch._foreach_mul(steps, list(share.unbind()))
