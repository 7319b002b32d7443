"""The table of `cmt-seg top`, from statuses as the listener hands them over."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from cmt_seg_ros.cli.top_table import Board, render

SEGMENTATION = {
    "received": "100",
    "inferred": "90",
    "dropped": "12",
    "dropped.bad_encoding": "2",
    "dropped.oldest": "10",
    "received_hz": "30.04",
    "inferred_hz": "28.96",
    "age_p50_ms": "12.2",
    "age_p99_ms": "40.6",
    "age_max_ms": "1000.1",
    "device": "GPU",
}
TRACKER = {"received": "50", "inferred": "50", "age_p50_ms": "nan", "age_p99_ms": "nan", "age_max_ms": "nan"}


def status(name: str, values: dict[str, str], level: int = 0, message: str = "frames come") -> dict[str, Any]:
    return {"name": name, "level": level, "message": message, "hardware_id": "", "values": values}


def shown(board: Board, now_s: float, width: int = 120) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as capture:
        console.print(render(board.cameras, now_s, "7"))
    return capture.get()


def test_table_shows_every_number() -> None:
    board = Board()
    board.update(10.0, [status("/front/segmentation_node: front", SEGMENTATION)])
    text = shown(board, 10.5)
    words = ["ROS domain 7", "/front/segmentation_node", "front", "OK", "frames come", "30.0/29.0", "12/41/1000", "GPU"]
    assert all(word in text for word in words)
    lines = [line[line.index("12/41/1000") + len("12/41/1000") :] for line in text.splitlines() if "12/41" in line]
    assert lines[0].split() == ["12", "GPU"]
    assert text.index("oldest 10") < text.index("bad_encoding 2")


def test_what_a_node_does_not_say_is_a_dash() -> None:
    board = Board()
    board.update(10.0, [status("/tracker_node: camera", TRACKER, 3, "no frame for 4 s")])
    (row,) = [line for line in shown(board, 10.5).splitlines() if "STALE" in line]
    assert row.split() == ["/tracker_node", "STALE", "-", "-", "-", "-"]


def test_rates_follow_from_counts_unless_they_are_given() -> None:
    board, name = Board(), "/tracker_node: camera"
    board.update(10.0, [status(name, TRACKER)])
    assert board.cameras[name].rates_hz == {}
    board.update(12.0, [status(name, TRACKER | {"received": "110", "inferred": "60"})])
    assert board.cameras[name].rates_hz == {"received": 30.0, "inferred": 5.0}
    board.update(13.0, [status(name, TRACKER | {"received": "3", "inferred_hz": "nan"})])  # started again
    assert board.cameras[name].rates_hz == {}
    board.update(14.0, [status(name, TRACKER | {"received": "many", "inferred_hz": "4.5"})])
    assert board.cameras[name].rates_hz == {"inferred": 4.5}


def test_silent_nodes_are_gone_and_come_back() -> None:
    board = Board()
    board.update(10.0, [status("/a/segmentation_node: front", SEGMENTATION)])
    assert "gone" not in shown(board, 12.9)
    assert "silent for 5 s" in shown(board, 15.0) and "OK" not in shown(board, 15.0)
    board.update(15.0, [status("/a/segmentation_node: front", SEGMENTATION)])
    assert "gone" not in shown(board, 15.5)


def test_numbers_are_whole_on_a_narrow_terminal() -> None:
    board = Board()
    board.update(10.0, [status("/a_long_namespace/segmentation_node: rear_left", SEGMENTATION, 2, "very [bold] words")])
    text = shown(board, 10.0, width=80)
    assert all(word in text for word in ("30.0/29.0", "12/41/1000", "oldest 10", "ERROR", "[bold]"))
    assert "…" not in text and max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("namespace", "names"),
    [
        ("/", {"/front/segmentation_node: c", "/frontal/tracker_node: c"}),
        ("front", {"/front/segmentation_node: c"}),
        ("/front/", {"/front/segmentation_node: c"}),
        ("/rear", set()),
    ],
)
def test_namespace_and_what_others_say_on_diagnostics(namespace: str, names: set[str]) -> None:
    board = Board(namespace)
    ours = [status(f"{node}: c", SEGMENTATION) for node in ("/front/segmentation_node", "/frontal/tracker_node")]
    others = [status("/front/usb_cam: temperature", {"degrees": "40"}), status("battery", {"received": "1"})]
    board.update(1.0, ours + others)
    assert board.cameras.keys() == names


def test_nothing_heard_is_a_sentence() -> None:
    assert "nothing heard on /diagnostics yet (ROS domain 7)" in " ".join(shown(Board(), 0.0, 200).split())
