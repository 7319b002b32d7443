"""seg.launch.py and replay.launch.py with the real `ros2 launch`: every argument reaches what it is for.

Skipped where ROS 2 comes from PyPI, which has no launch. To run it: install ROS 2, `colcon build`, source
install/setup.bash, and run pytest on this file.
"""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not installed: it is not on PyPI, a ROS distribution has it")
pytest.importorskip("ros2launch", reason="ros2launch is not installed: it is not on PyPI, a ROS distribution has it")

from ament_index_python.packages import get_package_share_directory
from cmt_seg_ros.msg import TrackArray
from diagnostic_msgs.msg import DiagnosticArray
from launch import LaunchContext
from launch.utilities import perform_substitutions
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from support.ros_harness import MODEL, Bench, Process, array, bench, free_domain, image, stamps

from cmt_seg_ros.bags.writer import Arrival, BagFile
from cmt_seg_ros.evaluation.live.recording import Recording
from cmt_seg_ros.ros import launching
from cmt_seg_ros.runtime.model_package import find

SHARE = Path(get_package_share_directory("cmt_seg_ros"))
FILE = SHARE / "launch" / "seg.launch.py"
REPLAY = SHARE / "launch" / "replay.launch.py"
NS = 1_000_000_000
PARAMETERS = """
/**:
  ros__parameters:
    max_wait_ms: 7.5
    min_hits: 2
    loop: true
    device: NOSUCH
"""


@pytest.fixture
def domain() -> int:
    return free_domain()


@pytest.fixture
def ros(domain: int) -> Iterator[Bench]:
    """Hears what is launched."""
    with bench(domain) as made:
        yield made


def launch(tmp_path: Path, domain: int, *arguments: str, file: Path = FILE) -> Process:
    ros2 = shutil.which("ros2")
    assert ros2, "there is ros2launch, but no ros2 in PATH; source the setup.bash of the workspace"
    return Process([ros2, "launch", "cmt_seg_ros", file.name, *arguments], tmp_path / "log", domain)


def nodes(ros: Bench) -> set[str]:
    found = ros.node.get_node_names_and_namespaces()
    return {f"{namespace.rstrip('/')}/{name}" for name, namespace in found} - {"/test"}


def clip(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10.0, (96, 64))
    for number in range(10):
        writer.write(np.full((64, 96, 3), 20 * number, np.uint8))
    writer.release()
    return path


SEG_ARGUMENTS = "namespace params_file model device input_image_topic video use_tracking use_sim_time use_rviz"
REPLAY_ARGUMENTS = """
bag video images topic rate every_frame record namespace params_file model device use_tracking use_rviz
"""


@pytest.mark.parametrize(("file", "wanted"), [(FILE, SEG_ARGUMENTS), (REPLAY, REPLAY_ARGUMENTS)], ids=["seg", "replay"])
def test_show_args_lists_every_argument_with_its_description_and_default(
    tmp_path: Path, domain: int, file: Path, wanted: str
) -> None:
    arguments = runpy.run_path(str(file))["ARGUMENTS"]
    with launch(tmp_path, domain, "--show-args", file=file) as process:
        assert process.end() == 0, process.output
    for name, default, text, _ in arguments:
        assert f"'{name}':" in process.output
        assert text in process.output
        assert f"(default: '{default}')" in process.output
    assert [name for name, *_ in arguments] == wanted.split()


def test_arguments_reach_the_nodes_and_a_video_becomes_masks_and_tracks(
    ros: Bench, domain: int, tmp_path: Path
) -> None:
    here = "/robot/front"
    masks = ros.listen(Image, f"{here}/segmentation/mask")
    tracks = ros.listen(TrackArray, f"{here}/tracking/tracks")
    (tmp_path / "parameters.yaml").write_text(PARAMETERS)
    values = {
        "namespace": "robot/front",
        "params_file": str(tmp_path / "parameters.yaml"),
        "model": str(find(MODEL)),
        "device": "CPU",
        "input_image_topic": "color/image",
        "video": str(clip(tmp_path / "clip.mp4")),
    }
    with launch(tmp_path, domain, *(f"{name}:={value}" for name, value in values.items())) as process:
        ros.until(lambda: (masks and tracks) or process.popen.poll() is not None, "masks and tracks")
        assert masks and tracks, process.output
        assert (masks[0].width, masks[0].height) == (96, 64)
        assert stamps(tracks)[0] in stamps(masks)
        ros.until(lambda: len(nodes(ros)) == 3)
        assert nodes(ros) == {f"{here}/{name}" for name in ("segmentation_node", "tracker_node", "source_node")}
        seg = ros.get(f"{here}/segmentation_node", "model", "device", "image_topic", "max_wait_ms", "use_sim_time")
        assert seg == [values["model"], "CPU", "color/image", 7.5, False]
        assert ros.get(f"{here}/tracker_node", "image_topic", "min_hits") == ["color/image", 2]
        assert ros.get(f"{here}/source_node", "video", "loop") == [values["video"], True]
        played = ros.node.get_publishers_info_by_topic(f"{here}/color/image")
        assert [p.node_name for p in played] == ["source_node"]
        assert len(ros.node.get_subscriptions_info_by_topic(f"{here}/color/image")) == 1
    ended = [line for line in process.output.splitlines() if "process has " in line]
    assert len(ended) == 3 and all("finished cleanly" in line for line in ended), process.output


def test_tracking_can_be_left_out_and_simulated_time_used(ros: Bench, domain: int, tmp_path: Path) -> None:
    with launch(tmp_path, domain, "use_tracking:=false", "use_sim_time:=true", "device:=CPU") as process:
        process.wait_for("ready: listening to /camera/image_raw")
        node = "/camera/segmentation_node"
        assert ros.get(node, "use_sim_time", "model", "image_topic") == [True, MODEL, "image_raw"]
        assert nodes(ros) == {node}
        masks = ros.listen(Image, "/camera/segmentation/mask")
        ros.send("/camera/image_raw", image(7))
        ros.until(lambda: masks)
        assert stamps(masks) == [7]


def test_several_cameras_come_from_a_parameter_file(ros: Bench, domain: int, tmp_path: Path) -> None:
    cameras = SHARE / "config" / "cameras.yaml"
    masks = {name: ros.listen(Image, f"/{name}/segmentation/mask") for name in ("front", "rear")}
    with launch(tmp_path, domain, "namespace:=/", f"params_file:={cameras}", "device:=CPU"):
        for name in masks:
            ros.send(f"/{name}/image_raw", image(1))
        ros.until(lambda: all(masks.values()))
        ros.until(lambda: len(nodes(ros)) == 2)
        assert nodes(ros) == {"/segmentation_node", "/tracker_node"}


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("params_file:=/no/such.yaml", "params_file /no/such.yaml is not a file; give a YAML file"),
        ("use_tracking:=maybe", 'provided value "maybe" is not valid'),
    ],
)
def test_wrong_argument_ends_the_launch_with_a_sentence(tmp_path: Path, domain: int, argument: str, words: str) -> None:
    with launch(tmp_path, domain, argument) as process:
        assert process.end() == 1
        assert words in process.output


def described(**arguments: str) -> tuple[LaunchContext, list[Any]]:
    """The nodes that the launch file would start."""
    module = runpy.run_path(str(FILE))
    context = LaunchContext()
    context.launch_configurations.update({name: default for name, default, *_ in module["ARGUMENTS"]})
    context.launch_configurations.update(arguments)
    return context, module["_nodes"](context)


def test_rviz_is_started_with_the_shipped_layout_when_asked() -> None:
    assert "rviz2" not in [node.node_package for node in described()[1]]
    context, found = described(use_rviz="true")
    (rviz,) = [node for node in found if node.node_package == "rviz2"]
    words = [perform_substitutions(context, part) for part in rviz.cmd[1:]]
    assert words[0] == "-d" and Path(words[1]).is_file() and words[1].endswith("cmt_seg.rviz")


def test_scene_needs_no_file_and_no_video_means_no_source() -> None:
    assert "source_node" not in [node.node_executable for node in described()[1]]
    assert "source_node" in [node.node_executable for node in described(video="scene")[1]]


def test_images_pass_through_shared_memory_unless_the_user_has_a_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    profile = launching.fastdds
    for name in names:
        monkeypatch.delenv(name, raising=False)
    (action,) = profile()
    context = LaunchContext()
    name = perform_substitutions(context, action.name)
    assert name in names
    assert Path(perform_substitutions(context, action.value)).is_file()
    monkeypatch.setenv(name, "mine.xml")
    assert profile() == []


FIRST_S, FRAMES, FPS = 1000, 12, 10


def bag(path: Path) -> list[int]:
    """A bag of images ten times a second, from long ago; returns their stamps."""
    file = BagFile(path)
    file.add_topic("/front/color", "sensor_msgs/msg/Image", latched=False)
    found = [FIRST_S * NS + number * NS // FPS for number in range(FRAMES)]
    for number, stamp in enumerate(found):
        file.write(
            Arrival("/front/color", "sensor_msgs/msg/Image", stamp, serialize_message(image(stamp, value=number)))
        )
    file.close()
    return found


def replay(tmp_path: Path, domain: int, *arguments: str) -> Process:
    return launch(tmp_path, domain, *arguments, "device:=CPU", file=REPLAY)


def ages_ms(found: list[DiagnosticArray], node: str) -> dict[str, float]:
    """The last ages that a node has reported, ms."""
    status = [s for array in found for s in array.status if node in s.name][-1]
    return {v.key: float(v.value) for v in status.values if v.key.startswith("age_")}


@pytest.mark.parametrize("every_frame", ["true", "false"])
def test_replay_in_the_time_of_the_bag(ros: Bench, domain: int, tmp_path: Path, every_frame: str) -> None:
    sent, out = bag(tmp_path / "bag"), tmp_path / "out"
    masks, clock = ros.listen(Image, "/robot/segmentation/mask"), ros.listen(Clock, "/clock")
    arguments = {"bag": tmp_path / "bag", "topic": "/front/color", "namespace": "robot", "record": out}
    arguments |= {"every_frame": every_frame, "rate": "0.5"}
    with replay(tmp_path, domain, *(f"{name}:={value}" for name, value in arguments.items())) as process:
        ros.until(lambda: masks or process.popen.poll() is not None, "masks")
        assert masks, process.output
        seg = ros.get("/robot/segmentation_node", "use_sim_time", "drop_policy", "device")
        assert seg == [True, "none" if every_frame == "true" else "oldest", "CPU"]
        source = ros.get("/robot/source_node", "use_sim_time", "clock", "rate", "bag_topic")
        assert source == [True, True, 0.5, "/front/color"]
        assert len(nodes(ros)) == 4
        assert process.end() == 0, process.output
    assert "the clip is over" in process.output or "finished: 12 frames sent" in process.output
    ended = [line for line in process.output.splitlines() if "process has " in line]
    assert len(ended) == 4 and all("finished cleanly" in line for line in ended), process.output
    times = [m.clock.sec * NS + m.clock.nanosec for m in clock]
    assert times[0] == sent[0] and times == sorted(times) and times[-1] > sent[-1]
    recorded = [frame for frame in Recording(out / "bag") if frame.class_ids is not None]
    assert stamps(masks) == [frame.stamp_ns for frame in recorded]
    assert set(stamps(masks)) <= set(sent)
    if every_frame == "true":
        assert stamps(masks) == sent
        assert all(np.array_equal(frame.class_ids, array(mask)) for frame, mask in zip(recorded, masks, strict=True))
    # Ages are of the bag's time: what passed in it since the image, not the years since it was taken.
    for node in ("segmentation_node", "tracker_node"):
        found = ages_ms(ros.diagnostics, node)
        assert 0 <= found["age_p50_ms"] < 5000, found


def test_replay_of_a_video_and_of_images_without_tracking(ros: Bench, domain: int, tmp_path: Path) -> None:
    masks = ros.listen(Image, "/camera/segmentation/mask")
    (tmp_path / "images").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), np.full((64, 96, 3), 20 * number, np.uint8))
    for argument, frames in ((f"video:={clip(tmp_path / 'clip.mp4')}", 10), (f"images:={tmp_path / 'images'}", 3)):
        masks.clear()
        with replay(tmp_path, domain, argument, "every_frame:=true", "use_tracking:=false") as process:
            assert process.end() == 0, process.output
            ros.until(lambda n=frames: len(masks) == n)
        assert "tracker_node" not in process.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to play; name one of bag, video and images"),
        (("bag:=a", "video:=b"), "bag and video to play; name one"),
        (("bag:=/no/such",), "bag /no/such does not exist"),
        (("images:=/tmp", "rate:=fast"), "rate is 'fast'; it must be a number"),
        (("images:=/tmp", "every_frame:=maybe"), 'provided value "maybe" is not valid'),
    ],
)
def test_wrong_replay_ends_with_a_sentence(tmp_path: Path, domain: int, arguments: tuple[str, ...], words: str) -> None:
    with replay(tmp_path, domain, *arguments) as process:
        assert process.end() == 1, process.output
        assert words in process.output


def test_replay_ends_if_a_node_fails(tmp_path: Path, domain: int) -> None:
    bag(tmp_path / "bag")
    with replay(tmp_path, domain, f"bag:={tmp_path / 'bag'}", "model:=nosuch") as process:
        assert process.end() == 1, process.output
        assert "ended with status 1: the replay needs it" in process.output
    with replay(tmp_path, domain, f"bag:={tmp_path / 'bag'}", "topic:=/nosuch") as process:
        assert process.end() == 1, process.output
        assert "topic /nosuch of bag" in process.output
        assert "source_node ended with status 1: the clip was not played to its end" in process.output
