"""An exponential moving average (EMA) of a network's weights."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn


class EMA:
    """An average of a network: average <- decay * average + (1 - decay) * network.

    Floating-point buffers, which are BatchNorm's statistics, are averaged as weights are.

    Attributes:
        network: the average, in eval mode; the network itself where `decay` is 0.

    Args:
        network: is trained.
        decay: per step, in [0, 1); 0 keeps no average.
        is_trained: tells by its key in the state dict whether a value is trained. The average
            leaves others alone, since even the mean of two equal numbers need not be that number
            (0 and -0).
    """

    def __init__(
        self,
        network: nn.Module,
        decay: float,
        is_trained: Callable[[str], bool] = lambda key: True,
    ) -> None:
        self.decay, self.source, self.is_trained = decay, network, is_trained
        self.network = network
        if decay:
            self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self._pairs: tuple[list[torch.Tensor], list[torch.Tensor]] | None = None

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Move the average after an optimiser step.

        Args:
            steps: how many were taken, this one included.
        """
        if not self.decay:
            return
        if self._pairs is None:  # walking through a large network takes milliseconds
            self._pairs = self._floats(self.network), self._floats(self.source)
        # A young average would be mostly its start.
        decay = min(self.decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(*self._pairs, 1 - decay)  # one launch, not hundreds

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the average's state; empty where none is kept."""
        return self.network.state_dict() if self.decay else {}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Load what `state_dict` returned."""
        if self.decay:
            self.network.load_state_dict(state)

    def _floats(self, network: nn.Module) -> list[torch.Tensor]:
        state = network.state_dict().items()
        return [v for key, v in state if v.is_floating_point() and self.is_trained(key)]
