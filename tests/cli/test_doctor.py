"""`cmt-seg doctor` on this machine, and on one where something is broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cmt_seg_ros.cli import doctor
from cmt_seg_ros.cli.main import main
from cmt_seg_ros.ros.common.shared_memory import SHARED_MEMORY
from cmt_seg_ros.runtime.doctor import ERROR, OK, CheckResult, check_cache, run_check, unseen_hardware
from cmt_seg_ros.runtime.model_package import find

MODEL = "cmt-mchh-lite-camvid"
ROWS = ["Python", "modules", "ROS", "messages", "DDS profile", "shared memory", "loop-back", "network"]
ROWS += ["devices", "processor", "model", "cache"]
NODE = """
import time, rclpy
from pathlib import Path
rclpy.init()
node = rclpy.create_node("leaves_segments")
maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
print(*{Path(line.split()[-1]).name for line in maps if "/dev/shm/fastdds_" in line}, flush=True)
time.sleep(60)
"""


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, CheckResult]]:
    """Run the command; returns its status and the findings by check."""
    status = main(["doctor", "--json", *arguments])
    report = json.loads(capsys.readouterr().out)
    findings = [CheckResult(**row) for row in report["findings"]]
    assert report["errors"] == sum(finding.state == ERROR for finding in findings)
    return status, {finding.check: finding for finding in findings}


def left_by_a_killed_node(environment: dict[str, str]) -> set[str]:
    """Names of the segments and ports in /dev/shm of a process that was just killed."""
    process = subprocess.Popen([sys.executable, "-c", NODE], env=environment, stdout=subprocess.PIPE, encoding="utf-8")
    try:
        assert process.stdout is not None
        made = set(process.stdout.readline().split())
    finally:
        process.kill()
        process.communicate()
    for lock in [path for name in made for path in SHARED_MEMORY.glob(f"{name}_?l")]:
        os.utime(lock, (1e9, 1e9))  # so young a one would be left to a process that may still be starting
    assert made and all((SHARED_MEMORY / name).exists() for name in made)
    return made


def test_a_good_machine_has_no_errors_and_what_a_killed_node_left_is_removed(
    ros_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE")
    made = left_by_a_killed_node(ros_env)
    status, found = run_json(capsys)
    assert status == 0 and list(found) == ROWS
    assert all(found[row].state == OK for row in ("ROS", "messages", "DDS profile", "processor", "model", "cache"))
    assert "32 MB" in found["DDS profile"].found and "rmw_fastrtps_cpp" in found["ROS"].found
    assert "of 10 images" in found["loop-back"].found and "by shared memory" in found["loop-back"].found
    assert f"{MODEL} (fp16" in found["model"].found and "CPU available" in found["devices"].found
    assert "of killed processes" in found["shared memory"].found
    assert all(name in found["shared memory"].found and not (SHARED_MEMORY / name).exists() for name in made)


def test_a_damaged_model_is_an_error_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    package = Path(shutil.copytree(find(MODEL), tmp_path / "package", ignore=shutil.ignore_patterns("weights*")))
    (package / "model.bin").write_bytes(b"x")
    assert main(["doctor", "--model", str(package), "--device", "CPU"]) == 1
    out = capsys.readouterr().out
    assert "model.bin is damaged" in out and out.splitlines()[-1].endswith("1 errors")
    assert all(row in out for row in ROWS)


@pytest.mark.parametrize(
    ("rclpy", "words"),
    [
        ('raise ImportError("libnothing.so: cannot open")', "rclpy cannot be imported: libnothing.so: cannot open"),
        ('raise OSError("of two kinds")', "OSError: of two kinds"),
        ("import os; os.kill(os.getpid(), 9)", "the checks of ROS ended with status -9"),
        ("import time; time.sleep(60)", "the checks of ROS did not end within 2 s"),
    ],
    ids=["missing", "broken", "crash", "hang"],
)
def test_without_ros_all_else_is_checked(
    rclpy: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rclpy.py").write_text(rclpy)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "ROS_DEADLINE_S", 2.0 if "sleep" in rclpy else 40.0)
    status, found = run_json(capsys)
    assert status == 1 and found["ROS"].state == ERROR and words in found["ROS"].found and found["ROS"].advice
    assert all(found[row].state == OK for row in ("devices", "processor", "model", "cache"))
    if "raise" in rclpy:
        assert list(found) == ROWS and "free" in found["shared memory"].found
        assert found["loop-back"].found == "not checked: needs ROS"


def test_devices_that_are_not_there_or_make_no_sense_are_errors(capsys: pytest.CaptureFixture[str]) -> None:
    examined = run_check("devices", lambda: doctor.check_devices("XPU"))
    assert examined.state == ERROR and "XPU not available" in examined.found and "--device" in examined.advice
    assert "expected devices in order" in run_check("devices", lambda: doctor.check_devices(" ,")).found


def test_a_check_that_fails_is_a_finding() -> None:
    finding = run_check("nothing", lambda: CheckResult("nothing", OK, str(1 // 0)))
    assert finding == CheckResult(
        "nothing", ERROR, "ZeroDivisionError: integer division or modulo by zero", finding.advice
    )


def test_hardware_without_driver_is_seen(tmp_path: Path) -> None:
    for node, vendor in (("drm/renderD128", "0x8086\n"), ("drm/renderD129", "0x10de\n"), ("accel/accel0", "0x1002\n")):
        (tmp_path / node / "device").mkdir(parents=True)
        (tmp_path / node / "device" / "vendor").write_text(vendor)
    assert unseen_hardware(["CPU"], tmp_path) == ["the Intel GPU of this machine"]
    assert unseen_hardware(["CPU", "GPU.0"], tmp_path) == []


def test_cache_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert check_cache().state == ERROR and str(tmp_path) in check_cache().found
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    assert check_cache().state == OK
