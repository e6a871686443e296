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
from training.byol.task import Byol

from tests.training.byol import tiny
from training.byol import views
from training.data import cache as memory
from training.engine.loop import fit


def without_bn(network):
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, nn.Identity())


def main(out, bn):
    torch.manual_seed(0)
    draws = []

    def pair(*arguments):
        draws.append(torch.rand(1).item())
        return tiny.plain_pair(*arguments)

    views.pair = pair
    task = Byol(tiny.recipe(schedule="constant", collapse=0.0))
    if not bn:
        without_bn(task)
    pixels, labels = tiny.arrays()
    batches = memory.Batches((pixels,), range(40), 8, shuffle=True)
    watching = memory.Batches((pixels, labels), range(40), 16, shuffle=False)
    found = fit(task, batches, watching, out / "run", say=lambda line: None)
    left = {"state": task.state_dict(), "draws": draws, "knn": found["held_out"]}
    torch.save(left, out / f"{os.environ.get('RANK', 0)}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), bn=sys.argv[2:] == ["bn"])
