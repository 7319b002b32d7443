from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from support import ROOT
from support.full_disk import file_limit
from support.waiting import DEADLINE_S

from cmt_seg_ros import files
from cmt_seg_ros.bags import writer
from cmt_seg_ros.bags.messages import message_folder, message_types
from cmt_seg_ros.bags.storage import bag_messages
from cmt_seg_ros.bags.writer import Arrival, BagFile, BagWriteError
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems

TEXT = "std_msgs/msg/String"


@pytest.fixture(autouse=True)
def chunks_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks end when they are full, however long the machine takes."""
    monkeypatch.setattr(writer, "_CHUNK_S", float("inf"))


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


def test_a_bag_that_is_not_closed_has_all_but_the_last_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_CHUNK_S", 0.0)
    bag = BagFile(tmp_path / "bag")
    bag.add_topic("/says", TEXT, latched=False)
    bag.write(said("one", 7))
    monkeypatch.setattr(writer, "_CHUNK_S", float("inf"))
    bag.write(said("two", 8))
    found = [message.raw for message in bag_messages(tmp_path / "bag", "/says", Problems())]
    assert found == [said("one", 7).raw]


def test_a_bag_without_messages_can_be_read(tmp_path: Path) -> None:
    BagFile(tmp_path / "bag").close()
    with AnyReader([tmp_path / "bag"]) as reader:
        assert list(reader.messages()) == []


def test_folders_that_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"exists already.*give another folder"):
        BagFile(tmp_path)


NOISE = np.random.default_rng(0).integers(0, 256, (40, 300_000), dtype=np.uint8)  # four of them fill a chunk


def noise(index: int, topic: str = "/says") -> Arrival:
    return Arrival(topic, TEXT, index, NOISE[index].tobytes())


def saved(path: Path) -> list[tuple[int, bytes]]:
    with AnyReader([path]) as reader:
        found = [(time_ns, raw) for _, time_ns, raw in reader.messages()]
        assert sum(c.msgcount for c in reader.connections) == reader.message_count == len(found)
    return found


@pytest.mark.parametrize("limit", [2_000_000, 3_700_000, 4_900_000, 5_555_555])
def test_a_full_disk_costs_the_chunk_that_does_not_fit(tmp_path: Path, limit: int) -> None:
    bag, written = BagFile(tmp_path / "bag"), 0
    bag.add_topic("/says", TEXT, latched=False)
    with file_limit(limit):
        with pytest.raises(BagWriteError, match=r"bag .* cannot be written: File too large; make room") as raised:
            while True:
                bag.write(noise(written))
                written += 1
        with pytest.raises(BagWriteError, match=r"bag .* has ended"):
            bag.write(noise(written))
        bag.close()
    count, size = raised.value.dropped["/says"]
    kept = written - count
    assert kept == limit // 1_200_000 * 4 and size == 300_000 * count
    assert saved(tmp_path / "bag") == [(i, NOISE[i].tobytes()) for i in range(kept)]


@pytest.mark.parametrize("room", [0, 100, 100_000, 450_000])
def test_a_disk_that_is_full_at_the_end_has_room_for_the_index(tmp_path: Path, room: int) -> None:
    bag = BagFile(tmp_path / "bag")
    bag.add_topic("/says", TEXT, latched=False)
    for index in range(10):  # two chunks, and two messages that wait for more
        bag.write(noise(index))
    (file,) = (tmp_path / "bag").glob("*.mcap")
    with file_limit(file.stat().st_size + room), pytest.raises(BagWriteError, match="cannot be written") as raised:
        bag.close()
    kept = 8 if room >= 100_000 else 4  # the index takes some of it
    assert raised.value.dropped == {"/says": (10 - kept, (10 - kept) * 300_000)}
    assert saved(tmp_path / "bag") == [(i, NOISE[i].tobytes()) for i in range(kept)]


def test_a_disk_without_any_room(tmp_path: Path) -> None:
    bag = BagFile(tmp_path / "bag")
    bag.add_topic("/says", TEXT, latched=False)
    bag.write(noise(0))
    with file_limit(200), pytest.raises(BagWriteError, match="cannot be written: File too large") as raised:
        bag.close()
    assert raised.value.dropped == {"/says": (1, 300_000)}


def test_there_is_room_again_after_a_full_disk(tmp_path: Path) -> None:
    bag = BagFile(tmp_path / "bag")
    bag.add_topic("/says", TEXT, latched=False)
    with file_limit(100), pytest.raises(BagWriteError):
        for index in range(9):
            bag.write(noise(index))
    bag.close()
    assert saved(tmp_path / "bag") == []


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
