"""OpenVINO devices: which of a chain are there, and with which settings they run one graph."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import openvino as ov

from cmt_seg_ros.config import SegmentationConfig

PRECISIONS = {"f32": ov.Type.f32, "bf16": ov.Type.bf16, "f16": ov.Type.f16}
BLOBS_KEPT = 64  # one is a few megabytes: a graph on a device
VIRTUAL = ("AUTO", "HETERO", "MULTI", "BATCH")


def available(core: ov.Core, chain: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """The devices of a chain that are there, and why the others are not used."""
    there = [name.split(".")[0] for name in core.available_devices]
    missing = {
        device: "not available" for device in chain if not is_virtual(device) and device.split(".")[0] not in there
    }
    return [device for device in chain if device not in missing], missing


def is_virtual(device: str) -> bool:
    """Whether a name, such as AUTO, stands for a device that OpenVINO chooses."""
    return device.split(":")[0] in VIRTUAL


def options(device: str, config: SegmentationConfig) -> dict[str, Any]:
    """Settings of a compiled graph on a device, for as many infer requests at a time as the config says.

    Threads and pinning are settings of the CPU, where the chain names it itself. There each request gets a stream of
    its own and the streams share the threads. Threads are not pinned to cores unless asked for: every process would
    pin its first thread to the same first core.
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
    """What the device calls itself, e.g. a processor's name; its plain name where it says nothing."""
    try:
        return str(core.get_property(device, "FULL_DEVICE_NAME"))
    except RuntimeError:
        return device


def cache_folder(config: SegmentationConfig) -> Path:
    """Where compiled networks and tuning results are kept, so that the second start is quick."""
    if config.cache_dir:
        return Path(config.cache_dir).expanduser()
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "cmt_seg_ros" / "openvino"


def open_cache(folder: Path) -> bool:
    """Make the folder and delete all but the newest BLOBS_KEPT networks; False if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    with contextlib.suppress(OSError):  # another node may be deleting the same ones
        blobs = sorted(folder.glob("*.blob"), key=lambda path: path.stat().st_mtime)
        for old in blobs[:-BLOBS_KEPT]:
            old.unlink(missing_ok=True)
    return os.access(folder, os.W_OK)


def fingerprint(*parts: object) -> str:
    """Short name of what something in the cache depends on."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def last_line(error: Exception) -> str:
    """What OpenVINO says in the end, after where in its sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
