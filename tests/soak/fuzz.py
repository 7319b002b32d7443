"""Fuzz: malformed messages to both nodes, with a good one now and then that must be answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from cmt_seg_ros.msg import ClassInfo, ClassMap, TrackArray
from sensor_msgs.msg import CompressedImage, Image
from support.ros_harness import LATCHED, Bench, Process, bench, free_domain, header, image, stamps
from support.tiny_package import write_package

from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.ros.common.qos import LOSSLESS
from soak.malformed import bad_class_map, bad_compressed_image, bad_image, bad_masks, jpeg
from soak.measures import Row, Usage

CHUNK, MASKS_CHUNK = 50, 3
"""Malformed messages between two good ones; the answer to a good one shows that all before it were handled.
The tracker's subscriptions keep five messages."""
WARM = 400
"""Malformed messages after which a node has all the memory that it needs."""
STEP_NS = 10_000_000
FIRST_NS = 1_000_000_000_000
Progress = Callable[[int], None]


def fuzz_segmentation(folder: Path, seed: int, count: int, progress: Progress = lambda done: None) -> Row:
    """Send ``count`` malformed images, raw and compressed, to a segmentation_node."""
    random, row = np.random.default_rng(seed), Row("malformed images")
    domain = free_domain()
    parameters = {"model": str(write_package(folder / "model").folder), "device": "CPU", "drop_policy": "none"}
    parameters |= {"cache_dir": str(folder / "cache"), "cameras": ["raw", "packed"], "packed.transport": "compressed"}
    with (
        Process("segmentation_node", folder / "segmentation_node.log", domain, parameters) as node,
        bench(domain) as ros,
    ):
        node.wait_for("ready")
        topics = {"raw": "/raw/image_raw", "packed": "/packed/image_raw/compressed"}
        publishers = {
            "raw": ros.publisher(Image, topics["raw"], LOSSLESS),
            "packed": ros.publisher(CompressedImage, topics["packed"], LOSSLESS),
        }
        masks = {name: ros.listen(Image, f"/{name}/segmentation/mask", LOSSLESS) for name in topics}
        good = bad = 0
        before = None
        while bad < count:
            for number in range(CHUNK):
                publishers["raw"].publish(bad_image(random))
                stamp = FIRST_NS + (good - 1) * STEP_NS + number + 1
                publishers["packed"].publish(bad_compressed_image(random, stamp))
            good, bad, stamp = good + 1, bad + 2 * CHUNK, FIRST_NS + good * STEP_NS
            publishers["raw"].publish(image(stamp))
            publishers["packed"].publish(CompressedImage(header=header(stamp), format="jpeg", data=jpeg(random)))
            wait_until(ros, node, lambda good=good: all(len(found) == good for found in masks.values()))
            if before is None and bad >= WARM:
                before = Usage.of(node.popen.pid)
            progress(bad)
        row.sent, row.answered = bad + 2 * good, sum(map(len, masks.values()))
        for name, found in masks.items():
            if stamps(found) != [FIRST_NS + i * STEP_NS for i in range(good)]:
                row.faults.append(f"masks of camera {name} are not those of the good images, in order")
        row.counted = sum(counted(ros, node, f"segmentation_node: {name}", bad // 2 + good) for name in topics)
        return close(row, node, before)


def fuzz_tracker(folder: Path, seed: int, count: int, progress: Progress = lambda done: None) -> Row:
    """Send ``count`` malformed pairs of masks, and class maps, to a tracker_node."""
    random, row = np.random.default_rng(seed), Row("malformed masks")
    domain = free_domain()
    with Process("tracker_node", folder / "tracker_node.log", domain) as node, bench(domain) as ros:
        node.wait_for("ready")
        classes = ros.publisher(ClassMap, "/segmentation/label_info", LATCHED)
        classes.publish(CAMVID.to_class_map("soak", header(0), ClassMap, ClassInfo))
        mask = ros.publisher(Image, "/segmentation/mask", LOSSLESS)
        objectness = ros.publisher(Image, "/segmentation/objectness", LOSSLESS)
        tracks = ros.listen(TrackArray, "/tracking/tracks", LOSSLESS)
        wait_until(ros, node, lambda: counts_of(ros, "tracker_node: camera") is not None)
        good = bad = 0
        before = None
        while bad < count:
            for _ in range(MASKS_CHUNK):
                pair = bad_masks(random, FIRST_NS + (good + bad) * STEP_NS)
                mask.publish(pair[0])
                objectness.publish(pair[1])
                bad += 1
            classes.publish(bad_class_map(random))
            stamp = FIRST_NS + (good + bad) * STEP_NS
            mask.publish(image(stamp, 96, 64, "mono8", 8))
            objectness.publish(image(stamp, 96, 64, "mono8", 255))
            good += 1
            wait_until(ros, node, lambda good=good: len(tracks) == good)
            if before is None and bad >= WARM:
                before = Usage.of(node.popen.pid)
            progress(bad)
        row.sent, row.answered = bad + good, len(tracks)
        row.counted = counted(ros, node, "tracker_node: camera", bad + good)
        return close(row, node, before)


def wait_until(ros: Bench, node: Process, condition: Callable[[], object]) -> None:
    """Wait; a node that has ended is not waited for."""
    ros.until(lambda: node.popen.poll() is not None or condition())
    assert node.popen.poll() is None, f"the node ended with status {node.popen.returncode}: {node.output[-3000:]}"


def counts_of(ros: Bench, status: str) -> dict[str, int] | None:
    counts = ros.counts(status)
    return counts if "received" in counts else None


def counted(ros: Bench, node: Process, status: str, received: int) -> int:
    """Wait until a status has counted all that was received; return how many of them were dropped."""

    def complete() -> bool:
        counts = counts_of(ros, status)
        return (
            counts is not None and counts["received"] >= received and counts["inferred"] + counts["dropped"] >= received
        )

    wait_until(ros, node, complete)
    return ros.counts(status)["dropped"]


def close(row: Row, node: Process, before: Usage | None) -> Row:
    """Compare what the node uses, end it, and look for tracebacks."""
    after = Usage.of(node.popen.pid)
    after.compare(row, before or after)
    row.crashes += node.popen.poll() is not None or "Traceback" in node.output
    return row.judge()
