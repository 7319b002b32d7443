"""Checks of `cmt-seg doctor` that need no ROS: Python, devices, processor, model, cache; and how to run any check.

Each check imports the libraries it needs itself, so that a missing one is a row of the table and not a traceback.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cmt_seg_ros
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.requirements import REQUIREMENTS, missing, pip_line

OK, WARNING, ERROR = "ok", "warning", "error"
MB = 1 << 20
SYS_CLASS = Path("/sys/class")
# Any of these words among the flags in /proc/cpuinfo.
FEATURES = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "bf16": ("avx512_bf16", "amx_bf16"),
    "AMX": ("amx_tile",),
}
INTEL = "0x8086"
KERNEL_NAMES = {"GPU": "drm/renderD*", "NPU": "accel/accel*"}


@dataclass(frozen=True)
class CheckResult:
    """One row of the table.

    Attributes:
        check: what was looked at.
        state: OK, WARNING or ERROR.
        found: what is there; may have several lines.
        advice: what to do; "" for nothing.
    """

    check: str
    state: str
    found: str
    advice: str = ""


def run_check(check: str, look: Callable[[], CheckResult]) -> CheckResult:
    """Run a check; a check that raises gives a result, too, and does not keep the others from running."""
    try:
        return look()
    except CmtSegError as error:  # says itself what to do
        return CheckResult(check, ERROR, str(error))
    except ModuleNotFoundError as error:
        return CheckResult(check, ERROR, f"not checked: {error}", "install it: see the row `modules`")
    except Exception as error:
        said = f"{type(error).__name__}: {error}".strip()
        return CheckResult(check, ERROR, said, "the check itself failed: see what it says")


def check_python() -> CheckResult:
    """Say which Python and which version of this package run, and from where."""
    folder = Path(cmt_seg_ros.__file__).parent
    return CheckResult(
        "Python", OK, f"Python {platform.python_version()}, cmt_seg_ros {cmt_seg_ros.__version__} in {folder}"
    )


def check_requirements() -> CheckResult:
    """Say in which versions the modules of other projects are installed, and how to install those that are missing."""
    needed = missing()
    found = ", ".join(f"{r.module} {_version(r.pip)}".strip() for r in REQUIREMENTS if r not in needed)
    if needed:
        found = "\n".join(filter(None, [found, f"missing: {', '.join(r.module for r in needed)}"]))
        return CheckResult("modules", ERROR, found, pip_line(needed))
    return CheckResult("modules", OK, found)


def _version(pip: str) -> str:
    """Return the installed version; empty where it is not known: apt's OpenCV has another name."""
    try:
        return importlib.metadata.version(pip.partition("==")[0])
    except importlib.metadata.PackageNotFoundError:
        return ""


def check_devices(chain: str) -> CheckResult:
    """Say which devices OpenVINO sees, and which of the chain are among them."""
    import openvino as ov

    from cmt_seg_ros.runtime import devices

    wanted, core = SegmentationConfig(device=chain).devices, ov.Core()
    usable, missing = devices.available(core, wanted)
    lines = [f"OpenVINO {ov.get_version().split('-')[0]}"]
    lines += [f"{device}: {devices.full_name(core, device)}" for device in core.available_devices]
    lines.append(f"chain {chain}: " + ", ".join(f"{d} {missing.get(d, 'available')}" for d in wanted))
    if not usable:
        return CheckResult("devices", ERROR, "\n".join(lines), "use --device CPU, or install the driver of the device")
    if unseen := unseen_hardware(core.available_devices):
        lines.append(f"OpenVINO does not see {' and '.join(unseen)}")
        advice = "install Intel's driver for it; join the group that owns /dev/dri/renderD* and /dev/accel (render)"
        return CheckResult("devices", WARNING, "\n".join(lines), advice)
    return CheckResult("devices", OK, "\n".join(lines))


def unseen_hardware(there: Sequence[str], sys_class: Path = SYS_CLASS) -> list[str]:
    """Return the Intel devices that the kernel has and OpenVINO does not see.

    Args:
        there: OpenVINO's available devices.
        sys_class: the kernel's list.
    """
    unseen = []
    for kind, pattern in KERNEL_NAMES.items():
        vendors = [node / "device" / "vendor" for node in sys_class.glob(pattern)]
        has = any(vendor.is_file() and vendor.read_text(encoding="utf-8").strip() == INTEL for vendor in vendors)
        if has and not any(device.startswith(kind) for device in there):
            unseen.append(f"the Intel {kind} of this machine")
    return unseen


def check_processor() -> CheckResult:
    """Say how many cores this process may use, and which instructions speed up networks."""
    import openvino as ov

    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = set(next((line for line in lines if line.startswith("flags")), "").split())
    features = [name for name, words in FEATURES.items() if flags.intersection(words)]
    capabilities = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    precisions = [name for name in ("FP32", "BF16", "FP16", "INT8") if name in capabilities]
    found = (
        f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores usable; {', '.join(features) or 'no AVX2'}; "
        f"OpenVINO computes in {', '.join(precisions)}"
    )
    if "AVX2" not in features:
        return CheckResult("processor", WARNING, found, "inference is slow without AVX2: use a small model and max_fps")
    return CheckResult("processor", OK, found)


def check_model(model: str) -> CheckResult:
    """Verify the package's files and infer a black frame on the CPU."""
    import numpy as np

    from cmt_seg_ros.runtime.pipeline import Pipeline
    from cmt_seg_ros.structures import Frame

    begin = time.perf_counter()
    pipeline = Pipeline(SegmentationConfig(model=model, device="CPU"))
    loaded_ms = (time.perf_counter() - begin) * 1e3
    package = pipeline.package
    frame = Frame("doctor", 0, np.zeros((package.height, package.width, 3), np.uint8), "bgr8")
    pipeline.process([frame])  # the first one also takes memory
    begin = time.perf_counter()
    pipeline.process([frame])
    frame_ms = (time.perf_counter() - begin) * 1e3
    return CheckResult(
        "model",
        OK,
        f"{package.name} ({package.precision}, {len(package.labels)} classes) in {package.folder}: files verified; "
        f"loaded in {loaded_ms:.0f} ms; a frame of {package.width}x{package.height} takes {frame_ms:.1f} ms on the CPU",
    )


def check_cache() -> CheckResult:
    """Say whether compiled networks can be cached."""
    from cmt_seg_ros.runtime import devices

    folder = devices.cache_folder(SegmentationConfig())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            size = sum(path.stat().st_size for path in folder.iterdir())
    except OSError as error:
        return CheckResult(
            "cache", ERROR, f"{folder}: {error.strerror}", "set XDG_CACHE_HOME to a folder you can write to"
        )
    return CheckResult("cache", OK, f"{folder} is writable; {size // MB} MB of compiled networks")
