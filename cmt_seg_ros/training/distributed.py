"""One process or several (torchrun): the same program."""

from __future__ import annotations

import os

import torch
from torch import distributed, nn


def start(device: str) -> tuple[int, int, torch.device]:
    """Join the processes that torchrun started, if it did.

    Args:
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``: a GPU where there is one.

    Returns:
        (rank, number of processes, this process's device).
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    kind = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if world == 1:
        return 0, 1, torch.device(kind)
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    local = torch.device(kind, int(os.environ["LOCAL_RANK"])) if kind == "cuda" else torch.device(kind)
    return distributed.get_rank(), world, local


def shared(model: nn.Module, world: int, device: torch.device) -> nn.Module:
    """The model for training: gradients averaged over processes; on GPUs BatchNorm statistics, too."""
    if world == 1:
        return model
    if device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return nn.parallel.DistributedDataParallel(model, [device] if device.type == "cuda" else None)


def wait() -> None:
    """Let every process come this far."""
    if distributed.is_initialized():
        distributed.barrier()


def stop() -> None:
    """Leave the other processes in order."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
