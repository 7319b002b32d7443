from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.recorded import PERIOD_NS, START_NS, Bag, street

from cmt_seg_ros.bags.messages import BagMessage
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.live.recording import WINDOW, Recording
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.problems import Problems


def grey(value: int) -> np.ndarray:
    return np.full((4, 6), value, np.uint8)


def test_messages_of_one_stamp_become_one_frame(tmp_path: Path) -> None:
    bag = Bag(tmp_path)
    street(bag)
    recording = Recording(bag.write() / "bag")
    frames = list(recording)
    assert [f.stamp_ns for f in frames] == [START_NS + i * PERIOD_NS for i in range(9)]
    first = frames[0]
    assert first.instances is not None and first.instances.dtype == np.uint16
    assert set(np.unique(first.instances)) == {0, 11, 12}
    assert first.tracks is not None and [t.id for t in first.tracks] == [11, 12, 98, 99]
    assert recording.header.labels == CAMVID and recording.header.model == "some-model"
    assert recording.header.counts["segmentation/mask"] == 9
    assert recording.header.diagnostics["segmentation_node: camera"]["device"] == "CPU"


def test_late_messages_still_find_their_frame(tmp_path: Path) -> None:
    bag = Bag(tmp_path)
    for i in range(8):
        bag.image(i, "segmentation/mask", grey(i))
    for i in reversed(range(8)):
        bag.image(i, "segmentation/objectness", grey(i))
    frames = list(Recording(bag.write() / "bag"))
    assert [int(f.class_ids[0, 0]) for f in frames if f.class_ids is not None] == list(range(8))
    assert all(np.array_equal(f.class_ids, f.objectness) for f in frames)


def test_few_frames_are_kept_in_memory(tmp_path: Path) -> None:
    bag = Bag(tmp_path)
    for i in range(3 * WINDOW):
        bag.image(i, "segmentation/objectness", grey(0))
    bag.image(3 * WINDOW, "segmentation/mask", grey(1))
    frames = Recording(bag.write() / "bag")
    assert len(list(frames)) == 3 * WINDOW + 1
    assert next(iter(frames)).stamp_ns == START_NS


def test_a_camera_is_chosen_by_its_namespace(tmp_path: Path) -> None:
    bag = Bag(tmp_path)
    bag.image(0, "segmentation/mask", grey(1))
    bag.camera = "/rear"
    bag.image(0, "segmentation/mask", grey(2))
    path = bag.write() / "bag"
    for camera, value in (("", 1), ("/camera", 1), ("rear", 2)):
        (frame,) = Recording(path, camera)
        assert frame.class_ids is not None and frame.class_ids[0, 0] == value
    with pytest.raises(SourceError, match="/front/segmentation/mask; cameras in it: /camera/, /rear/"):
        Recording(path, "/front")


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.mcap").write_bytes(b"nothing")
    for name, words in (("none", "does not exist"), ("bad.mcap", "cannot be read")):
        with pytest.raises(SourceError, match=words):
            Recording(tmp_path / name)
    bag = Bag(tmp_path)
    bag.image(0, "segmentation/mask", np.zeros((4, 6), np.uint16))
    (frame,) = Recording(bag.write() / "bag")
    with pytest.raises(SourceError, match=r"mono16 .* expected mono8"):
        _ = frame.class_ids


def test_a_damaged_recording_is_read_as_far_as_it_is_readable(tmp_path: Path) -> None:
    bag = Bag(tmp_path)
    bag.labels()
    for i in range(40):
        bag.image(i, "segmentation/mask", np.random.default_rng(i).integers(0, 11, (200, 300), dtype=np.uint8))
        bag.tracks(i, [(i, "Car", 1)])
    path = bag.write() / "bag"
    whole = list(Recording(path))
    file = next(path.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])  # killed, or a full disk
    problems = Problems()
    recording = Recording(path, problems=problems)
    frames = list(recording)
    assert problems.counts["damaged_bag"] and str(file) in " ".join(problems.lines)
    assert recording.header.labels == CAMVID and recording.header.model == "some-model"
    assert 5 < len(frames) < 40 and recording.header.counts["segmentation/mask"] in (len(frames), len(frames) - 1)
    for found, expected in zip(frames[:-1], whole, strict=False):
        assert np.array_equal(found.class_ids, expected.class_ids)  # type: ignore[arg-type]
        assert found.tracks is not None and [t.id for t in found.tracks] == [t.id for t in expected.tracks or ()]


def test_messages_that_cannot_be_read_are_left_out_and_reported(tmp_path: Path) -> None:
    problems, bag = Problems(), Bag(tmp_path)
    for i in range(3):
        bag.image(i, "segmentation/mask", grey(i))
    path = bag.write() / "bag"
    whole = BagMessage.read

    def read(message: BagMessage) -> Any:
        if message.received_ns == START_NS + PERIOD_NS:
            raise ValueError("too short")
        return whole(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BagMessage, "read", read)
        assert [f.stamp_ns for f in Recording(path, problems=problems)] == [START_NS, START_NS + 2 * PERIOD_NS]
    assert problems.counts == {"damaged_message": 1} and "a message is skipped: too short" in problems.lines[0]
