"""Frozen blocks of a network, computed as a CPU predicts fastest.

What is frozen needs neither gradients nor the statistics of its batches. So each convolution of a
frozen block is one pass over memory, together with its BN and its activation (see
`inference/networks/fused.py`), under bf16's autocast; in fp32 every bit stays.

Some of these blocks overwrite their input. It is the output of another frozen layer, which nobody
else reads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from inference.networks import fused
from training.engine.precision import dtype_of


def make_fast(network: nn.Module) -> None:
    """Give the blocks of which nothing is trained a fast forward pass.

    Their weights and names stay. The fused weights are made at the first pass in bf16, when those
    of a run that goes on have been loaded, and never again.
    """
    blocks = [b for b in network.modules() if type(b) in fused.BLOCKS and not _is_trained(b)]
    if blocks and fused.is_available(torch.bfloat16):
        for block in blocks:
            block.forward = _Forward(block)  # type: ignore[assignment]


def _is_trained(block: nn.Module) -> bool:
    return block.bn1.training or any(p.requires_grad for p in block.parameters())  # type: ignore


class _Forward:
    def __init__(self, block: nn.Module) -> None:
        self.block = block
        self.fused: nn.Module | None = None

    def __call__(self, x: Tensor) -> Tensor:
        kind = type(self.block)
        if dtype_of(x) is not torch.bfloat16 or x.requires_grad or _is_trained(self.block):
            return kind.forward(self.block, x)
        if self.fused is None:
            self.fused = fused.BLOCKS[kind](self.block, torch.bfloat16)
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            return self.fused(x.to(torch.bfloat16))

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: oneDNN's weights cannot be copied."""
        return {"block": self.block, "fused": None}
