"""Counts and ages of the cameras as diagnostic_msgs."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from cmt_seg_ros.runtime.statistics import CameraStatistics

STALE_AFTER_S = 2.0


def camera_status(
    node: str, camera: str, statistics: CameraStatistics, now_s: float, extra: Mapping[str, str]
) -> DiagnosticStatus:
    """One status: level, a sentence, and every number by name (ms, counts)."""
    silent_s = now_s - statistics.last_received_s
    p50, p99, highest = statistics.ages_ms()
    dropped = sum(statistics.dropped.values())
    values = {
        "received": statistics.received,
        "inferred": statistics.inferred,
        "dropped": dropped,
        **{f"dropped.{reason}": count for reason, count in sorted(statistics.dropped.items())},
        "age_p50_ms": f"{p50:.1f}",
        "age_p99_ms": f"{p99:.1f}",
        "age_max_ms": f"{highest:.1f}",
        **extra,
    }
    status = DiagnosticStatus(name=f"{node}: {camera or 'camera'}", hardware_id=extra.get("device", ""))
    if statistics.received == 0:
        status.level, status.message = DiagnosticStatus.WARN, "no frame yet"
    elif silent_s > STALE_AFTER_S:
        status.level, status.message = DiagnosticStatus.STALE, f"no frame for {silent_s:.0f} s"
    else:
        status.level, status.message = DiagnosticStatus.OK, f"{statistics.inferred} frames inferred"
    status.values = [KeyValue(key=k, value=str(v)) for k, v in values.items()]
    return status


def diagnostic_array(statuses: list[DiagnosticStatus], stamp: object) -> DiagnosticArray:
    """The message for /diagnostics."""
    message = DiagnosticArray(status=statuses)
    message.header.stamp = stamp
    return message
