"""Distributed training: the same program in one process or several (torchrun)."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from torch import distributed, nn

from cmt_seg_ros.errors import DeviceError


def start(device: str) -> tuple[int, int, torch.device]:
    """Join the processes that torchrun started, if it did.

    Args:
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``: a GPU where there is one.

    Returns:
        (rank, number of processes, this process's device).

    Raises:
        DeviceError: fewer GPUs than processes.
    """
    kind = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    local, world = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if kind == "cuda" and torch.cuda.device_count() <= local:
        raise DeviceError(
            f"process {local} on this machine needs a GPU of its own, and PyTorch finds {torch.cuda.device_count()}; "
            "start fewer processes, or use --device cpu"
        )
    mine = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(mine)
    if world == 1:
        return 0, 1, mine
    # While process 0 scores on val the others wait: longer than the default of ten minutes where val is large.
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=timedelta(hours=2))
    return distributed.get_rank(), world, mine


def is_first() -> bool:
    """Say whether this process is the one that prints, also before :func:`start`."""
    return os.environ.get("RANK", "0") == "0"


def shared(model: nn.Module, world: int, device: torch.device) -> nn.Module:
    """Wrap the model for training: gradients averaged over processes; on GPUs BatchNorm statistics, too."""
    if world == 1:
        return model
    if device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return nn.parallel.DistributedDataParallel(model, [device] if device.type == "cuda" else None)


def wait() -> None:
    """Wait until every process has come this far."""
    if distributed.is_initialized():
        distributed.barrier()


def stop() -> None:
    """Leave the group of processes in order."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
