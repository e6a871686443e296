"""A classifier in training."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from inference import UserError
from inference.networks import head_prefixes, stage_of
from training.augment.augmentations import apply
from training.engine.module import TrainingModule


class Classification(TrainingModule):
    """Cross-entropy on augmented images; the score is the accuracy on held-out ones.

    With `frozen` the head alone learns, with `frozen_stages` all but the first stages. What is
    frozen has no gradients, so that no graph is kept of it and the optimiser does not have it, and
    it stays in eval mode, so that the statistics of its BatchNorm stay too.
    """

    metric = "accuracy"
    reduced_counters = ("right", "seen")

    def __init__(self, recipe) -> None:
        super().__init__(recipe)
        self.right = self.seen = 0
        if recipe.frozen:
            if not hasattr(self.network, "head"):
                raise UserError(f"frozen is for ResNets; {recipe.network} is trained as a whole")
            self.network.requires_grad_(False)
            self.network.head.requires_grad_(True)
        self.frozen_layers = layers_before(self.network, recipe.frozen_stages)
        for layer in self.frozen_layers:
            layer.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Classification:
        """Put all that learns into train mode: what is frozen is always in eval mode."""
        super().train(mode)
        if self.recipe.frozen:
            self.network.eval()
            self.trained_part(self.network).train(mode)
        for layer in self.frozen_layers:
            layer.eval()
        return self

    def trained_part(self, network: Any) -> nn.Module:
        """Return the head where the rest is frozen, else the network."""
        return network.head if self.recipe.frozen else network

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of a batch.

        Args:
            images: uint8 (N, S, S, 3) at the cache's size.
            labels: int64 (N,).
        """
        recipe = self.recipe
        with self.full_precision():  # a convolution of an augmentation would round the pixels
            targets = F.one_hot(labels, recipe.classes).float()
            images, targets = apply(recipe.augment, self.to_float(images), targets, recipe.size)
            if self.epoch < recipe.small_until * recipe.epochs:
                side = recipe.small_size
                images = F.interpolate(images, size=side, mode="bilinear", antialias=True)
            images = self.normalise(images)
        return recipe.loss(self.network(images), targets)

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        """Count right answers; arguments as `loss`, but images at the network's size."""
        logits = network(self.normalise(self.to_float(images)))
        self.right += int((logits.argmax(1) == labels).sum())
        self.seen += len(labels)

    def score(self) -> dict[str, float]:
        """Return the accuracy, in [0, 1]."""
        accuracy = self.right / self.seen
        self.right = self.seen = 0
        return {self.metric: accuracy}


def layers_before(network: nn.Module, stages: int) -> list[nn.Module]:
    """Return the layers that have weights, from the first to the last of the first `stages` stages.

    Raises:
        UserError: the network has no stages, or not more than that.
    """
    if not stages:
        return []
    layers = [(name, layer) for name, layer in network.named_modules() if layer._parameters]
    of_head = head_prefixes(network)
    numbers = {name: stage_of(network, f"{name}.weight") for name, _ in layers}
    last = max((number or 0 for number in numbers.values()), default=0)
    if stages >= last:
        has = f"{last} stages" if last else "no stages"
        raise UserError(f"frozen_stages={stages}: {type(network).__name__} has {has}")
    return [
        layer
        for name, layer in layers
        if not f"{name}.".startswith(of_head) and (numbers[name] or 0) <= stages
    ]
