"""A classifier in training."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from inference import UserError
from inference.networks import head_prefixes, stage_of
from training.augment.augmentations import apply
from training.classification.recipe import ClassificationRecipe
from training.engine.module import TrainingModule


class Classification(TrainingModule):
    """Cross-entropy on augmented images; the score is the accuracy on held-out ones.

    With `frozen` the head alone learns, with `frozen_stages` what follows the first so many
    stages. What is frozen has no gradients, so that no graph is kept of it and the optimiser does
    not have it, and it stays in eval mode, so that the statistics of its BatchNorm stay too.
    """

    metric = "accuracy"
    reduced_counters = ("right", "seen")

    def __init__(self, recipe: ClassificationRecipe) -> None:
        super().__init__(recipe)
        self.right = self.seen = 0
        if recipe.frozen and not hasattr(self.network, "head"):
            raise UserError(f"frozen is for ResNets; {recipe.network} is trained as a whole")
        # Their names: SyncBatchNorm puts other layers in their places.
        self.frozen = frozen_layers(self.network, recipe)
        for name in self.frozen:
            self.network.get_submodule(name).requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Classification:
        """Put all that learns into train mode: what is frozen is always in eval mode."""
        super().train(mode)
        if self.recipe.frozen:
            self.network.eval()
            self.network.head.train(mode)  # type: ignore[union-attr]
        for name in self.frozen:
            self.network.get_submodule(name).eval()
        return self

    def is_trained(self, key: str) -> bool:
        """Return whether what has this key in the network's state dict is trained, not frozen."""
        return key.rpartition(".")[0] not in self.frozen

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


def frozen_layers(network: Any, recipe: ClassificationRecipe) -> frozenset[str]:
    """Return the names of the layers with weights that a recipe leaves as they came.

    Raises:
        UserError: the network has no stages, or none would be left to train.
    """
    if not (recipe.frozen or recipe.frozen_stages):
        return frozenset()
    names = [name for name, layer in network.named_modules() if layer._parameters]
    if recipe.frozen:
        trained = {id(layer) for layer in network.head.modules()}
        return frozenset(n for n in names if id(network.get_submodule(n)) not in trained)
    stages = {name: stage_of(network, f"{name}.weight") or 0 for name in names}
    last = max(stages.values())
    if recipe.frozen_stages >= last:
        kind = type(network).__name__
        can = f"{last} stages: at most {last - 1} can be frozen" if last else "no stages"
        raise UserError(f"frozen_stages={recipe.frozen_stages}: {kind} has {can}")
    of_head = head_prefixes(network)
    return frozenset(
        name
        for name in names
        if stages[name] <= recipe.frozen_stages and not f"{name}.".startswith(of_head)
    )
