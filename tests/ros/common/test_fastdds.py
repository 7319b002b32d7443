from __future__ import annotations

import subprocess
import sys

import pytest
from support import ROOT

from cmt_seg_ros.ros.common.fastdds import profile_to_set, profile_variable, shipped_profile

NEW, OLD = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"


@pytest.mark.parametrize(
    ("distribution", "read", "other"),
    [("humble", OLD, NEW), ("jazzy", OLD, NEW), ("kilted", NEW, OLD), ("rolling", NEW, OLD), ("", NEW, OLD)],
)
def test_the_variable_that_a_distribution_reads_is_set_unless_the_user_has(
    distribution: str, read: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISTRO", distribution)
    for name in (NEW, OLD):
        monkeypatch.delenv(name, raising=False)
    assert profile_variable() == read
    assert profile_to_set() == {read: str(shipped_profile())}
    monkeypatch.setenv(other, "mine.xml")
    assert profile_to_set() == {read: str(shipped_profile())}, "Fast DDS does not read the other one"
    monkeypatch.setenv(read, "mine.xml")
    assert profile_to_set() == {}


def test_launch_files_may_ask_where_ros_and_numpy_are_missing() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('rclpy', 'ament_index_python', 'numpy')))\n"
        "from cmt_seg_ros.ros.common.fastdds import shipped_profile\n"
        "assert shipped_profile().is_file()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
