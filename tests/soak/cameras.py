"""Cameras: four at 30 Hz; each image is inferred or counted, and the node takes no more memory for it."""

from __future__ import annotations

import time
from pathlib import Path

from sensor_msgs.msg import Image
from support.ros_harness import Process, bench, free_domain, image
from support.tiny_package import write_package

from cmt_seg_ros.ros.common.qos import RESULT
from soak.fuzz import Progress, close, wait_until
from soak.measures import Row, Usage

NAMES = ("front", "left", "right", "rear")
RATE_HZ, WARM_S = 30.0, 5.0


def four_cameras(folder: Path, seed: int, seconds: float, progress: Progress = lambda done: None) -> Row:
    """Send images of four cameras to a segmentation_node for some seconds; ``seed`` is not used."""
    row, domain = Row("4 cameras at 30 Hz"), free_domain()
    parameters = {"model": str(write_package(folder / "model").folder), "device": "CPU", "cameras": list(NAMES)}
    parameters["cache_dir"] = str(folder / "cache")
    with Process("segmentation_node", folder / "cameras.log", domain, parameters) as node, bench(domain) as ros:
        node.wait_for("ready")
        publishers = [ros.publisher(Image, f"/{name}/image_raw", RESULT) for name in NAMES]
        masks = {name: ros.listen(Image, f"/{name}/segmentation/mask") for name in NAMES}
        began, number, before = time.monotonic(), 0, None
        while (spent := time.monotonic() - began) < seconds:
            message = image(time.time_ns(), 160, 96)
            for publisher in publishers:
                publisher.publish(message)
            number += 1
            if before is None and spent > min(WARM_S, seconds / 2):
                before = Usage.of(node.popen.pid)
            progress(int(spent))
            time.sleep(max(0.0, began + number / RATE_HZ - time.monotonic()))

        def idle() -> bool:
            """Tell whether the node has counted every image that it received, and every mask has come."""
            return all(
                (c := ros.counts(f"segmentation_node: {name}")).get("received", -1)
                == c.get("inferred", 0) + c.get("dropped", 0)
                and c["inferred"] == len(masks[name])
                for name in NAMES
            )

        wait_until(ros, node, idle)
        counts = [ros.counts(f"segmentation_node: {name}") for name in NAMES]
        # What the middleware replaced before the node received it is not in its counts.
        row.sent = sum(c["received"] for c in counts)
        row.answered, row.counted = sum(map(len, masks.values())), sum(c["dropped"] for c in counts)
        if any(not found for found in masks.values()):
            row.faults.append("a camera has no mask")
        return close(row, node, before)
