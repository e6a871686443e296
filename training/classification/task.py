"""A classifier in training."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from training import augment
from training.engine.module import Task


class Classification(Task):
    """Cross-entropy on augmented images; the score is the accuracy on held-out ones.

    With `frozen` the classifier alone learns. The backbone has no gradients, so that no graph is
    kept of it and the optimiser does not have it; it stays in eval mode, so that the statistics
    of its BatchNorm stay too; and the average leaves it alone, since even the mean of two equal
    numbers need not be that number (0 and -0).
    """

    score_name = "accuracy"
    counts = ("right", "seen")

    def __init__(self, recipe):
        super().__init__(recipe)
        self.right = self.seen = 0
        if recipe.frozen:
            self.network.requires_grad_(False)
            learner(self.network).requires_grad_(True)
            self.train()

    def train(self, mode: bool = True):
        """Puts all that learns into train mode: what is frozen is always in eval mode."""
        super().train(mode)
        if self.recipe.frozen:
            self.network.eval()
            learner(self.network).train(mode)
        return self

    def on_train_start(self):
        """As `Task` does; what is frozen is no part of the average's steps."""
        super().on_train_start()
        if self.recipe.frozen:
            both = [learner(n).state_dict().values() for n in (self.average, self.network)]
            self._floats = [[v for v in values if v.is_floating_point()] for values in both]

    def _agree(self):
        # The mean of equal statistics may differ from them in the last bit.
        kept = _frozen_buffers(self) if self.recipe.frozen else []
        before = [buffer.clone() for buffer in kept]
        super()._agree()
        for buffer, value in zip(kept, before, strict=True):
            buffer.copy_(value)

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Args: images uint8 (N, S, S, 3) at the cache's size; labels int64 (N,)."""
        recipe = self.recipe
        with self.exact():  # a convolution of an augmentation would round the pixels
            images, targets = vary(self.unit(images), labels, recipe)
            if self.current_epoch < recipe.early * recipe.epochs:
                side = recipe.early_size
                images = F.interpolate(images, size=side, mode="bilinear", antialias=True)
            images = self.normalise(images)
        logits = self.network(images)
        return F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)

    def measure(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Args: as `loss`, but images at the network's size."""
        logits = self.average(self.normalise(self.unit(images)))
        self.right += int((logits.argmax(1) == labels).sum())
        self.seen += len(labels)

    def score(self) -> float:
        """Accuracy in [0, 1]."""
        accuracy = self.right / self.seen
        self.right = self.seen = 0
        return accuracy


def learner(network: nn.Module) -> nn.Module:
    """Gives the classifier of a ResNet: what learns when the rest is frozen."""
    return network.fc if network.classifier is None else network.classifier


def _frozen_buffers(task: Classification) -> list[torch.Tensor]:
    found = []
    for network in {task.network, task.average}:
        own = {id(buffer) for buffer in learner(network).buffers()}
        found += [buffer for buffer in network.buffers() if id(buffer) not in own]
    return found


def vary(images: torch.Tensor, labels: torch.Tensor, recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """Augments a batch as its recipe says: places first, then colours, then mixtures.

    Args:
        images: float (N, 3, S, S) in [0, 1] at the cache's size.
        labels: int64 (N,).

    Returns:
        Images (N, 3, size, size) in [0, 1] and targets (N, classes), whose rows sum to 1.
    """
    if recipe.crop:
        area = (recipe.crop, 1.0)
        images, _ = augment.crop(images, recipe.size, area, degrees=recipe.degrees)
    if recipe.shift:
        images = augment.shift(images, recipe.shift)
    images = augment.flip(images, recipe.flip)
    if recipe.rotate:
        images, _ = augment.rotate(images, recipe.rotate)
    if recipe.trivial:
        images = augment.trivial(images, recipe.trivial)
    if recipe.jitter:
        images = augment.jitter(images, *[recipe.jitter] * 3)
    if recipe.grey:
        images = augment.to_grey(images, recipe.grey)
    if recipe.blur:
        images = augment.blur(images, recipe.blur)
    targets = F.one_hot(labels, recipe.classes).float()
    if recipe.cutmix:
        images, targets = augment.cutmix(images, targets, recipe.cutmix)
    if recipe.mixup:
        images, targets = augment.mixup(images, targets, 1.0, recipe.mixup)
    if recipe.cutout:
        images = augment.cutout(images, recipe.cutout)
    return images, targets
