from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cmt_seg_ros.ros.common.shared_memory import SHARED_MEMORY, clean_stale, find_segments

SEGMENT = "fastdds_0123456789abcdef"
NODE = """
import time, rclpy
rclpy.init()
node = rclpy.create_node("leaves_segments")
print("up", flush=True)
time.sleep(60)
"""


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_removes_what_nobody_locks(tmp_path: Path) -> None:
    touch(tmp_path, SEGMENT, f"{SEGMENT}_el")
    touch(tmp_path, "fastdds_port7411", "fastdds_port7411_el", "fastdds_port7411_sl", "sem.fastdds_port7411_mutex")
    assert clean_stale(tmp_path, min_age_s=0) == [SEGMENT, "fastdds_port7411"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("held, mode", [("el", fcntl.LOCK_EX), ("sl", fcntl.LOCK_SH)])
def test_keeps_what_somebody_locks(tmp_path: Path, held: str, mode: int) -> None:
    names = ["fastdds_port7411", "fastdds_port7411_el", "fastdds_port7411_sl"]
    touch(tmp_path, *names)
    with open(tmp_path / f"fastdds_port7411_{held}", encoding="utf-8") as file:
        fcntl.flock(file, mode)
        assert clean_stale(tmp_path, min_age_s=0) == []
    assert sorted(os.listdir(tmp_path)) == names


def test_keeps_what_is_not_provably_stale(tmp_path: Path) -> None:
    names = ["fastdds_fedcba9876543210", "sem.other_mutex", "somebody_el"]  # no lock file; not Fast DDS
    touch(tmp_path, *names)
    assert clean_stale(tmp_path, min_age_s=0) == []
    assert sorted(os.listdir(tmp_path)) == names


def test_keeps_what_is_being_made(tmp_path: Path) -> None:
    touch(tmp_path, SEGMENT, f"{SEGMENT}_el")
    assert clean_stale(tmp_path) == []


def test_finds_without_removing(tmp_path: Path) -> None:
    held = "fastdds_port7411"
    names = [SEGMENT, f"{SEGMENT}_el", held, f"{held}_el", "fastdds_port7413", "sem.fastdds_port7413_mutex", "other_el"]
    touch(tmp_path, *names)
    (tmp_path / SEGMENT).write_bytes(b"x" * 4096)
    with open(tmp_path / f"{held}_el", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = find_segments(tmp_path, min_age_s=0)
    assert found.stale == {SEGMENT: 4096} and found.used == {held: 0} and found.unproven == {"fastdds_port7413": 0}
    assert find_segments(tmp_path).used.keys() == {SEGMENT, held}  # too young to judge
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def segments_of(pid: int) -> set[str]:
    """Segments and ports that a process has mapped; other ROS processes may run on this machine."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    paths = [Path(line.split(maxsplit=5)[5]) for line in maps if "/fastdds_" in line]
    return {path.name for path in paths if path.parent == SHARED_MEMORY}


def lying_there(names: set[str]) -> set[str]:
    return {name for name in names if (SHARED_MEMORY / name).exists()}


def test_a_living_node_keeps_its_segments_and_a_killed_one_is_cleaned_up_after(ros_env: dict[str, str]) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    process = subprocess.Popen([sys.executable, "-c", NODE], env=ros_env, stdout=subprocess.PIPE, encoding="utf-8")
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        made = segments_of(process.pid)
        assert any(len(name) == len(SEGMENT) for name in made), "the node made no segment"
        clean_stale(min_age_s=0)
        assert lying_there(made) == made
    finally:
        process.kill()
        process.communicate()
    assert lying_there(made) == made  # what this module is for
    assert made <= find_segments(min_age_s=0).stale.keys()
    clean_stale(min_age_s=0)
    assert lying_there(made) == set()


def test_command_says_what_it_removed() -> None:
    command = [sys.executable, "-m", "cmt_seg_ros.ros.common.shared_memory"]
    result = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert result.returncode == 0 and result.stdout.startswith("removed ")
