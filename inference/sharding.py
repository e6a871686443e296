"""One job on several processes, as torchrun starts them: each takes its slice of the images."""

from __future__ import annotations

import os

import numpy as np

from inference import UserError


def rank_and_world() -> tuple[int, int]:
    """Return this process's number and how many there are, as torchrun says; (0, 1) without it.

    Other launchers' variables (SLURM's, MPI's) count for nothing: their processes each work alone.

    Raises:
        UserError: the environment names several processes, but not where they meet.
    """
    rank, world = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    if world in ("", "1"):
        return 0, 1
    known = rank.isdecimal() and world.isdecimal() and int(rank) < int(world)
    if not known or not os.environ.get("MASTER_ADDR") or not _is_port("MASTER_PORT"):
        raise UserError(
            f"WORLD_SIZE is {world}, but RANK, MASTER_ADDR and MASTER_PORT do not go with it: "
            "start the processes with torchrun, or unset WORLD_SIZE"
        )
    return int(rank), int(world)


def _is_port(name: str) -> bool:
    port = os.environ.get(name, "")
    return port.isdecimal() and int(port) < 2**16


def local_rank_and_world() -> tuple[int, int]:
    """Return this process's number on its host and how many are there; (0, 1) where nothing says.

    Raises:
        UserError: as `rank_and_world`; LOCAL_RANK or LOCAL_WORLD_SIZE does not fit WORLD_SIZE.
    """
    _, world = rank_and_world()
    if world == 1:
        return 0, 1
    here, local = (os.environ.get(n) for n in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    if here is None and local is None:  # one a host, as Kubernetes' operators start them
        return 0, 1
    here, local = here or "0", local or "1"
    known = here.isdecimal() and local.isdecimal() and int(here) < int(local)
    if not known or world % int(local):
        raise UserError(
            f"LOCAL_RANK is {here} and LOCAL_WORLD_SIZE {local}, which does not go with WORLD_SIZE "
            f"{world}: start the processes with torchrun, or unset all of them"
        )
    return int(here), int(local)


def gather(labels: np.ndarray, total: int) -> np.ndarray:
    """Bring the processes' labels together, (total,) on every one of them.

    Args:
        labels: of this process's images; or a row of numbers for each of them.
        total: how many images all processes have.

    Raises:
        UserError: the processes do not find each other.
    """
    _, world = rank_and_world()
    if world == 1:
        return labels
    import torch.distributed as dist

    parts: list = [None] * world
    try:
        dist.init_process_group("gloo")
        dist.all_gather_object(parts, labels)
    except (RuntimeError, ValueError, OSError) as error:
        where = "{MASTER_ADDR}:{MASTER_PORT}".format(**os.environ)
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(
            f"the {world} processes do not meet at {where} ({reason}): start them with torchrun"
        ) from error
    dist.destroy_process_group()
    whole = np.empty((total, *labels.shape[1:]), labels.dtype)
    for part in range(world):
        whole[part::world] = parts[part]
    return whole
