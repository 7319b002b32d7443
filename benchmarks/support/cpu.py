"""What a process uses: CPU time, by thread, too, and memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from pathlib import Path

from cmt_seg_ros.errors import CmtSegError

_LIBC = ctypes.CDLL(None)


def cpu_ms(pid: int) -> float:
    """CPU time of a process so far, user and system, its ended threads included; milliseconds.

    From the process's own CPU clock (POSIX), which counts nanoseconds: /proc/PID/stat counts ticks of 10 ms,
    as much as a fifth of a frame, and the sum over /proc/PID/task forgets threads that have ended.

    Raises:
        CmtSegError: there is no such process.
    """
    clock = ctypes.c_int()
    if _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise CmtSegError(f"process {pid} has ended, or its CPU clock cannot be read")
    return time.clock_gettime_ns(clock.value) / 1e6


def thread_cpu_ms(pid: int) -> dict[str, float]:
    """CPU time so far of the main thread ("main"), of Fast DDS's threads ("dds") and of all others ("rest"); ms.

    Fast DDS names its threads dds.*; those of Python and OpenVINO carry the name of the process.
    """
    sums = {"main": 0.0, "dds": 0.0, "rest": 0.0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            name = (task / "comm").read_text(encoding="utf-8")
            part = "main" if task.name == str(pid) else "dds" if name.startswith("dds.") else "rest"
            sums[part] += int((task / "schedstat").read_text(encoding="utf-8").split()[0]) / 1e6
    return sums


def rss_mb(pid: int) -> float:
    """Resident memory of a process, shared memory included; 1e6 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
