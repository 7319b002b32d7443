"""The package as installed: by pip here, by colcon elsewhere, and as a wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest
from support import ROOT

import cmt_seg_ros

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest there

BIN = Path(sys.prefix, "bin")
SOURCES = ["package.xml", "CMakeLists.txt", "setup.py", "pyproject.toml", "LICENSE", "cmake", "cmt_seg_ros", "msg"]
SHARED = ["launch", "config", "models"]
NODES = ["segmentation_node", "tracker_node", "source_node", "recorder_node"]

# What a user's program does; prints where everything was found.
USE = f"""
import importlib, json, cmt_seg_ros, cmt_seg_ros.msg
from cmt_seg_ros.msg import Track, TrackArray
from rclpy.serialization import deserialize_message, serialize_message
message = TrackArray(tracks=[Track(id=7, class_name="Car")])
assert deserialize_message(serialize_message(message), TrackArray) == message
from ament_index_python.packages import get_package_prefix, get_package_share_directory
for node in {NODES}:
    assert callable(importlib.import_module("cmt_seg_ros.ros." + node).main)
print(json.dumps([cmt_seg_ros.__file__, cmt_seg_ros.msg.__file__,
                  get_package_prefix("cmt_seg_ros"), get_package_share_directory("cmt_seg_ros")]))
"""


def run(command: list[str | Path], folder: Path, **variables: str) -> str:
    """Run without anything the tests' own environment has set: nothing sourced, nothing activated."""
    environment = {"PATH": os.defpath, "HOME": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment |= variables
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")
    assert result.returncode == 0, f"{command}: {result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result.stdout


def check_installed(prefix: Path, share: Path) -> None:
    for name in [*SHARED, "msg", "package.xml"]:
        assert (share / name).exists(), f"{share / name} is missing"
    assert (share / "config" / "fastdds.xml").is_file()
    for name in [*NODES, "cmt-seg"]:
        assert os.access(prefix / "lib" / "cmt_seg_ros" / name, os.X_OK), f"lib/cmt_seg_ros/{name} is not executable"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of what is needed to build, so that tests leave the real build folders alone."""
    folder = tmp_path / "workspace" / "src" / "cmt_seg_ros"
    folder.mkdir(parents=True)
    for name in [*SOURCES, *SHARED]:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def needs(*modules: str) -> None:
    for module in modules:
        pytest.importorskip(module, reason=f"{module} is not installed: make test installs it")


def test_works_in_this_environment_without_sourcing_anything(tmp_path: Path) -> None:
    needs("rclpy")
    if not (BIN / "cmt-seg").exists():
        pytest.skip("cmt_seg_ros is not installed by pip: make setup installs it")
    _, messages, prefix, share = json.loads(run([sys.executable, "-c", USE], tmp_path))
    assert Path(messages).is_relative_to(sys.prefix)
    assert Path(prefix) == Path(sys.prefix)
    check_installed(Path(prefix), Path(share))
    # Here the source tree is found first, and is no obstacle.
    run([sys.executable, "-c", USE], ROOT, HOME=str(tmp_path))
    programs = [BIN / "cmt-seg", Path(prefix, "lib", "cmt_seg_ros", "cmt-seg")]
    helps = [run([program, "--help"], tmp_path) for program in programs]
    assert helps[0] == helps[1]


def test_colcon_build(sources: Path) -> None:
    needs("rclpy", "colcon_core", "ament_package", "catkin_pkg")
    workspace = sources.parents[1]
    environment = {"PATH": f"{BIN}{os.pathsep}{os.defpath}", "MAKEFLAGS": "-j2", "COLCON_HOME": str(workspace)}
    run([BIN / "colcon", "build", "--event-handlers", "console_cohesion+"], workspace, **environment)
    use = 'source install/setup.bash && python3 -c "$USE" && "$(ls install/*/lib/cmt_seg_ros/cmt-seg)" --help'
    output = run(["bash", "-c", use], workspace, USE=USE, **environment).splitlines()
    code, messages, prefix, share = json.loads(output[0])
    install = workspace / "install" / "cmt_seg_ros"
    assert Path(code).is_relative_to(install)
    assert Path(messages).is_relative_to(install)
    assert Path(prefix) == install
    check_installed(install, Path(share))
    for name in NODES:  # what --symlink-install links to
        assert os.access(workspace / "build" / "cmt_seg_ros" / "executables" / name, os.X_OK)
    assert len(output) > 1, "cmt-seg --help printed nothing"


def test_wheel(sources: Path, tmp_path: Path) -> None:
    needs("cmake", "ninja", "ament_package", "catkin_pkg", "setuptools")
    # One message will do: each takes seconds to compile, and `make setup` has built all of them.
    lists = sources / "CMakeLists.txt"
    lines = lists.read_text(encoding="utf-8").splitlines(keepends=True)
    lists.write_text("".join(line for line in lines if '"msg/' not in line or '"msg/Track.msg' in line))
    pip = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index"]
    run([*pip, "--wheel-dir", tmp_path, sources], tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    assert "linux_x86_64" in wheel.name, "it holds compiled code"
    with zipfile.ZipFile(wheel) as archive:
        infos = {info.filename: info for info in archive.infolist()}
    data = f"cmt_seg_ros-{cmt_seg_ros.__version__}.data/data"
    for name in NODES:
        assert infos[f"{data}/lib/cmt_seg_ros/{name}"].external_attr >> 16 & 0o111, f"{name} is not executable"
    messages = f"{data}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages/cmt_seg_ros"
    assert f"{messages}/msg/__init__.py" in infos
    assert f"{messages}/__init__.py" not in infos, "two of them: the generated one is empty"
    assert {"cmt_seg_ros/__init__.py", "cmt_seg_ros/networks/cmt_mchh/__init__.py"} <= infos.keys()
    assert {f"{data}/share/cmt_seg_ros/config/fastdds.xml", f"{data}/share/cmt_seg_ros/package.xml"} <= infos.keys()
    assert not [name for name in infos if ".egg-info" in name or "__pycache__" in name]


def test_every_version_is_written_down_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [project["build-system"]["requires"], project["project"]["dependencies"]]
    lists += project["project"]["optional-dependencies"].values()
    pins: dict[str, str] = {}
    for requirement in [requirement for group in lists for requirement in group]:
        name, _, version = requirement.partition("==")
        assert version, f"{requirement} names no exact version"
        assert pins.setdefault(name, version) == version, f"{name} is pinned twice, differently"
    package = ElementTree.parse(ROOT / "package.xml")
    assert package.findtext("version") == cmt_seg_ros.__version__


def test_every_message_is_built() -> None:
    built = re.findall(r'"msg/(\w+\.msg)"', (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))
    assert built == sorted(path.name for path in (ROOT / "msg").iterdir())
