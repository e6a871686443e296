"""A small training of several processes: python -m tests.training.engine.distributed OUT [WHAT].

No augmentation and, if not asked for, no BN: the steps are those of one process. Each process
leaves its weights, its random draws and what it measured in `OUT/RANK.pt`.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.classification.recipes import Recipe
from training.classification.task import Classification
from training.data import cache as memory
from training.engine.loop import fit

RECIPE = Recipe(
    name="tiny",
    task="p1",
    network="convnet",
    classes=2,
    arguments={"widths": [4, 8], "depths": [0], "scale": 1.0},
    epochs=2,
    batch_size=8,
    schedule="constant",
    lr=0.05,
    ema=0.5,
    size=16,
    cache_size=16,
    flip=0.0,
    precision="fp32",
)


class Plain(Classification):
    """Counts as tasks do whose held-out images are shared out."""

    counts = ("right", "seen")

    def __init__(self, recipe):
        super().__init__(recipe)
        self.draws, self.measured_images = [], 0

    def loss(self, images, labels):
        """As the classifier's; notes a draw."""
        self.draws.append(torch.rand(1).item())
        return super().loss(images, labels)

    def measure(self, images, labels):
        """As the classifier's; counts this process's images."""
        self.measured_images += len(labels)
        super().measure(images, labels)


def batches(shuffle):
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pixels = random.integers(0, 200, (40, 16, 16, 3)) + 20 * labels[:, None, None, None]
    return memory.Batches(
        (pixels.astype(np.uint8), labels), range(40), 8 if shuffle else 13, shuffle
    )


def without_bn(network):
    for index, layer in enumerate(network.trunk):
        if isinstance(layer, nn.BatchNorm2d):
            network.trunk[index] = nn.Identity()


def main(out, bn, apart):
    torch.manual_seed(0)
    task = Plain(RECIPE)
    if not bn:
        without_bn(task.network)
        without_bn(task.average)
    rank = os.environ.get("RANK", "0")
    run = out / (f"run{rank}" if apart and rank != "0" else "run")  # a host with its own disk
    found = fit(task, batches(True), batches(False), run, say=lambda line: None)
    left = {
        "state": task.state_dict(),
        "draws": task.draws,
        "images": task.measured_images,
        "score": found["held_out"],
    }
    torch.save(left, out / f"{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), bn="bn" in sys.argv[2:], apart="apart" in sys.argv[2:])
