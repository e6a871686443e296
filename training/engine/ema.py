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
        trained_part: returns the part of a network that is trained. The average leaves the rest
            alone, since even the mean of two equal numbers need not be that number (0 and -0).
    """

    def __init__(
        self,
        network: nn.Module,
        decay: float,
        trained_part: Callable[[nn.Module], nn.Module] = lambda network: network,
    ) -> None:
        self.decay, self.source, self.trained_part = decay, network, trained_part
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
        state = self.trained_part(network).state_dict()
        return [value for value in state.values() if value.is_floating_point()]
