"""The online network and its target: BYOL (arXiv 2006.07733), section 3 and appendix F."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from inference import UserError


def expect_plain_head(network: nn.Module, name: str) -> None:
    """Raise UserError unless a network is a classifier whose head is one linear layer, `fc`."""
    head, other = getattr(network, "fc", None), getattr(network, "classifier", None)
    if not isinstance(head, nn.Linear) or other is not None:
        raise UserError(
            f"network={name}: pre-training takes a classifier whose head is one linear layer fc, "
            "such as resnet50 without head and logits in arguments="
        )


class OnlineNetwork(nn.Module):
    """Backbone, projector and predictor.

    Args:
        backbone: a classifier of `inference.networks` with a plain head, see
            `expect_plain_head`, of which `features` is used. Its `fc` has no part in this and keeps
            its start.
        projector: byol or simsiam.
        hidden: width of the heads' hidden layers.
        out: width of what they return.
    """

    def __init__(self, backbone: Any, projector: str, hidden: int, out: int) -> None:
        super().__init__()
        self.backbone = backbone
        backbone.fc.requires_grad_(False)
        make = {"byol": mlp, "simsiam": simsiam_mlp}[projector]
        self.projector = make(backbone.fc.in_features, hidden, out)
        self.predictor = mlp(out, hidden, out)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 3, H, W) -> projections and predictions, both (N, out)."""
        projections = self.projector(self.backbone.features(images))
        return projections, self.predictor(projections)


class TargetNetwork(nn.Module):
    """An average of an online network's backbone and projector; takes no gradient.

    Its BatchNorm normalises by the batch it is given, as the authors' does, in training and
    whenever else: so a target is a function of the same statistics as the prediction that meets
    it, and needs none of its own. Running statistics would lag behind weights that are an average
    already, and nobody would read them: they are left out. Scales and shifts are averaged like
    all parameters.

    With `norm=running`, which is there to be compared, it normalises by running statistics,
    those of the online network: projections shrink together, and features lose (docs/results.md).
    """

    def __init__(self, online: OnlineNetwork, norm: str) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(online.backbone)
        self.projector = copy.deepcopy(online.projector)
        self.by_batch = norm == "batch"
        for module in self.modules():
            if self.by_batch and isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.track_running_stats = False
                module.running_mean = module.running_var = module.num_batches_tracked = None
        self.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> TargetNetwork:
        """Set what BN normalises by, whatever the mode of the rest."""
        return super().train(mode and self.by_batch)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> projections (N, out)."""
        return self.projector(self.backbone.features(images))


def mlp(channels: int, hidden: int, out: int) -> nn.Sequential:
    """Return a head as the paper's: linear, BN, ReLU, linear."""
    return nn.Sequential(
        nn.Linear(channels, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, out),
    )


def simsiam_mlp(channels: int, hidden: int, out: int) -> nn.Sequential:
    """Return SimSiam's projector (arXiv 2011.10566): three layers, each with a BN."""
    layers: list[nn.Module] = []
    for width in (hidden, hidden):
        layers += [nn.Linear(channels, width, bias=False), nn.BatchNorm1d(width)]
        layers += [nn.ReLU(inplace=True)]
        channels = width
    layers += [nn.Linear(channels, out, bias=False), nn.BatchNorm1d(out, affine=False)]
    return nn.Sequential(*layers)


def distance(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean squared distance of the normalised vectors, 2 - 2 cos, in [0, 4].

    In fp32: late in training cosines are so near 1 that bf16 would round them to 1.
    """
    predictions, targets = (F.normalize(v.float(), dim=1) for v in (predictions, targets))
    return (2 - 2 * (predictions * targets).sum(1)).mean()


def spread(projections: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation of the normalised projections, times sqrt(dimensions).

    1: they point everywhere alike. 0: to one point, a collapse.
    """
    unit = F.normalize(projections.detach().float(), dim=1)
    return unit.std(0, correction=0).mean() * math.sqrt(unit.shape[1])
