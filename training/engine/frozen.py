"""Frozen blocks of a network, computed as a CPU predicts fastest.

What is frozen needs neither gradients nor the statistics of its batches, so its convolutions, BN
and activations are one pass over memory each (see `inference/networks/fused.py`), under bf16's
autocast; in fp32 every bit stays.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inference.networks import fused


def make_fast(network: nn.Module) -> None:
    """Give the blocks of which nothing is trained a fast forward pass.

    Their weights and names stay. The fast pass takes its weights when it runs for the first time,
    after a run that goes on has loaded its own.
    """
    for block in network.modules():
        is_frozen = not any(p.requires_grad for p in block.parameters())
        if type(block) in fused.BLOCKS and is_frozen and fused.is_available(torch.bfloat16):
            block.forward = _Forward(block)  # type: ignore[assignment]


class _Forward:
    def __init__(self, block: nn.Module) -> None:
        self.block, self.fast = block, None

    def __call__(self, x: Tensor) -> Tensor:
        block = self.block
        in_bf16 = torch.is_autocast_enabled("cpu")
        in_bf16 = in_bf16 and torch.get_autocast_dtype("cpu") is torch.bfloat16
        if block.bn1.training or x.requires_grad or not in_bf16:
            return type(block).forward(block, x)
        if self.fast is None:
            self.fast = fused.BLOCKS[type(block)](block, torch.bfloat16).requires_grad_(False)
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            return self.fast(x.to(torch.bfloat16))
