"""Checks of `cmt-seg doctor` that are about ROS, in a process of their own.

``python -m cmt_seg_ros.ros.doctor.checks`` prints one finding a line as JSON, so that none is lost if a later one
crashes.
Nothing of ROS is imported before its check runs: without ROS this still works and says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from cmt_seg_ros.ros.doctor.dds import check_loop_back, check_profile, check_shared_memory, check_udp
from cmt_seg_ros.runtime.doctor import ERROR, OK, WARNING, CheckResult, run_check

LAST_DOMAIN = 101  # above it the ports collide with those the kernel hands out
MESSAGES = ("std_msgs.msg", "std_srvs.srv", "sensor_msgs.msg", "diagnostic_msgs.msg", "lifecycle_msgs.msg")
EXTRAS = ("vision_msgs", "cv_bridge")
INSTALL_ROS = "source /opt/ros/DISTRO/setup.bash, or run `make setup`"


def check_ros() -> CheckResult:
    """Report the ROS distribution, the middleware and the discovery range."""
    try:
        import rclpy  # noqa: F401
        from ament_index_python.packages import get_package_share_directory
        from rclpy.utilities import get_rmw_implementation_identifier
    except ImportError as error:
        return CheckResult("ROS", ERROR, f"rclpy cannot be imported: {error}", INSTALL_ROS)
    package = ElementTree.parse(Path(get_package_share_directory("rclpy")) / "package.xml")
    rmw = get_rmw_implementation_identifier()
    domain = os.environ.get("ROS_DOMAIN_ID") or "0"
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or "SUBNET (default)"
    if os.environ.get("ROS_LOCALHOST_ONLY") == "1":
        reach = "this machine (ROS_LOCALHOST_ONLY)"
    found = (
        f"{os.environ.get('ROS_DISTRO') or 'ROS_DISTRO is not set'}, rclpy {package.findtext('version')}, {rmw}\n"
        f"ROS_DOMAIN_ID {domain}, discovery range {reach}"
    )
    if not domain.isdecimal() or int(domain) > LAST_DOMAIN:
        state = WARNING if domain.isdecimal() and int(domain) <= 232 else ERROR
        return CheckResult("ROS", state, found, f"set ROS_DOMAIN_ID to a number from 0 to {LAST_DOMAIN}")
    if reach == "OFF":
        advice = "unset ROS_AUTOMATIC_DISCOVERY_RANGE: with OFF no process hears another one"
        return CheckResult("ROS", WARNING, found, advice)
    if not rmw.startswith("rmw_fastrtps"):
        return CheckResult(
            "ROS", WARNING, found, "this package is tested with rmw_fastrtps_cpp; the Fast DDS profile is idle"
        )
    return CheckResult("ROS", OK, found)


def check_messages() -> CheckResult:
    """Check that messages can be imported, and that our own survive being sent."""
    missing = [name for name in MESSAGES if not _importable(name)]
    if missing:
        return CheckResult("messages", ERROR, f"cannot be imported: {', '.join(missing)}", INSTALL_ROS)
    try:
        from rclpy.serialization import deserialize_message, serialize_message

        from cmt_seg_ros.msg import Track, TrackArray
    except ImportError as error:
        advice = "build them: `make setup`, or `colcon build` and `source install/setup.bash`"
        return CheckResult("messages", ERROR, f"cmt_seg_ros.msg cannot be imported: {error}", advice)
    message = TrackArray(tracks=[Track(id=7, class_name="Car")])
    if deserialize_message(serialize_message(message), TrackArray) != message:
        return CheckResult("messages", ERROR, "a TrackArray changes when serialized", "build the messages again")
    extras = ", ".join(f"{name} {'there' if _importable(name) else 'not there (optional)'}" for name in EXTRAS)
    return CheckResult("messages", OK, f"a TrackArray serializes and deserializes; {extras}")


def _importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except Exception:  # a broken package raises whatever it likes
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all checks and print their findings; status 0 whatever they are."""
    parser = argparse.ArgumentParser(prog="python -m cmt_seg_ros.ros.doctor.checks")
    parser.add_argument("--keep", action="store_true", help="leave stale shared memory where it is")
    keep = parser.parse_args(arguments).keep
    _print(run_check("ROS", check_ros))
    has_ros = _importable("rclpy")
    for name, needs_ros, check in (
        ("messages", True, check_messages),
        ("DDS profile", True, check_profile),
        ("shared memory", False, partial(check_shared_memory, keep)),
        ("loop-back", True, check_loop_back),
        ("network", False, check_udp),
    ):
        skipped = CheckResult(name, WARNING, "not checked: needs ROS")
        _print(run_check(name, check) if has_ros or not needs_ros else skipped)
    return 0


def _print(finding: CheckResult) -> None:
    print(json.dumps(dataclasses.asdict(finding)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
