"""What a layer computes in."""

from __future__ import annotations

import torch
from torch import Tensor


def dtype_of(x: Tensor) -> torch.dtype:
    """Return what a layer with the input `x` computes in: autocast's type where it is on."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
