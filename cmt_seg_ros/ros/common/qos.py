"""Quality of service of every topic, in one place."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

# A camera, live: the newest image only. Best effort receives from best-effort and from reliable cameras.
CAMERA = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
CAMERA_RELIABLE = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Lossless replay: nothing may be overwritten; the source waits for the masks, so the history stays short.
LOSSLESS = QoSProfile(history=HistoryPolicy.KEEP_ALL, depth=0, reliability=ReliabilityPolicy.RELIABLE)
# What this package publishes.
RESULT = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def camera(reliability: str, lossless: bool) -> QoSProfile:
    """Profile of a camera subscription; ``reliability``: best_effort or reliable."""
    if lossless:
        return LOSSLESS
    return CAMERA_RELIABLE if reliability == "reliable" else CAMERA
