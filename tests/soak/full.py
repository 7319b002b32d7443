"""Full: no shared memory, no cache, or no room on the disk; a limit of the size of files does that without rights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from support.full_disk import file_limit
from support.ros_harness import Process, bench, free_domain, image
from support.tiny_package import write_package

from cmt_seg_ros.bags.storage import bag_messages
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.ros.common.qos import LOSSLESS
from cmt_seg_ros.ros.common.shared_memory import SHARED_MEMORY, find_segments
from soak.fuzz import FIRST_NS, STEP_NS, Progress, close, wait_until
from soak.measures import Row

LIMIT = 1 << 20
"""Bytes of a file: less than a segment of Fast DDS (32 MB) or a compiled network, so that neither can be made."""


@contextmanager
def removed_torsos() -> Iterator[None]:
    """Remove the segments that could not be made large enough: nobody uses them, and Fast DDS leaves them behind."""
    before = set(find_segments().unproven)
    try:
        yield
    finally:
        for name in set(find_segments().unproven) - before:
            path = SHARED_MEMORY / name
            if path.exists() and path.stat().st_size <= 1:
                path.unlink()


def full_shared_memory(folder: Path, seed: int, count: int, progress: Progress = lambda done: None) -> Row:
    """Send ``count`` images to a segmentation_node that gets no shared memory and no cache; ``seed`` is not used."""
    row, domain = Row("no shared memory, no cache"), free_domain()
    parameters = {"model": str(write_package(folder / "model").folder), "device": "CPU", "drop_policy": "none"}
    parameters["cache_dir"] = str(folder / "cache")
    with ExitStack() as stack:
        stack.enter_context(removed_torsos())
        with file_limit(LIMIT):
            node = stack.enter_context(Process("segmentation_node", folder / "full.log", domain, parameters))
        ros = stack.enter_context(bench(domain))
        node.wait_for("ready")
        publisher = ros.publisher(Image, "/image_raw", LOSSLESS)
        masks = ros.listen(Image, "/segmentation/mask", LOSSLESS)
        for number in range(count):
            publisher.publish(image(FIRST_NS + number * STEP_NS))
            row.sent += 1
            wait_until(ros, node, lambda number=number: len(masks) > number)
            progress(number + 1)
        row.answered = len(masks)
        return close(row, node, None)


def full_disk(folder: Path, seed: int, count: int, progress: Progress = lambda done: None) -> Row:
    """Record up to ``count`` masks where the bag may not grow beyond some chunks; what is not in it must be counted."""
    random, row, domain = np.random.default_rng(seed), Row("full disk"), free_domain()
    out, topic = folder / "recording", "/segmentation/mask"
    parameters = {"out": str(out), "topics": ["segmentation/mask"], "video": False}

    def told() -> dict[str, Any]:
        return dict(json.loads((out / "recording.json").read_text(encoding="utf-8")))

    with Process("recorder_node", folder / "recorder.log", domain, parameters) as node, bench(domain) as ros:
        node.wait_for("ready")
        publisher = ros.publisher(Image, topic, LOSSLESS)
        with file_limit(3 * LIMIT, node.popen.pid):
            while not told()["error"] and row.sent < count:
                picture = image(FIRST_NS + row.sent * STEP_NS, 600, 400, "mono8")
                picture.data = random.integers(0, 256, 600 * 400, np.uint8).tobytes()
                publisher.publish(picture)
                row.sent += 1
                ros.until(lambda: told()["messages"] + told()["failed"] + told()["lost"] >= row.sent)
                progress(row.sent)
            if node.end() != 1:
                row.faults.append(f"the recorder ended with status {node.popen.returncode}, not 1")
        row.crashes += "Traceback" in node.output
    row.answered = sum(1 for _ in bag_messages(out / "bag", topic, Problems()))
    row.counted = told()["failed"] + told()["lost"]
    if not told()["error"]:
        row.faults.append("recording.json has no error")
    return row.judge()
