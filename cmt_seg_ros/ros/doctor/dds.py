"""Checks of `cmt-seg doctor` that are about how images travel: DDS profile, shared memory, loop-back, network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from cmt_seg_ros.node_processes import domain_id
from cmt_seg_ros.ros.common.fastdds import profile_to_set, profile_variable
from cmt_seg_ros.ros.common.shared_memory import SHARED_MEMORY, clean_stale, find_segments
from cmt_seg_ros.runtime.doctor import ERROR, OK, WARNING, CheckResult

MB = 1 << 20
IMAGE_BYTES = 1280 * 720 * 3
DEFAULT_SEGMENT_BYTES = 512 << 10  # of Fast DDS
MIN_SEGMENT_BYTES = 8 * MB  # from here on no image of 1280x720 at 30 Hz was lost; with the default, most were
MIN_FREE_BYTES = 64 * MB  # two processes with config/fastdds.xml
RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
LOOP_DEADLINE_S = 15.0
SHM_SIZE = "in Docker: docker run --shm-size=1g or --ipc=host; else enlarge /dev/shm"


def check_profile() -> CheckResult:
    """Report the Fast DDS profile that nodes will use, and whether images fit through it."""
    variable = profile_variable()
    whose = f"from {variable}" if variable in os.environ else "shipped"
    os.environ.update(profile_to_set())  # also for the processes of the loop-back
    if not os.environ.get(variable):
        return CheckResult(
            "DDS profile", WARNING, "none: images are lost", "install the package with its config folder"
        )
    path = Path(os.environ[variable])
    advice = f"unset {variable}, or copy what config/fastdds.xml has"
    try:
        size = segment_bytes(path)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        return CheckResult("DDS profile", ERROR, f"{path} ({whose}) cannot be read: {error}", advice)
    found = f"{path} ({whose}): shared-memory segment of {size / MB:.3g} MB"
    if size < MIN_SEGMENT_BYTES:
        found += f"; under {MIN_SEGMENT_BYTES // MB} MB images of 1280x720 are lost"
        return CheckResult("DDS profile", WARNING, found, advice)
    return CheckResult("DDS profile", OK, found)


def segment_bytes(profile: Path) -> int:
    """Segment size that a profile gives to a process by default.

    Raises:
        OSError, ElementTree.ParseError, ValueError: the file cannot be read, is no XML, or the size is no number.
    """
    root = ElementTree.parse(profile).getroot()
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # with and without a namespace, both are in use
    used = {
        name.text
        for participant in root.iter("participant")
        if participant.get("is_default_profile") == "true"
        for name in participant.findall("rtps/userTransports/transport_id")
    }
    sizes = [
        int(descriptor.findtext("segment_size") or DEFAULT_SEGMENT_BYTES)
        for descriptor in root.iter("transport_descriptor")
        if descriptor.findtext("type") == "SHM" and descriptor.findtext("transport_id") in used
    ]
    return max(sizes, default=DEFAULT_SEGMENT_BYTES)


def check_shared_memory(keep: bool, folder: Path = SHARED_MEMORY) -> CheckResult:
    """Room in /dev/shm, and what dead processes left there; removes that unless told to keep it.

    Args:
        keep: only report.
        folder: where the segments lie.
    """
    segments = find_segments(folder)
    removed = set() if keep else set(clean_stale(folder))
    left = sorted(segments.stale.keys() - removed)
    room = shutil.disk_usage(folder)
    lines = [
        f"{folder}: {room.free // MB} of {room.total // MB} MB free",
        f"{len(segments.used)} segments and ports in use ({sum(segments.used.values()) / MB:.3g} MB)",
    ]
    if removed:
        freed = sum(segments.stale.get(name, 0) for name in removed)
        lines.append(f"removed {len(removed)} of killed processes ({freed / MB:.3g} MB): {', '.join(sorted(removed))}")
    if left:
        lines.append(f"{len(left)} of killed processes are there: {', '.join(left)}")
    if segments.unproven:
        lines.append(f"{len(segments.unproven)} without a lock file, maybe in use: {', '.join(segments.unproven)}")
    if room.free < MIN_FREE_BYTES:
        return CheckResult("shared memory", WARNING, "\n".join(lines), SHM_SIZE)
    if left:
        advice = "run without --keep to remove them" if keep else "run as the user whose they are, or as root"
        return CheckResult("shared memory", WARNING, "\n".join(lines), advice)
    return CheckResult("shared memory", OK, "\n".join(lines))


def check_loop_back() -> CheckResult:
    """Send images from one process to another on this machine."""
    # In a domain of its own: whatever else runs is not disturbed, and does not disturb.
    environment = {
        **os.environ,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(domain_id()),
    }
    environment.pop("ROS_LOCALHOST_ONLY", None)
    command = [sys.executable, "-m", "cmt_seg_ros.ros.doctor.loop_back"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=LOOP_DEADLINE_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        clean_stale()
        return CheckResult(
            "loop-back", ERROR, f"nothing within {LOOP_DEADLINE_S:g} s", "see the rows above; restart ROS"
        )
    results = re.findall(r"^\{.*\}$", done.stdout, re.MULTILINE)
    if not results:
        said = " ".join(done.stderr.split()[-60:]) or "it said nothing"
        return CheckResult("loop-back", ERROR, f"ended with status {done.returncode}: {said}", "see the rows above")
    result = json.loads(results[0])
    way = "by shared memory" if result["shared_memory"] else "not by shared memory"
    found = f"{result['received']} of {result['sent']} images of 1280x720 arrived in another process, {way}"
    if not result["received"]:
        return CheckResult(
            "loop-back", ERROR, found, "see the rows above; does a firewall stop this machine's own ports?"
        )
    found += f", {result['median_ms']:.1f} ms each (median)"
    if result["received"] < result["sent"] or not result["shared_memory"]:
        return CheckResult("loop-back", WARNING, found, "see the two rows above; or the machine is busy")
    return CheckResult("loop-back", OK, found)


def check_udp() -> CheckResult:
    """Room for images that come from another machine; no matter on one machine."""
    largest = int(RMEM_MAX.read_text(encoding="utf-8"))
    found = f"net.core.rmem_max is {largest / MB:.3g} MB"
    if largest >= IMAGE_BYTES:
        return CheckResult("network", OK, f"{found}: an image of 1280x720 from another machine fits")
    advice = "only for images from other machines: sudo sysctl -w net.core.rmem_max=16777216"
    return CheckResult("network", OK, f"{found}: less than an image of 1280x720", advice)
