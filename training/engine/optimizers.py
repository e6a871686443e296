"""Optimisers as a recipe names them, and which parameters have which rate and weight decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from inference import UserError
from inference.networks import head_prefixes, stage_of
from training.engine import muon
from training.engine.lars import Lars
from training.engine.values import ShareBelowOne, Value, expect_at_least, named


@dataclass(frozen=True)
class Optimizer(Value):
    """What every optimiser has.

    Attributes:
        lr: the highest rate.
        weight_decay: of weights that are multiplied; of norms and biases only with
            `decay_norm_and_bias`.
        head_lr: factor on the rate of the network's head.
        layer_decay: factor on the rate from each stage of the network to the one before; of
            pretrained weights only, since what starts at random has to move.
    """

    rates: ClassVar[str] = "lr="  # what to lower where training diverges

    lr: float = 0.1
    weight_decay: float = 5e-4
    decay_norm_and_bias: bool = False
    head_lr: float = 1.0
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.lr < math.inf:
            raise UserError(f"lr={self.lr}: a rate is above 0")
        expect_at_least(self, 0, "weight_decay", "head_lr")
        if not 0 < self.layer_decay <= 1:
            raise UserError(f"layer_decay={self.layer_decay}: it is above 0 and at most 1")

    def build(self, network: nn.Module, pretrained: bool) -> torch.optim.Optimizer:
        """Return torch's optimiser of a network's parameters that take a gradient.

        Raises:
            UserError: `layer_decay` of a pretrained network that has no stages.
        """
        raise NotImplementedError

    def groups(self, network: nn.Module, pretrained: bool) -> list[dict]:
        """Return a parameter group for each of the `settings` that parameters have."""
        groups: dict[tuple, dict] = {}
        stages = Stages(network, self.layer_decay if pretrained else 1.0, self.head_lr)
        for name, parameter in network.named_parameters():
            if not parameter.requires_grad:
                continue
            own = self.settings(parameter, name.startswith(stages.prefixes))
            own["lr"] *= stages.factor(name)
            groups.setdefault(tuple(own.values()), {"params": [], **own})["params"].append(
                parameter
            )
        return list(groups.values())

    def settings(self, parameter: nn.Parameter, in_head: bool) -> dict[str, Any]:
        """Return a parameter's weight decay, and its rate before `Stages.factor` is applied."""
        # Parameters of one dimension are norms and biases, which usually are not decayed.
        decays = self.decay_norm_and_bias or parameter.dim() > 1
        return {"lr": self.lr, "weight_decay": self.weight_decay if decays else 0.0}

    def describe(self) -> str:
        kept = "" if self.decay_norm_and_bias else ", not on norms and biases"
        return f"{self._name()}; weight decay {self.weight_decay:g}{kept}"

    def _name(self) -> str:
        return type(self).__name__

    def describe_rates(self, pretrained: bool) -> list[str]:
        """Return in words by what the rate of a layer differs from another's."""
        said = []
        if self.head_lr != 1:
            said.append(f"the classifier’s times {self.head_lr:g}")
        if pretrained and self.layer_decay != 1:
            said.append(f"times {self.layer_decay:g} from each stage to the one before")
        return said


class Stages:
    """Each parameter's factor on the rate: `head` in the head, a power of `decay` before it."""

    def __init__(self, network: nn.Module, decay: float, head: float) -> None:
        self.network, self.decay, self.head = network, decay, head
        self.prefixes = head_prefixes(network)
        found = (stage_of(network, name) for name, _ in network.named_parameters())
        stages = {stage for stage in found if stage is not None}
        if decay != 1 and not stages:
            raise UserError(
                f"layer_decay={decay} is for networks with stages; "
                f"{type(network).__name__} has none: leave it at 1"
            )
        self.last = max(stages, default=0)

    def factor(self, name: str) -> float:
        """Return the factor of a parameter, by its name in the state dict.

        The last stage has `decay`, the one before `decay`^2 and so on; what comes before the
        stages one power more than the first.
        """
        if name.startswith(self.prefixes):
            return self.head
        return self.decay ** (self.last + 1 - (stage_of(self.network, name) or 0))


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    momentum: ShareBelowOne = 0.9
    nesterov: bool = True

    def build(self, network: nn.Module, pretrained: bool) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            self.groups(network, pretrained),
            self.lr,
            self.momentum,
            nesterov=self.nesterov and self.momentum > 0,
            fused=next(network.parameters()).is_cuda,  # one launch instead of dozens
        )

    def _name(self) -> str:
        return f"SGD, momentum {self.momentum:g}" + " (Nesterov)" * self.nesterov


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (arXiv 1412.6980), whose weight decay is part of the gradient."""

    lr: float = 1e-3
    of_torch: ClassVar[type[torch.optim.Adam]] = torch.optim.Adam

    def build(self, network: nn.Module, pretrained: bool) -> torch.optim.Optimizer:
        # Fused it takes a fifth of the time, on a CPU too.
        return self.of_torch(self.groups(network, pretrained), self.lr, fused=True)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (arXiv 1711.05101)."""

    weight_decay: float = 0.05
    of_torch = torch.optim.AdamW


@dataclass(frozen=True)
class LARS(Optimizer):
    """SGD with momentum whose step on a weight is relative to its size: for large batches."""

    momentum: ShareBelowOne = 0.9

    def build(self, network: nn.Module, pretrained: bool) -> torch.optim.Optimizer:
        return Lars(self.groups(network, pretrained), self.lr, self.momentum)

    def _name(self) -> str:
        return f"LARS, momentum {self.momentum:g}"


@dataclass(frozen=True)
class Muon(Optimizer):
    """Orthogonal steps on convolutions outside the head; SGD with momentum on the rest.

    Attributes:
        lr: the size of a step, as a share of a layer's weights, which keep their size.
        rest_lr: the rate of the rest.
        weight_decay: of the rest.
    """

    rates = "lr= or rest_lr="

    lr: float = 0.03
    momentum: ShareBelowOne = 0.9
    rest_lr: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rest_lr < math.inf:
            raise UserError(f"rest_lr={self.rest_lr}: a rate is above 0")

    def build(self, network: nn.Module, pretrained: bool) -> torch.optim.Optimizer:
        return muon.Muon(self.groups(network, pretrained), self.lr, self.momentum)

    def groups(self, network: nn.Module, pretrained: bool) -> list[dict[str, Any]]:
        """Return the parameters in groups, and of how many matrices the kernels of each are."""
        counts = {m.weight: m.groups for m in network.modules() if isinstance(m, nn.Conv2d)}
        found = []
        for group in super().groups(network, pretrained):
            kinds: dict[int, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                matrices = counts.get(parameter, 1) if group["orthogonal"] else 1
                kinds.setdefault(matrices, []).append(parameter)
            found += [{**group, "params": own, "matrices": n} for n, own in kinds.items()]
        return found

    def settings(self, parameter: nn.Parameter, in_head: bool) -> dict[str, Any]:
        """Return the same, and whether steps are orthogonal."""
        # A depthwise kernel is a row of nine weights: there is nothing to make orthogonal.
        if parameter.dim() == 4 and parameter.shape[1] > 1 and not in_head:
            return {"lr": self.lr, "weight_decay": 0.0, "orthogonal": True}
        rest = super().settings(parameter, in_head)
        return {**rest, "lr": self.rest_lr, "orthogonal": False}

    def _name(self) -> str:
        return (
            f"Muon on convolutions, momentum {self.momentum:g}; "
            f"on the rest SGD, rate {self.rest_lr:g}"
        )


OPTIMIZERS = named(SGD, Adam, AdamW, LARS, Muon)
