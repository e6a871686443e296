"""The learning rate: its course over a run, and who gets which part of it.

warm_cosine     linear from 0 to `lr`, then half a cosine down to `lr_min`
step            `lr`, times `gamma` after every `period` (torch's StepLR)
cosine_restart  a cosine between `lr` and `lr_min`, half a wave a `period`, that goes on up and
                down after the first (torch's CosineAnnealingLR beyond its T_max)
constant        `lr`
"""

from __future__ import annotations

import math
import re

import torch
from torch import nn

from inference import UserError
from training.lars import Lars

# Stages by name: layer1 ... layer4 of a ResNet, blocks.0 ... blocks.6 of an EfficientNet
STAGE = re.compile(r"(?:^|\.)layer([1-4])\.|^(?:backbone\.)?blocks\.([0-6])\.")
RESNET, EFFICIENTNET = 4, 7  # how many there are


def factor(recipe, step: int, steps: int) -> float:
    """Gives the factor on every rate at a step.

    Args:
        recipe: a `training.recipe.Recipe`.
        step: how many steps are done.
        steps: of one epoch.
    """
    low = recipe.lr_min / recipe.lr
    if recipe.schedule == "warm_cosine":
        return warm_cosine(step / (steps * recipe.epochs), recipe.warmup, low)
    done = step if recipe.period_unit == "step" else step // steps
    if recipe.schedule == "step":
        return recipe.gamma ** (done // recipe.period)
    if recipe.schedule == "cosine_restart":
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done / recipe.period))
    return 1.0


def warm_cosine(progress: float, warmup: float, low: float = 0.0) -> float:
    """Gives the factor on the rate: linear from 0 to 1, then half a cosine down to `low`.

    Args:
        progress: share of all steps done, in [0, 1].
        warmup: share of all steps that the rise takes.
    """
    if progress < warmup:
        return progress / warmup
    fallen = min(1.0, (progress - warmup) / (1 - warmup))
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * fallen))


def optimizer(recipe, network: nn.Module) -> torch.optim.Optimizer:
    """Makes the optimiser: a group for each rate and weight decay that parameters have."""
    groups = list(_groups(recipe, network).values())
    if recipe.optimizer == "sgd":
        nesterov = recipe.nesterov and recipe.momentum > 0
        fused = next(network.parameters()).is_cuda  # one launch instead of dozens
        return torch.optim.SGD(groups, recipe.lr, recipe.momentum, nesterov=nesterov, fused=fused)
    if recipe.optimizer == "lars":
        return Lars(groups, recipe.lr, recipe.momentum)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, recipe.lr, fused=True)  # on a CPU too it takes a fifth of the time


def _groups(recipe, network: nn.Module) -> dict[tuple, dict]:
    names = [name for name, _ in network.named_parameters()]
    stages = max((_stage(name)[1] for name in names), default=0)
    if recipe.layer_decay != 1 and not stages:
        raise UserError(
            "layer_decay is for ResNets and EfficientNets; "
            f"{recipe.network} has no stages: leave it at 1"
        )
    groups: dict[tuple, dict] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = recipe.lr * share(name, recipe.head_lr, recipe.stage_factor(), stages)
        # Norms and biases are no weights that a product could do without.
        decays = recipe.decay_all or parameter.dim() > 1
        decay = recipe.weight_decay if decays else 0.0
        group = {"params": [], "lr": rate, "weight_decay": decay}
        groups.setdefault((rate, decay), group)["params"].append(parameter)
    return groups


def share(name: str, head: float, decay: float, stages: int = RESNET) -> float:
    """Return a parameter's share of the rate.

    The classifier has `head`; the stages have `decay`, `decay`^2, ... from the last to the first,
    and what comes before them one power more. EfficientNet's last convolution, which comes after
    its stages, has `decay` too.

    Args:
        name: the parameter's, as in the state dict.
        stages: of the network: `RESNET` or `EFFICIENTNET`.
    """
    if re.match(r"(fc|classifier|aux_classifier|decoder)\.", name):
        return head
    if stages == EFFICIENTNET and re.match(r"(backbone\.)?(conv_head|bn2)\.", name):
        return decay
    return decay ** (stages + 1 - _stage(name)[0])


def _stage(name: str) -> tuple[int, int]:
    """Return which stage a parameter is of, from 1, and of how many; zeros before them."""
    found = STAGE.search(name)
    if not found:
        return 0, 0
    return (int(found[1]), RESNET) if found[1] else (int(found[2]) + 1, EFFICIENTNET)
