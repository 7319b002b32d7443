"""Counts, rates and ages of the cameras as diagnostic_msgs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from cmt_seg_ros.ros.common.statistics import CameraStatistics

STALE_AFTER_S = 2.0


def camera_status(
    node: str,
    camera: str,
    statistics: CameraStatistics,
    now_s: float,
    extra: Mapping[str, str],
    troubles: Sequence[str] = (),
) -> DiagnosticStatus:
    """One status: level, a sentence, and every number by name (ms, Hz, counts).

    Args:
        node: fully qualified name.
        camera: its name; "" for the only one.
        statistics: its counts.
        now_s: monotonic seconds.
        extra: more values; ``device`` also becomes the hardware id.
        troubles: what keeps frames or results from flowing, a sentence each; makes the status an error.
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
    if troubles:
        status.level, status.message = DiagnosticStatus.ERROR, "; ".join(troubles)
    elif received == 0:
        status.level, status.message = DiagnosticStatus.WARN, "no frame yet"
    elif silent_s > STALE_AFTER_S:
        status.level, status.message = DiagnosticStatus.STALE, f"no frame for {silent_s:.0f} s"
    else:
        status.level, status.message = DiagnosticStatus.OK, f"{inferred} frames inferred"
    status.values = [KeyValue(key=k, value=str(v)) for k, v in values.items()]
    return status


def diagnostic_array(statuses: list[DiagnosticStatus], stamp: object) -> DiagnosticArray:
    """The message for /diagnostics."""
    message = DiagnosticArray(status=statuses)
    message.header.stamp = stamp
    return message
