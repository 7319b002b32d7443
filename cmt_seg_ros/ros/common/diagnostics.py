"""Diagnostics: counts, rates and ages of the cameras as diagnostic_msgs, and a limit for repeated log messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from cmt_seg_ros.ros.common.statistics import STALE_AFTER_S, CameraStatistics, Pause

UNANSWERED_WARN_S, UNANSWERED_ERROR_S = 2.0, 5.0
"""For how long frames may come and none be answered."""
OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE
_WHY_IDLE = {
    "nobody_subscribes": "nobody subscribes to a result, so nothing is inferred",
    "disabled": "enable is false, so nothing is inferred",
}


def camera_status(
    node: str,
    camera: str,
    statistics: CameraStatistics,
    now_s: float,
    extra: Mapping[str, str],
    issues: Sequence[str] = (),
    warnings: Sequence[str] = (),
    why: str = "",
) -> DiagnosticStatus:
    """Return one status: level, a sentence, and every number by name (ms, Hz, counts); to be called regularly.

    Args:
        node: fully qualified name.
        camera: its name; "" for the only one.
        statistics: its counts.
        now_s: monotonic seconds.
        extra: more values; ``device`` also becomes the hardware id.
        issues: a sentence for each thing that stops frames or results; makes the status an error.
        warnings: a sentence for each thing that may do so; makes it a warning.
        why: why frames are not answered at present, where the node knows; the counts tell the rest.
    """
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
        "absurd_ages": statistics.absurd_ages,
        **extra,
    }
    status = DiagnosticStatus(name=f"{node}: {camera or 'camera'}", hardware_id=extra.get("device", ""))
    states = [(ERROR, sentence) for sentence in issues] + [(WARN, sentence) for sentence in warnings]
    states.append(_state_of_frames(statistics, now_s, why))
    status.level = next(level for level in (ERROR, STALE, WARN, OK) if level in [found for found, _ in states])
    status.message = "; ".join(sentence for level, sentence in states if level != OK) or states[-1][1]
    status.values = [KeyValue(key=k, value=str(v)) for k, v in values.items()]
    return status


def _state_of_frames(statistics: CameraStatistics, now_s: float, why: str) -> tuple[bytes, str]:
    """Return the level and a sentence: whether frames come, and whether they are answered."""
    pause, silent_s = statistics.pause(now_s), now_s - statistics.last_received_s
    if statistics.received == 0:
        return WARN, "no frame yet"
    if silent_s > STALE_AFTER_S:
        return STALE, f"no frame for {silent_s:.0f} s"
    if pause.seconds > UNANSWERED_WARN_S:
        level = ERROR if pause.seconds > UNANSWERED_ERROR_S else WARN
        return level, f"{pause.frames} frames in {pause.seconds:.0f} s and no result: {_reasons(pause, why)}"
    return OK, _WHY_IDLE.get(statistics.idle, f"{statistics.inferred} frames inferred")


def _reasons(pause: Pause, why: str) -> str:
    dropped = ", ".join(f"{reason} {count}" for reason, count in pause.dropped.items())
    return "; ".join(filter(None, (why, dropped and f"dropped: {dropped}"))) or "they wait"


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
