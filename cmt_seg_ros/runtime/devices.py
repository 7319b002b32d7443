"""Devices of OpenVINO: which of a chain are available, their settings, and the cache of compiled networks."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import openvino as ov

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import CmtSegError

PRECISIONS = {"f32": ov.Type.f32, "bf16": ov.Type.bf16, "f16": ov.Type.f16}
VIRTUAL = ("AUTO", "HETERO", "MULTI", "BATCH")


def available(core: ov.Core, chain: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """Return the devices of a chain that are available, and for each of the others why it is not used."""
    there = [name.split(".")[0] for name in core.available_devices]
    missing = {
        device: "not available" for device in chain if not is_virtual(device) and device.split(".")[0] not in there
    }
    return [device for device in chain if device not in missing], missing


def is_virtual(device: str) -> bool:
    """Return whether a name, such as AUTO, stands for a device that OpenVINO chooses."""
    return device.split(":")[0] in VIRTUAL


def options(device: str, config: SegmentationConfig) -> dict[str, Any]:
    """Return the settings of a compiled graph on a device, for ``config.num_requests`` infer requests at a time.

    Threads and pinning are set only where the chain names the CPU itself. There each request gets a stream of its own
    and the streams share the threads. Threads are not pinned to cores by default: every process would pin its first
    thread to the same first core.
    """
    requests = max(1, config.num_requests)
    hint = "LATENCY" if requests == 1 else "THROUGHPUT"
    settings: dict[str, Any] = {"PERFORMANCE_HINT": hint, "PERFORMANCE_HINT_NUM_REQUESTS": requests}
    if device.split(".")[0] == "CPU":
        settings = {"NUM_STREAMS": requests, "ENABLE_CPU_PINNING": config.cpu_pinning}
        if config.num_threads:
            settings["INFERENCE_NUM_THREADS"] = config.num_threads
    if config.precision != "auto":
        settings["INFERENCE_PRECISION_HINT"] = PRECISIONS[config.precision]
    return settings


def full_name(core: ov.Core, device: str) -> str:
    """Return the full name of a device, e.g. of the processor; its plain name if it does not report one."""
    try:
        return str(core.get_property(device, "FULL_DEVICE_NAME"))
    except RuntimeError:
        return device


def cache_folder(config: SegmentationConfig) -> Path:
    """Return the folder of compiled networks and tuning results, which make the second start quick."""
    if config.cache_dir:
        return Path(config.cache_dir).expanduser()
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "cmt_seg_ros" / "openvino"


def open_cache(folder: Path, most: int) -> bool:
    """Create the folder and delete all but the newest networks, see :func:`prune_cache`; tell if it can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    prune_cache(folder, most)
    return os.access(folder, os.W_OK)


def prune_cache(folder: Path, most: int) -> None:
    """Delete all but the ``most`` newest compiled networks, one for each device and set of images."""
    with contextlib.suppress(OSError):  # another node may be deleting the same ones
        blobs = sorted(folder.glob("*.blob"), key=lambda path: path.stat().st_mtime)
        for old in blobs[:-most]:
            old.unlink(missing_ok=True)


def fingerprint(*parts: object) -> str:
    """Return a short hash of everything that an entry of the cache depends on."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def reason(error: Exception) -> str:
    """Return the text of an error in one line, without the places in OpenVINO's sources that its own begin with."""
    if isinstance(error, CmtSegError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from ", "Check '", "While validating node "))]
    return " ".join(told or lines[-1:]) or type(error).__name__
