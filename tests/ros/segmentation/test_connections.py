"""Who is heard by segmentation_node, who hears it, and that nothing is computed for nobody."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from support.pictures import RAW, encoded, file, picture, seen, tolerance
from support.ros_harness import Bench, array, bench, free_domain, header, image, stamps

from cmt_seg_ros.ros.common.images import image_from_array
from cmt_seg_ros.ros.segmentation_node import SegmentationNode

NODE = "/segmentation_node"
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def start(ros: Bench, model: str, **values: object) -> SegmentationNode:
    return ros.add(SegmentationNode, device="CPU", model=model, **values)


def said(ros: Bench, words: str) -> bool:
    return any(words in error for error in ros.errors())


@pytest.mark.parametrize("qos", [BEST_EFFORT, RELIABLE], ids=["best effort", "reliable"])
def test_cameras_of_either_reliability_are_received(ros: Bench, tiny: str, qos: QoSProfile) -> None:
    start(ros, tiny)
    masks = ros.listen(Image, "/segmentation/mask")
    ros.publisher(Image, "/image_raw", qos).publish(image(1))
    ros.until(lambda: masks)
    assert ros.errors() == []


def test_camera_that_cannot_be_received_is_named(ros: Bench, tiny: str) -> None:
    start(ros, tiny, cameras=["front"], front__image_reliability="reliable")
    ros.publisher(Image, "/front/image_raw", BEST_EFFORT, matched=0)
    ros.until(lambda: said(ros, "nothing is received from /test on /front/image_raw: incompatible QoS"))
    ros.until(lambda: said(ros, "camera front: image_reliability is reliable; with best_effort"))
    ros.until(lambda: (status := ros.status(f"{NODE}: front")) and status.level == DiagnosticStatus.ERROR)
    status = ros.status(f"{NODE}: front")
    assert status is not None and "/test" in status.message
    reported = len(ros.diagnostics) + 1
    ros.until(lambda: len(ros.diagnostics) > reported)
    assert len(ros.errors()) == 2, "said once"


def test_camera_of_another_type_is_named(tiny: str) -> None:
    domain = free_domain()
    with bench(domain) as ros, bench(domain) as other:
        start(ros, tiny)
        other.do(lambda: other.node.create_publisher(String, "/image_raw", 5))
        ros.until(lambda: said(ros, "/test publishes std_msgs/msg/String on /image_raw: nothing is received from it"))


def test_subscriber_that_asks_for_too_much_is_named(ros: Bench, tiny: str) -> None:
    start(ros, tiny)
    ros.listen(Image, "/segmentation/mask", LATCHED)
    ros.until(lambda: said(ros, "/test receives nothing on /segmentation/mask: incompatible QoS"))


def test_nothing_is_inferred_for_nobody(ros: Bench, tiny: str) -> None:
    start(ros, tiny)
    ros.send("/image_raw", image(1))
    ros.until(lambda: ros.counts(f"{NODE}: camera").get("dropped.nobody_subscribes") == 1)
    masks = ros.listen(Image, "/segmentation/mask")
    ros.send("/image_raw", image(2))
    ros.until(lambda: masks)
    assert stamps(masks) == [2]


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        (["mask"], ("class_ids",)),
        (["objectness"], ("class_ids", "objectness")),
        (["confidence"], ("class_ids", "confidence")),
        (["overlay"], ("class_ids", "objectness")),
        (["mask", "objectness", "confidence"], ("class_ids", "objectness", "confidence")),
    ],
)
def test_only_what_somebody_subscribes_to_is_computed(
    ros: Bench, tiny: str, topics: list[str], expected: tuple[str, ...]
) -> None:
    node = start(ros, tiny)
    results = {name: ros.listen(Image, f"/segmentation/{name}") for name in topics}
    ros.until(lambda: node._outputs[""].requested_masks() == expected)
    assert node._pipeline is not None
    computed: list[tuple[str, ...]] = []
    infer = node._pipeline.engine.infer

    def watched(*arguments: object) -> object:
        masks = infer(*arguments)  # type: ignore[arg-type]
        computed.extend(tuple(m) for m in masks)
        return masks

    node._pipeline.engine.infer = watched  # type: ignore[assignment, method-assign]
    for stamp in range(1, 500):  # until the graph that gives no more is compiled, another one gives all
        ros.send("/image_raw", image(stamp))
        ros.until(lambda: all(len(messages) == stamp for messages in results.values()))  # noqa: B023
        if computed[-1] == expected:
            break
    assert computed[-1] == expected


def test_lossless_node_infers_for_nobody_as_well(ros: Bench, tiny: str) -> None:
    node = start(ros, tiny, drop_policy="none")
    ros.send("/image_raw", image(1))
    ros.until(lambda: node._cameras[""].statistics.inferred == 1)


def test_every_encoding_comes_through_the_node(ros: Bench, tiny: str) -> None:
    """A camera for each encoding, of two sizes, sent together: up to four of them are a batch."""
    cameras = {f"as_{name}": name for name in RAW}
    start(ros, tiny, cameras=list(cameras), max_batch_size=4, max_wait_ms=20.0)
    masks = {name: ros.listen(Image, f"/{name}/segmentation/mask") for name in cameras}
    publishers = {name: ros.publisher(Image, f"/{name}/image_raw") for name in cameras}
    for k, (name, encoding) in enumerate(cameras.items()):
        size = (96, 160) if k % 2 else (192, 320)
        publishers[name].publish(image_from_array(encoded(picture(*size), encoding), encoding, header(k + 1)))
    found = {}
    for k, (name, encoding) in enumerate(cameras.items()):
        ros.until(lambda: masks[name], name)  # noqa: B023
        found[encoding] = array(masks[name][0])
        assert found[encoding].shape == ((96, 160) if k % 2 else (192, 320)), encoding
        assert stamps(masks[name]) == [k + 1]
    same = [
        e for e in found if tolerance(e) == 0 and not np.array_equal(seen(picture(), e), picture()[:, :, [1, 1, 1]])
    ]
    for encoding in same:
        reference = found["bgr8" if found[encoding].shape == found["bgr8"].shape else "8UC3"]
        assert np.mean(found[encoding] == reference) > 0.999, encoding
    assert ros.errors() == []


def test_damaged_jpeg_is_counted_and_the_next_is_inferred(ros: Bench, tiny: str) -> None:
    node = start(ros, tiny, transport="compressed")
    masks = ros.listen(Image, "/segmentation/mask")
    ros.until(lambda: node._outputs[""].requested_masks())
    good = file(picture(96, 160), "jpeg").tobytes()
    counts = node._cameras[""].statistics.counts
    for stamp, data in enumerate((b"\xff\xd8\xff nothing", b"", good[:100], good), start=1):
        ros.send("/image_raw/compressed", CompressedImage(header=header(stamp), format="jpeg", data=data))
        ros.until(lambda: counts()[1] + sum(counts()[2].values()) == stamp)  # noqa: B023
    ros.until(lambda: masks)
    assert stamps(masks) == [4] and counts()[2] == {"malformed": 3}


@pytest.mark.parametrize(
    ("topic", "transport", "published", "words"),
    [
        ("cam/image_raw/compressed", "raw", "compressed", "set transport: compressed and image_topic: cam/image_raw"),
        ("cam/image_raw/compressed", "compressed", "compressed", "set transport: compressed and image_topic: cam/im"),
        ("cam/image_raw", "raw", "compressed", "cam/image_raw/compressed has sensor_msgs/msg/CompressedImage: set tr"),
        ("cam/image_raw", "compressed", "raw", "cam/image_raw has sensor_msgs/msg/Image: set transport: raw"),
        ("cam/jpeg", "raw", "jpeg", "set transport: compressed and remap cam/jpeg/compressed:=cam/jpeg"),
    ],
)
def test_wrong_transport_is_told_with_the_right_one(
    tiny: str, topic: str, transport: str, published: str, words: str
) -> None:
    kind, where = {
        "compressed": (CompressedImage, "/cam/image_raw/compressed"),
        "raw": (Image, "/cam/image_raw"),
        "jpeg": (CompressedImage, "/cam/jpeg"),
    }[published]
    domain = free_domain()
    with bench(domain) as ros, bench(domain) as other:  # within one process ROS refuses a topic of two types
        other.publisher(kind, where, matched=0)
        start(ros, tiny, image_topic=topic, transport=transport)
        ros.until(lambda: said(ros, words))
        ros.until(lambda: (status := ros.status(f"{NODE}: camera")) and words in status.message)


def test_camera_of_both_transports_is_no_issue(ros: Bench, tiny: str) -> None:
    node = start(ros, tiny)
    ros.publisher(CompressedImage, "/image_raw/compressed", matched=0)
    ros.publisher(Image, "/image_raw")
    camera = node._cameras[""]
    ros.until(lambda: node.count_publishers("/image_raw/compressed") and node.count_publishers("/image_raw"))
    assert ros.do(lambda: node._report._issues(camera)) == []
