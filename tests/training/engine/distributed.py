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

from training.classification.module import Classification
from training.classification.recipe import ClassificationRecipe
from training.data.batches import Batches
from training.engine.loop import train
from training.engine.optimizers import SGD
from training.engine.schedules import Constant

RECIPE = ClassificationRecipe(
    name="tiny",
    problem="p1",
    network="convnet",
    classes=2,
    arguments={"widths": [4, 8], "depths": [0], "scale": 1.0},
    epochs=2,
    batch_size=8,
    optimizer=SGD(0.05),
    schedule=Constant(),
    ema=0.5,
    size=16,
    precision="fp32",
)


class Plain(Classification):
    """A classifier that notes what this process drew and measured."""

    def __init__(self, recipe):
        super().__init__(recipe)
        self.draws, self.measured_images = [], 0

    def loss(self, images, labels):
        """Return the loss; note a draw."""
        self.draws.append(torch.rand(1).item())
        return super().loss(images, labels)

    def measure(self, network, images, labels):
        """Count this process's images."""
        self.measured_images += len(labels)
        super().measure(network, images, labels)


def batches(shuffle):
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pixels = random.integers(0, 200, (40, 16, 16, 3)) + 20 * labels[:, None, None, None]
    return Batches((pixels.astype(np.uint8), labels), range(40), 8 if shuffle else 13, shuffle)


def without_bn(network):
    for index, layer in enumerate(network.trunk):
        if isinstance(layer, nn.BatchNorm2d):
            network.trunk[index] = nn.Identity()


def main(out, bn, apart):
    torch.manual_seed(0)
    module = Plain(RECIPE)
    if not bn:
        without_bn(module.network)
    rank = os.environ.get("RANK", "0")
    run = out / (f"run{rank}" if apart and rank != "0" else "run")  # a host with its own disk
    found = train(module, batches(True), batches(False), run, log=lambda line: None)
    average = torch.load(run / "best.pth", weights_only=True) if rank == "0" else {}
    left = {
        "state": module.state_dict(),
        "average": average,
        "draws": module.draws,
        "images": module.measured_images,
        "score": found.score,
    }
    torch.save(left, out / f"{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), bn="bn" in sys.argv[2:], apart="apart" in sys.argv[2:])
