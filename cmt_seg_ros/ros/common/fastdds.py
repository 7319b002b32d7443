"""Fast DDS profile: the environment variable that names it, and the one that this package ships; imports no ROS."""

from __future__ import annotations

import os
from pathlib import Path

from cmt_seg_ros.files import shared

_FAST_DDS_2 = ("humble", "iron", "jazzy")


def profile_variable() -> str:
    """Return the environment variable that this distribution's Fast DDS reads; it ignores the other one."""
    old = os.environ.get("ROS_DISTRO", "") in _FAST_DDS_2
    return "FASTRTPS_DEFAULT_PROFILES_FILE" if old else "FASTDDS_DEFAULT_PROFILES_FILE"


def shipped_profile() -> Path | None:
    """Return the profile that sends large images through shared memory; None: it is not installed."""
    return next(iter(shared("config/fastdds.xml")), None)


def profile_to_set() -> dict[str, str]:
    """Return the variable and its value that make Fast DDS use the shipped profile; empty where the user has his own.

    With its default profile Fast DDS loses large images.
    """
    variable, profile = profile_variable(), shipped_profile()
    return {} if variable in os.environ or profile is None else {variable: str(profile)}
