"""Where a training computes, and how: devices, processes, precision, and what is fast there."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
import torch.distributed as dist
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.fabric.strategies import DDPStrategy
from torch import nn

from inference import UserError
from inference.device import fast_precisions
from inference.sharding import local_rank_and_world, rank_and_world
from training.engine import amx, depthwise, dilated, frozen, pointwise
from training.engine.ema import EMA
from training.engine.module import TrainingModule
from training.engine.recipe import Recipe


def make_fabric(recipe: Recipe) -> Fabric:
    """Return Fabric's handle on the devices: one process each, as many as torchrun started.

    Raises:
        UserError: a batch that cannot be shared equally, or more processes than GPUs.
    """
    _, world = rank_and_world()
    _, local = local_rank_and_world()
    gpus = torch.cuda.device_count()
    if recipe.batch_size % world:
        raise UserError(f"batch_size={recipe.batch_size} cannot be divided among {world} processes")
    if gpus and gpus < local:
        raise UserError(f"{local} processes on a host with {gpus} GPUs: start one for each")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # not its tips, nor what is known
    fabric = Fabric(
        accelerator="gpu" if gpus else "cpu",
        devices=local,
        num_nodes=world // local,
        # The buffers of BN are averaged once an epoch instead; a module's counters must not be
        # overwritten by those of rank 0.
        strategy=DDPStrategy(broadcast_buffers=False) if world > 1 else "auto",
        precision=precision_of(recipe.precision),  # type: ignore[arg-type]
        plugins=[Processes()],
    )
    fabric.launch()
    return fabric


class Processes(TorchElasticEnvironment):
    """The processes that torchrun started, or one alone.

    Left to itself, Fabric would take a batch job of SLURM, LSF or MPI for several processes.
    """

    def world_size(self) -> int:
        return rank_and_world()[1]

    def global_rank(self) -> int:
        return rank_and_world()[0]

    def local_rank(self) -> int:
        return local_rank_and_world()[0]

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Check nothing: both are made of the same variables."""


def precision_of(wanted: str) -> str:
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    fast = wanted == "auto" and "bf16" in fast_precisions(device)
    return "bf16-mixed" if fast or wanted == "bf16" else "32-true"


def prepare(module: TrainingModule, fabric: Fabric) -> tuple[TrainingModule, EMA]:
    """Return the module on its device, as it will compute, and its average."""
    recipe = module.recipe
    exact = recipe.precision == "fp32"
    torch.set_float32_matmul_precision("highest" if exact else "high")
    torch.backends.cudnn.allow_tf32 = not exact  # convolutions have a switch of their own
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.to(fabric.device)
    ema = EMA(module.network, recipe.ema, module.is_trained)
    if fabric.device.type == "cpu":
        module.network.apply(depthwise.make_fast)
        for root in (module, ema.network):
            root.apply(dilated.make_fast)
            root.apply(amx.make_fast)
            if precision_of(recipe.precision) == "32-true":
                root.apply(pointwise.make_fast)
        if not recipe.compile:  # which would trace what is made at the first pass
            frozen.make_fast(module.network)
    elif fabric.world_size > 1:
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        ema.source = module.network
    if recipe.compile:
        for network in module.modules_to_compile():
            network.compile()
    return module, ema


@torch.no_grad()
def sync_bn_buffers(module: TrainingModule, ema: EMA, world: int) -> None:
    """Average the statistics of BN over the processes, each of which saw other images.

    What is frozen stays: the mean of equal statistics may differ from them in the last bit.
    """
    networks = dict.fromkeys([module.network, ema.network])
    buffers = [
        buffer
        for network in networks
        for key, buffer in network.named_buffers()
        if buffer.is_floating_point() and module.is_trained(key)
    ]
    if not buffers:
        return
    flat = torch.cat([buffer.flatten() for buffer in buffers])
    dist.all_reduce(flat)
    flat /= world
    parts = flat.split([buffer.numel() for buffer in buffers])
    for buffer, part in zip(buffers, parts, strict=True):
        buffer.copy_(part.view_as(buffer))


def expect_as_many(epochs: int, folder: Path, device: torch.device) -> None:
    """Raise UserError unless every process goes on from the same epoch, as it must in each step."""
    bounds = torch.tensor([epochs, -epochs], device=device)
    dist.all_reduce(bounds, dist.ReduceOp.MAX)
    if bounds[0].item() != -bounds[1].item():
        raise UserError(
            f"{epochs} epochs are done here, and not as many on every host: {folder} has to be one "
            "folder, which all of them share; or copy its last.ckpt to each"
        )
