"""What a result was measured with: versions and the machine, without its name or paths."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cmt_seg_ros import __version__

_PACKAGES = {"OpenVINO": "openvino", "rclpy": "rclpy", "NumPy": "numpy", "OpenCV": "opencv-python-headless"}


def versions() -> dict[str, str]:
    """Version by name, of what is installed."""
    found = {"cmt_seg_ros": __version__, "Python": platform.python_version()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Processor and how many of its cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor}, {cores} logical {'core' if cores == 1 else 'cores'}"
