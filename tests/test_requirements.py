"""What a machine has that holds only ROS and what rosdep installs, and what is said there."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement as Spec
from packaging.utils import canonicalize_name
from support import ROOT

from cmt_seg_ros.cli.main import COMMANDS
from cmt_seg_ros.requirements import REQUIREMENTS, explain, import_or_explain, missing, pip_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROSDEP = [requirement for requirement in REQUIREMENTS if requirement.rosdep]
PIP = [requirement for requirement in REQUIREMENTS if not requirement.rosdep]
CMT_SEG = "lib/cmt_seg_ros/cmt-seg"


def test_the_table_is_what_pyproject_and_package_xml_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(r.pip for r in REQUIREMENTS) == sorted(project["dependencies"])
    keys = [element.text or "" for element in ElementTree.parse(ROOT / "package.xml").iter("exec_depend")]
    assert sorted(r.rosdep for r in ROSDEP) == sorted(key for key in keys if key.startswith("python3-"))


def test_the_guide_names_what_rosdep_lacks() -> None:
    guide = (ROOT / "docs" / "getting_started.md").read_text(encoding="utf-8")
    assert f"pip install {' '.join(r.pip for r in PIP)}\n" in guide


def test_nothing_is_missing_here_and_other_modules_are_named() -> None:
    assert missing() == []
    assert "source /opt/ros" in explain(ModuleNotFoundError("No module named 'rclpy'", name="rclpy"))
    assert "build it" in explain(ModuleNotFoundError("No module named 'cmt_seg_ros.msg'", name="cmt_seg_ros.msg"))
    with pytest.raises(SystemExit, match="error: No module named 'no_such_module'"):
        import_or_explain("no_such_module")


class Machine:
    """A virtual environment whose files are links to the distributions of this one that it is given."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False)
        self._folder, self._has = folder, set[str]()

    def install(self, *names: str) -> None:
        for distribution in _with_dependencies(names):
            name = canonicalize_name(distribution.metadata["Name"])
            if name in self._has:
                continue
            self._has.add(name)
            for file in distribution.files or ():
                if "__pycache__" in file.parts:
                    continue
                target = Path(os.path.normpath(Path(distribution.locate_file(file))))
                link = self._folder / target.relative_to(sys.prefix)
                link.parent.mkdir(parents=True, exist_ok=True)
                if target.is_file() and not link.exists():
                    link.symlink_to(target)

    def run(self, program: str, *arguments: str) -> tuple[int, str, str]:
        """Run a program of it as a user would, with nothing sourced; return status, output and error output."""
        environment = {"PATH": os.defpath, "HOME": str(self._folder), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        environment |= {key: os.environ[key] for key in ("ROS_DOMAIN_ID",) if key in os.environ}
        command = [str(self._folder / program), *arguments]
        done = subprocess.run(command, cwd=self._folder, env=environment, capture_output=True, encoding="utf-8")
        return done.returncode, done.stdout, done.stderr


def _with_dependencies(names: tuple[str, ...]) -> Iterator[importlib.metadata.Distribution]:
    waiting, seen = [canonicalize_name(name) for name in names], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        distribution = importlib.metadata.distribution(name)
        yield distribution
        for spec in map(Spec, distribution.requires or ()):
            if name != "cmt-seg-ros" and (spec.marker is None or spec.marker.evaluate({"extra": ""})):
                waiting.append(canonicalize_name(spec.name))


def test_a_machine_with_only_ros_and_what_rosdep_installs(tmp_path: Path, ros_env: dict[str, str]) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    if not (Path(sys.prefix) / "lib" / "cmt_seg_ros").is_dir():
        pytest.skip("cmt_seg_ros is not installed by pip: make setup installs it")
    machine = Machine(tmp_path / "machine")
    names = {distribution.metadata["Name"] for distribution in importlib.metadata.distributions()}
    # The wheels of ROS, and the second metadata that they bring along.
    ros = [
        name for name in names if name.startswith(("ros-", "rosidl", "rcl")) or name.endswith(("_msgs", "_interfaces"))
    ]
    machine.install(*ros, "cmt_seg_ros", *(r.pip.partition("==")[0] for r in ROSDEP))
    line = re.escape(pip_line(PIP).partition(" ")[2])

    for program in (*(f"lib/cmt_seg_ros/{node}" for node in ("segmentation_node", "source_node")), CMT_SEG):
        status, out, err = machine.run(program, *(["predict", "--help"] if program == CMT_SEG else []))
        assert status == 1 and out == "" and err.count("\n") == 1, f"{program}: {out}{err}"
        assert re.search(rf"this Python has no av, simplejpeg, openvino, rosbags, .*: \S+ {line}\n", err), err

    status, out, _ = machine.run(CMT_SEG, "doctor", "--keep", "--json")
    rows = {row["check"]: row for row in json.loads(out)["findings"]}
    assert status == 1 and rows["modules"]["state"] == "error" and re.search(line, rows["modules"]["advice"])
    assert rows["ROS"]["state"] == rows["messages"]["state"] == rows["Python"]["state"] == "ok"
    for row in ("devices", "model"):
        assert rows[row]["found"].startswith("not checked: No module named")

    machine.install(*(r.pip.partition("==")[0] for r in PIP))
    nodes = ("segmentation_node", "tracker_node", "source_node", "recorder_node")
    imports = "\n".join(f"import cmt_seg_ros.ros.{node}" for node in nodes)
    assert machine.run("bin/python", "-c", imports) == (0, "", "")
    status, out, err = machine.run(CMT_SEG, "--help")
    assert (status, err) == (0, "") and all(command in out for command in COMMANDS)
