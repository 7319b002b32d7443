"""What `cmt-seg doctor` says about ROS, DDS and shared memory where something is wrong with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: make test installs it")

from cmt_seg_ros.ros.common.fastdds import shipped_profile
from cmt_seg_ros.ros.doctor import checks, dds
from cmt_seg_ros.ros.doctor.dds import MB, check_profile, check_shared_memory, segment_bytes
from cmt_seg_ros.runtime.doctor import ERROR, OK, WARNING

VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"
PROFILE = """<dds xmlns="http://www.eprosima.com"><profiles>
<transport_descriptors>
<transport_descriptor><transport_id>images</transport_id><type>SHM</type>{size}</transport_descriptor>
<transport_descriptor><transport_id>other</transport_id><type>SHM</type><segment_size>99999999</segment_size>
</transport_descriptor></transport_descriptors>
<participant profile_name="p" is_default_profile="{default}"><rtps><userTransports>
<transport_id>images</transport_id></userTransports></rtps></participant></profiles></dds>"""
SEGMENT = "fastdds_0123456789abcdef"


def test_segment_size_is_that_of_the_default_participant(tmp_path: Path) -> None:
    shipped, path = shipped_profile(), tmp_path / "profile.xml"
    assert shipped is not None and segment_bytes(shipped) == 32 * MB
    for size, default, expected in (
        ("<segment_size>16777216</segment_size>", "true", 16 * MB),
        ("<segment_size>16777216</segment_size>", "false", MB // 2),
        ("", "true", MB // 2),
    ):
        path.write_text(PROFILE.format(size=size, default=default))
        assert segment_bytes(path) == expected


@pytest.mark.parametrize(
    ("text", "state", "words"),
    [
        (None, ERROR, "No such file"),
        ("<profiles", ERROR, "cannot be read: unclosed token"),
        (PROFILE.format(size="<segment_size>much</segment_size>", default="true"), ERROR, "'much'"),
        (PROFILE.format(size="", default="true"), WARNING, "0.5 MB; under 8 MB images of 1280x720 are lost"),
        (PROFILE.format(size="<segment_size>8388608</segment_size>", default="true"), OK, "of 8 MB"),
    ],
    ids=["missing", "no XML", "no number", "small", "large enough"],
)
def test_the_users_profile_is_looked_at(
    text: str | None, state: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.xml"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv(VARIABLE, str(path))
    finding = check_profile()
    assert finding.state == state and f"{path} (from {VARIABLE})" in finding.found and words in finding.found
    assert (VARIABLE in finding.advice) == (state != OK)


def test_without_a_profile_of_the_user_it_is_the_shipped_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    finding = check_profile()
    assert finding.state == OK and f"{shipped_profile()} (shipped)" in finding.found


@pytest.mark.parametrize(
    ("name", "value", "state", "words"),
    [
        ("ROS_DOMAIN_ID", "7", OK, ""),
        ("ROS_DOMAIN_ID", "150", WARNING, "from 0 to 101"),
        ("ROS_DOMAIN_ID", "233", ERROR, "from 0 to 101"),
        ("ROS_DOMAIN_ID", "all", ERROR, "from 0 to 101"),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF", WARNING, "no process hears another"),
    ],
)
def test_settings_of_ros(name: str, value: str, state: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE")
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    monkeypatch.setenv(name, value)
    finding = checks.check_ros()
    assert finding.state == state and value in finding.found and words in finding.advice


def test_stale_memory_is_reported_or_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dds, "MIN_FREE_BYTES", 0)
    for name in (SEGMENT, f"{SEGMENT}_el", "fastdds_port7411"):
        (tmp_path / name).write_bytes(b"x" * 8192)
    assert "1 segments and ports in use" in check_shared_memory(False, tmp_path).found  # too young to judge
    os.utime(tmp_path / f"{SEGMENT}_el", (1e9, 1e9))
    kept = check_shared_memory(True, tmp_path)
    assert kept.state == WARNING and f"1 of killed processes are there: {SEGMENT}" in kept.found
    assert "--keep" in kept.advice and (tmp_path / SEGMENT).exists()
    removed = check_shared_memory(False, tmp_path)
    assert removed.state == OK and f"removed 1 of killed processes (0.00781 MB): {SEGMENT}" in removed.found
    assert [path.name for path in tmp_path.iterdir()] == ["fastdds_port7411"]
    assert "1 without a lock file, maybe in use: fastdds_port7411" in removed.found


def test_little_room_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dds, "MIN_FREE_BYTES", 1 << 60)
    finding = check_shared_memory(True, tmp_path)
    assert finding.state == WARNING and "--shm-size" in finding.advice


def test_small_udp_buffers_are_no_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dds, "RMEM_MAX", tmp_path / "rmem_max")
    (tmp_path / "rmem_max").write_text("212992\n")
    assert dds.check_udp().state == OK and "sysctl" in dds.check_udp().advice
    (tmp_path / "rmem_max").write_text("16777216\n")
    assert not dds.check_udp().advice


def test_loop_back_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_of_nobody")
    finding = dds.check_loop_back()
    assert finding.state == ERROR and "ended with status 1" in finding.found and "rmw_of_nobody" in finding.found


def test_findings_are_lines_of_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(checks, "check_loop_back", fails)
    assert checks.main(["--keep"]) == 0
    found = {row["check"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(found) == ["ROS", "messages", "DDS profile", "shared memory", "loop-back", "network"]
    assert found["loop-back"]["state"] == ERROR and found["loop-back"]["found"] == "RuntimeError: on purpose"
    assert found["messages"]["state"] == OK and "vision_msgs" in found["messages"]["found"]
