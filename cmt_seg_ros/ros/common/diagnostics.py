"""Diagnostics: counts, rates and ages of the cameras as diagnostic_msgs, and a limit for repeated log messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from cmt_seg_ros.ros.common.statistics import CameraStatistics

STALE_AFTER_S = 2.0


def camera_status(
    node: str,
    camera: str,
    statistics: CameraStatistics,
    now_s: float,
    extra: Mapping[str, str],
    issues: Sequence[str] = (),
) -> DiagnosticStatus:
    """Return one status: level, a sentence, and every number by name (ms, Hz, counts).

    Args:
        node: fully qualified name.
        camera: its name; "" for the only one.
        statistics: its counts.
        now_s: monotonic seconds.
        extra: more values; ``device`` also becomes the hardware id.
        issues: a sentence for each thing that stops frames or results; makes the status an error.
    """
    silent_s = now_s - statistics.last_received_s
    p50, p99, highest = statistics.ages_ms()
    received_hz, inferred_hz = statistics.rates_hz(now_s)
    received, inferred, dropped = statistics.counts()
    values = {
        "received": received,
        "inferred": inferred,
        "dropped": sum(dropped.values()),
        **{f"dropped.{reason}": count for reason, count in dropped.items()},
        "received_hz": f"{received_hz:.1f}",
        "inferred_hz": f"{inferred_hz:.1f}",
        "age_p50_ms": f"{p50:.1f}",
        "age_p99_ms": f"{p99:.1f}",
        "age_max_ms": f"{highest:.1f}",
        **extra,
    }
    status = DiagnosticStatus(name=f"{node}: {camera or 'camera'}", hardware_id=extra.get("device", ""))
    if issues:
        status.level, status.message = DiagnosticStatus.ERROR, "; ".join(issues)
    elif received == 0:
        status.level, status.message = DiagnosticStatus.WARN, "no frame yet"
    elif silent_s > STALE_AFTER_S:
        status.level, status.message = DiagnosticStatus.STALE, f"no frame for {silent_s:.0f} s"
    else:
        status.level, status.message = DiagnosticStatus.OK, f"{inferred} frames inferred"
    status.values = [KeyValue(key=k, value=str(v)) for k, v in values.items()]
    return status


def diagnostic_array(statuses: list[DiagnosticStatus], stamp: object) -> DiagnosticArray:
    """Return the message for /diagnostics."""
    message = DiagnosticArray(status=statuses)
    message.header.stamp = stamp
    return message


class Throttle:
    """Rate limit of repeated log messages, per camera and reason.

    Args:
        period_s: at most one message per camera and reason in this time, seconds.
        clock: monotonic seconds.
    """

    def __init__(self, period_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s, self._clock = period_s, clock
        self._last_s: dict[tuple[str, str], float] = {}

    def allows(self, camera: str, reason: str) -> bool:
        """Return True for the first message of a camera and reason in each period."""
        now, last = self._clock(), self._last_s.get((camera, reason))
        if last is not None and now - last < self._period_s:
            return False
        self._last_s[camera, reason] = now
        return True
