"""Full: no shared memory and no cache; a limit of the size of files does that, and needs no rights."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sensor_msgs.msg import Image
from support.ros_harness import Process, bench, free_domain, image
from support.tiny_package import write_package

from cmt_seg_ros.ros.common.qos import LOSSLESS
from cmt_seg_ros.ros.common.shared_memory import SHARED_MEMORY, find_segments
from soak.fuzz import FIRST_NS, STEP_NS, Progress, close, wait_until
from soak.measures import Row

LIMIT = 1 << 20
"""Bytes of a file: less than a segment of Fast DDS (32 MB) or a compiled network, so that neither can be made."""


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Limit the size of files, bytes, of this process and of those that it starts in the ``with`` block."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


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
        with limited_files(LIMIT):
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
