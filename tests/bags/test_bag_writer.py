from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from support import ROOT
from support.waiting import DEADLINE_S

from cmt_seg_ros import files
from cmt_seg_ros.bags.messages import message_folder, message_types
from cmt_seg_ros.bags.writer import Arrival, BagFile
from cmt_seg_ros.errors import SourceError

TEXT = "std_msgs/msg/String"


def said(text: str, time_ns: int, topic: str = "/says") -> Arrival:
    store = message_types()
    return Arrival(topic, TEXT, time_ns, bytes(store.serialize_cdr(store.types[TEXT](text), TEXT)))


def test_what_is_written_is_read_with_times_and_durability(tmp_path: Path) -> None:
    bag = BagFile(tmp_path / "bag")
    bag.add_topic("/says", TEXT, latched=True)
    bag.add_topic("/camera/tracks", "cmt_seg_ros/msg/TrackArray", latched=False)
    for text, time_ns in (("one", 7), ("two", 7), ("three", 0)):
        bag.write(said(text, time_ns))
    bag.close()
    with AnyReader([tmp_path / "bag"]) as reader:
        found = [(time_ns, reader.deserialize(raw, c.msgtype).data) for c, time_ns, raw in reader.messages()]
        assert found == [(0, "three"), (7, "one"), (7, "two")]
        topics = {c.topic: c for c in reader.connections}
        assert topics["/camera/tracks"].msgcount == 0 and "float32 left_px" in topics["/camera/tracks"].msgdef.data
        assert topics["/says"].ext.offered_qos_profiles[0].durability == QosDurability.TRANSIENT_LOCAL
    assert [p.name for p in (tmp_path / "bag").glob("*.mcap")] == ["bag.mcap"]


def test_a_bag_without_messages_can_be_read(tmp_path: Path) -> None:
    BagFile(tmp_path / "bag").close()
    with AnyReader([tmp_path / "bag"]) as reader:
        assert list(reader.messages()) == []


def test_folders_that_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"exists already.*give another folder"):
        BagFile(tmp_path)


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bag = BagFile(tmp_path / "bag")
    bag.add_topic("/says", TEXT, latched=False)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bag._writer, "write", full)
        with pytest.raises(SourceError, match="bag cannot be written: No space left on device"):
            bag.write(said("one", 1))
    bag.close()


def test_definitions_are_found_in_sourced_workspaces_and_this_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert message_folder() == ROOT / "msg"
    monkeypatch.setattr(files, "_CHECKOUT", tmp_path / "lib")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "workspace"))
    with pytest.raises(SourceError, match=r"are in none of .*install cmt_seg_ros again"):
        message_folder()
    for prefix in ("environment", "workspace"):
        folder = tmp_path / prefix / "share" / "cmt_seg_ros" / "msg"
        folder.mkdir(parents=True)
        (folder / "TrackArray.msg").touch()
        assert message_folder() == folder


def test_no_ros_is_needed() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('rclpy', 'ament_index_python', 'cmt_seg_ros.msg')))\n"
        "from cmt_seg_ros.evaluation.annotated.bag import AnnotatedBag\n"
        "from cmt_seg_ros.bags.messages import message_types\n"
        "assert 'cmt_seg_ros/msg/Track' in message_types().types"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=DEADLINE_S)
