"""A pre-training that several processes share: python -m tests.training.byol.distributed OUT [bn].

Views without draws and, if not asked for, no BN, which would normalise by the whole batch in one
process: the steps are the same. (Without BN they collapse, which is let be.) Each process leaves
its weights and its draws in `OUT/RANK.pt`.
"""

import os
import sys
from pathlib import Path

import torch
from torch import nn

from tests.training.byol import tiny
from training.byol.module import Byol
from training.data.batches import Batches
from training.engine.loop import train
from training.engine.schedules import Constant


def without_bn(network):
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, nn.Identity())


class Noting(tiny.PlainViews):
    """Plain views, and a draw that is noted."""

    draws = []

    def pair(self, images, size, normalise):
        """Return both views."""
        self.draws.append(torch.rand(1).item())
        return super().pair(images, size, normalise)


def main(out, bn):
    torch.manual_seed(0)
    module = Byol(tiny.recipe(schedule=Constant(), collapse=0.0, views_by=Noting()))
    if not bn:
        without_bn(module)
    pixels, labels = tiny.arrays()
    batches = Batches((pixels,), range(40), 8, shuffle=True)
    watching = Batches((pixels, labels), range(40), 16, shuffle=False)
    found = train(module, batches, watching, out / "run", log=lambda line: None)
    left = {"state": module.state_dict(), "draws": Noting.draws, "knn": found.score}
    torch.save(left, out / f"{os.environ.get('RANK', 0)}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), bn=sys.argv[2:] == ["bn"])
