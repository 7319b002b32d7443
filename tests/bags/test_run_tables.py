from __future__ import annotations

import struct
from collections import deque
from pathlib import Path

import pytest
from support.full_disk import file_limit

from cmt_seg_ros.bags.run_tables import ArrivalTable, Sent, SentTable, read_arrivals, read_sent
from cmt_seg_ros.bags.writer import Arrival
from cmt_seg_ros.errors import SourceError


def raw(seconds: int, nanoseconds: int) -> bytes:
    """The begin of a message with a header."""
    return b"\x00\x01\x00\x00" + struct.pack("<iI", seconds, nanoseconds) + b"rest"


def test_what_was_sent_is_read_back_while_it_is_written(tmp_path: Path) -> None:
    path, sent = tmp_path / "sent.csv", [Sent(0, 5, -3, 7), Sent(1, 6, 10**18, 8)]
    table = SentTable(path)
    for number, one in enumerate(sent, start=1):
        table.add(one)
        assert read_sent(path) == sent[:number]
    table.close()
    assert path.read_text(encoding="utf-8") == f"index,clip_stamp_ns,stamp_ns,sent_ns\n0,5,-3,7\n1,6,{10**18},8\n"
    with pytest.raises(SourceError, match=r"sent_file .* cannot be written: Is a directory; give another file"):
        SentTable(tmp_path)


def test_arrivals_are_read_back_by_topic_and_stamp(tmp_path: Path) -> None:
    path = tmp_path / "arrivals.csv"
    table = ArrivalTable(path)
    for topic, message, received_ns in (
        ("/a/segmentation/mask", raw(1, 2), 30),
        ("/a/tracking/tracks", raw(1, 2), 31),
        ("/a/segmentation/mask", raw(1, 2), 32),
        ("/a/segmentation/mask", raw(-1, 999_999_999), 33),
        ("/diagnostics", b"\x00\x01\x00\x00text", 34),  # no header
    ):
        table.add(Arrival(topic, "any/msg/Type", received_ns, message))
    table.flush()
    stamp = 1_000_000_002
    assert read_arrivals(path) == {
        "segmentation/mask": {stamp: deque([30, 32]), -1: deque([33])},
        "tracking/tracks": {stamp: deque([31])},
    }
    table.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"columns are \[\]"),
        ("topic,stamp_ns\n", "columns are"),
        ("index,clip_stamp_ns,stamp_ns,sent_ns\n1,2,3\n", "it has a row"),
        ("index,clip_stamp_ns,stamp_ns,sent_ns\n1,2,3,x\n", "it has a row"),
        ("index,clip_stamp_ns,stamp_ns,sent_ns\nx,1,2,3\n", "it has a row"),
        (None, "No such file"),
    ],
)
def test_other_tables_are_refused(text: str | None, words: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match=rf"t.csv cannot be read: .*{words}.* expected the sent.csv that source_node"):
        read_sent(tmp_path / "t.csv")
    if text is not None:
        with pytest.raises(SourceError, match=r"expected the arrivals.csv that recorder_node writes"):
            read_arrivals(tmp_path / "t.csv")


def test_arrivals_end_with_a_whole_row_on_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "arrivals.csv"
    table = ArrivalTable(path)
    table.add(Arrival("/front/segmentation/mask", "x", 10, raw(1, 5)))
    table.flush()
    size = path.stat().st_size
    table.add(Arrival("/front/segmentation/mask", "x", 20, raw(2, 5)))
    with file_limit(size + 20), pytest.raises(OSError, match="File too large"):
        table.flush()
    assert len(read_arrivals(path)["segmentation/mask"]) == 1
    table.close()  # there is room again
    assert read_arrivals(path)["segmentation/mask"] == {1_000_000_005: deque([10]), 2_000_000_005: deque([20])}


def test_a_table_of_sent_frames_on_a_full_disk_says_so_once(tmp_path: Path) -> None:
    table = SentTable(tmp_path / "sent.csv")
    with file_limit(45):
        with pytest.raises(SourceError, match=r"sent_file .* cannot be written: File too large"):
            table.add(Sent(0, 5, 10**18, 7))
        table.close()
