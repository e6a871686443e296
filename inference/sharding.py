"""One job on several processes, as torchrun starts them: each takes its slice of the images."""

from __future__ import annotations

import os

import numpy as np

from inference import UserError


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun says; (0, 1) without it.

    Raises:
        UserError: the environment names several processes, but not where they meet.
    """
    rank, world = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    if world in ("", "1"):
        return 0, 1
    known = rank.isdecimal() and world.isdecimal() and int(rank) < int(world)
    if not known or not {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        raise UserError(
            f"WORLD_SIZE is {world}, but RANK, MASTER_ADDR and MASTER_PORT do not go with it: "
            "start the processes with torchrun, or unset WORLD_SIZE"
        )
    return int(rank), int(world)


def gather(labels: np.ndarray, total: int) -> np.ndarray:
    """Brings the processes' labels together, (total,) on every one of them."""
    _, world = rank_and_world()
    if world == 1:
        return labels
    import torch.distributed as dist

    dist.init_process_group("gloo")
    parts: list = [None] * world
    dist.all_gather_object(parts, labels)
    dist.destroy_process_group()
    whole = np.empty(total, labels.dtype)
    for part in range(world):
        whole[part::world] = parts[part]
    return whole
