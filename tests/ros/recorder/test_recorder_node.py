"""recorder_node: every message of the topics asked for is in the bag, as it was sent; what is lost is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from cmt_seg_ros.msg import ClassMap, TrackArray
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from support.full_disk import file_limit
from support.ros_harness import LATCHED, Bench, Process, bench, free_domain, header, image

from cmt_seg_ros.bags.writer import Arrival
from cmt_seg_ros.config import RECORDABLE, RecorderConfig
from cmt_seg_ros.errors import ConfigError, SourceError
from cmt_seg_ros.ros.recorder.thread import RecordingThread
from cmt_seg_ros.ros.recorder.topics import RECORDED_TYPES
from cmt_seg_ros.ros.recorder_node import RecorderNode
from cmt_seg_ros.sources import BagSource

NS = 1_000_000_000
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def recorder(ros: Bench, out: Path, **values: object) -> RecorderNode:
    return ros.add(RecorderNode, "/camera", out=str(out), **{"video": False, **values})


def status(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "recording.json").read_text(encoding="utf-8"))
    return found


def messages(out: Path) -> list[tuple[str, int, Any]]:
    """(topic, log time, message) of the bag."""
    with AnyReader([out / "bag"]) as reader:
        return [(c.topic, t, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages()]


def test_the_table_of_topics_is_that_of_the_configuration() -> None:
    assert tuple(RECORDED_TYPES) == RECORDABLE
    assert set(RecorderConfig.topics) <= set(RECORDABLE)


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_best_effort_input_and_results_are_in_the_bag_as_they_were_sent(ros: Bench, out: Path, transport: str) -> None:
    topics = ["segmentation/mask", "segmentation/confidence", "segmentation/label_info", "/diagnostics"]
    node = recorder(ros, out, topics=topics, input=True, transport=transport)
    jpeg = CompressedImage(header=header(1), format="jpeg", data=bytes(range(100)))
    camera = "/camera/image_raw/compressed" if transport == "compressed" else "/camera/image_raw"
    sent = {
        camera: (jpeg if transport == "compressed" else image(1), BEST_EFFORT),
        "/camera/camera_info": (CameraInfo(header=header(1), width=96, height=64), BEST_EFFORT),
        "/camera/segmentation/mask": (image(1, encoding="mono8", value=3), 10),
        "/camera/segmentation/confidence": (image(1, encoding="mono8", value=200), 10),
        "/camera/segmentation/label_info": (ClassMap(model="mine"), LATCHED),
        "/diagnostics": (DiagnosticArray(header=header(2)), 10),
    }
    for topic, (message, qos) in sent.items():
        ros.publisher(type(message), topic, qos).publish(message)
    ros.until(lambda: node._thread.written >= len(sent))  # the nodes' own diagnostics are not here
    ros.remove(node)
    found = {topic: message for topic, _, message in messages(out)}
    assert set(found) == set(sent)
    for topic, (message, _) in sent.items():
        if hasattr(message, "data"):
            np.testing.assert_array_equal(found[topic].data, np.frombuffer(message.data, np.uint8))
    assert found["/camera/camera_info"].width == 96 and found["/camera/segmentation/label_info"].model == "mine"
    rows = (out / "arrivals.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "topic,stamp_ns,received_ns"
    assert {row.split(",")[0] for row in rows[1:]} == {camera, "/camera/segmentation/mask"}
    end = status(out)
    assert end["finished"] and end["messages"] == len(sent) and end["lost"] == end["failed"] == 0
    assert end["topics"][camera]["messages"] == 1 and end["bytes"] > 0
    if transport == "raw":
        (frame,) = BagSource(out / "bag", camera)
        assert frame.stamp_ns == 1 and (frame.pixels == 90).all()


def test_topics_that_stay_silent_are_in_the_bag_and_in_the_counts(ros: Bench, out: Path) -> None:
    node = recorder(ros, out, topics=["segmentation/mask", "tracking/tracks"])
    ros.send("/camera/tracking/tracks", TrackArray(header=header(5)))
    ros.until(lambda: node._thread.written)
    ros.remove(node)
    with AnyReader([out / "bag"]) as reader:
        assert {c.topic: c.msgcount for c in reader.connections} == {
            "/camera/segmentation/mask": 0,
            "/camera/tracking/tracks": 1,
        }
    assert status(out)["topics"]["/camera/segmentation/mask"]["messages"] == 0


def test_simulated_time_begins_late_and_is_set_back(ros: Bench, out: Path) -> None:
    clock = ros.publisher(Clock, "/clock", matched=0)
    legend = ros.publisher(ClassMap, "/camera/segmentation/label_info", LATCHED, matched=0)
    legend.publish(ClassMap(model="early"))
    node = recorder(ros, out, topics=["segmentation/mask", "segmentation/label_info"], use_sim_time=True)
    ros.until(lambda: len(node._early) == 1)
    for seconds in (100, 3):
        ros.until(lambda: clock.get_subscription_count())
        clock.publish(Clock(clock=Time(sec=seconds)))
        ros.until(lambda s=seconds: node.get_clock().now().nanoseconds == s * NS)
        ros.send("/camera/segmentation/mask", image(seconds * NS, encoding="mono8"))
        ros.until(lambda s=seconds: node._thread.written == (2 if s == 100 else 3))
    ros.remove(node)
    times = sorted((topic, t) for topic, t, _ in messages(out))
    mask, label_info = "/camera/segmentation/mask", "/camera/segmentation/label_info"
    assert times == [(label_info, 100 * NS), (mask, 3 * NS), (mask, 100 * NS)]


def test_without_a_tracker_the_overlay_of_the_segmentation_is_filmed(ros: Bench, out: Path) -> None:
    node = recorder(ros, out, topics=["segmentation/overlay", "segmentation/mask"], video=True)
    ros.send("/camera/segmentation/mask", image(1, encoding="mono8"))
    ros.until(lambda: node._filmed == "/camera/segmentation/overlay", "the tracker's overlay is given up")
    for stamp in (1, NS, 2 * NS):  # recorded and filmed, by one subscription
        ros.send("/camera/segmentation/overlay", image(stamp))
    ros.until(lambda: node._thread.written == 4)
    ros.remove(node)
    assert status(out)["failed"] == 0 and len(messages(out)) == 4
    assert (out / "overlay.mp4").stat().st_size > 500


def test_a_full_queue_loses_and_counts_by_topic() -> None:
    begun, go = [], []

    def write(arrival: Arrival) -> None:
        begun.append(arrival)
        while not go:
            pass
        if arrival.raw == b"bad":
            raise OSError("no space left")

    said: list[str] = []
    thread = RecordingThread(write, lambda counts, failure: None, said.append, max_bytes=10)
    first = Arrival("/a", "x", 1, b"bad")
    assert thread.put(first)
    while not begun:
        pass
    assert thread.put(Arrival("/b", "x", 2, bytes(8)))
    assert not thread.put(Arrival("/b", "x", 3, bytes(8)))
    go.append(True)
    assert thread.close()
    assert not thread.put(first), "after its end nothing is taken"
    a, b = thread.counts["/a"], thread.counts["/b"]
    assert (a.written, a.failed, a.lost) == (0, 1, 1) and (b.written, b.size, b.lost) == (1, 8, 1)
    assert (thread.written, thread.failed, thread.lost) == (1, 1, 2)
    assert said == ["/a: no space left"]


def test_a_full_disk_is_said_at_once_and_every_message_is_counted(ros: Bench, out: Path) -> None:
    names = ("segmentation/mask", "tracking/instances")
    node = recorder(ros, out, topics=list(names))
    publishers = [ros.publisher(Image, f"/camera/{name}", 10) for name in names]
    noise = np.random.default_rng(0)
    sent = 0

    def counted() -> bool:
        return node._thread.written + node._thread.failed == sent

    def send(count: int) -> None:
        """Send one by one, so that none is lost before it gets to the recorder."""
        nonlocal sent
        for _ in range(count):
            picture = image(sent + 1, 300, 200)
            picture.data = noise.integers(0, 256, 300 * 200 * 3, np.uint8).tobytes()
            publishers[sent % 2].publish(picture)
            sent += 1
            ros.until(counted)

    with file_limit(2_500_000):
        while not node._thread.failure:
            send(1)
        failed = node._thread.failed
        assert failed > 1, "those of the chunk, too"
        send(5)
        assert node._thread.failed == failed + 5
        ros.until(lambda: node.finished.done())
        ros.until(lambda: status(out)["error"])
        ros.remove(node)
    assert node.finished.result() == 1
    said = [line.msg for line in ros.logs if line.level >= 40]
    assert "the recording ends, " in said[0] and "cannot be written: File too large; make room" in said[0]
    found, end = messages(out), status(out)
    assert not end["finished"] and "File too large" in end["error"]
    assert end["messages"] + end["failed"] == sent and end["lost"] == 0
    for name in names:
        assert end["topics"][f"/camera/{name}"]["messages"] == sum(t == f"/camera/{name}" for t, _, _ in found) > 0
    rows = (out / "arrivals.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) > sum(topic == "/camera/segmentation/mask" for topic, _, _ in found)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"topics": ["mask"]}, "recorder.topics has mask; allowed: segmentation/mask"),
        ({"topics": [""], "video": False}, "nothing is to be recorded"),
        ({"transport": "theora"}, "recorder.transport is 'theora'; allowed: 'raw', 'compressed'"),
        ({"image_topic": "", "input": True}, "recorder.image_topic is empty; name a topic"),
    ],
)
def test_wrong_parameters_are_refused(ros: Bench, out: Path, values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        recorder(ros, out, **values)
    assert not out.exists()


@pytest.mark.parametrize("name", ["bag", "arrivals.csv", "recording.json", "overlay.mp4"])
def test_a_recording_is_not_written_over(name: str, ros: Bench, out: Path) -> None:
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(SourceError, match=rf"has {name} already; give another folder"):
        recorder(ros, out, topics=["segmentation/mask"])
    assert [path.read_text(encoding="utf-8") for path in out.iterdir()] == ["mine"]


def test_the_process_finishes_its_files_when_it_is_ended(tmp_path: Path, out: Path) -> None:
    domain = free_domain()
    values = {"out": str(out), "video": False, "image_topic": "/cam/image"}
    with bench(domain) as ros, Process("recorder_node", tmp_path / "log", domain, {**values, "input": True}) as process:
        process.wait_for("ready")
        camera = ros.publisher(Image, "/cam/image", BEST_EFFORT)

        def recorded() -> bool:
            camera.publish(image(7))  # again: the other end may not have found this one yet
            return bool(status(out)["messages"])

        ros.until(recorded)
        process.popen.terminate()
        assert process.end() == 0, process.output
    assert status(out)["finished"]
    assert next(m.header.stamp.nanosec for topic, _, m in messages(out) if topic == "/cam/image") == 7
