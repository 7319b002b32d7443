"""The pip build. Metadata and versions are in pyproject.toml; this file adds what setuptools lacks.

One more step of `build`, build_messages, runs CMakeLists.txt and ships its install tree under the
environment's prefix: the generated cmt_seg_ros.msg, lib/cmt_seg_ros/<node>, share/cmt_seg_ros.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from setuptools import Command, Distribution, setup
from setuptools.command.build import build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Relative to this file's folder, where every caller starts setup.py: setuptools wants it so.
WORK = Path("build", f"messages-{sysconfig.get_config_var('SOABI')}")
STAGE = WORK / "stage"
SHARED = ("launch", "config", "models")
# A sourced ROS distribution must not mix with the wheels this build is made against.
ROS_VARIABLES = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "ROS_DISTRO", "LD_LIBRARY_PATH")


class Build(build):
    """setuptools' build and, last, build_messages."""

    sub_commands: ClassVar = [*build.sub_commands, ("build_messages", None)]

    def run(self) -> None:
        """Start from an empty folder: setuptools would ship modules deleted since the last build."""
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class BuildMessages(Command):
    """Runs CMake and hands its install tree to setuptools as data files."""

    description = "build the ROS messages with CMake"
    user_options: ClassVar = []
    editable_mode = False  # setuptools sets it for `pip install -e`

    def initialize_options(self) -> None:
        """There are no options."""

    def finalize_options(self) -> None:
        """There are no options."""

    def run(self) -> None:
        """Build, then list what is to be installed."""
        run_cmake()
        self.distribution.data_files = [(str(file.parent.relative_to(STAGE)), [str(file)]) for file in staged_files()]
        if self.editable_mode:
            # setuptools leaves data files out of editable installs, yet has a folder ready for them.
            self.run_command("install_data")

    def get_source_files(self) -> list[str]:
        """What this step reads: setuptools puts it into source distributions."""
        trees = [path for folder in ("cmake", "msg", *SHARED) for path in Path(folder).rglob("*") if path.is_file()]
        return ["CMakeLists.txt", "package.xml", *map(str, trees)]


class BinaryDistribution(Distribution):
    """Compiled for one Python and one platform, though setuptools compiles nothing itself."""

    def has_ext_modules(self) -> bool:
        """Give the wheel the name of its platform."""
        return True


def run_cmake() -> None:
    """Configure, build and install into STAGE. `-m cmake` works in an environment nobody activated."""
    import ninja

    cmake = [sys.executable, "-m", "cmake"]
    environment = {key: value for key, value in os.environ.items() if key not in ROS_VARIABLES}
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_INSTALL_PREFIX": STAGE.resolve(),
        "CMAKE_MAKE_PROGRAM": Path(ninja.BIN_DIR, "ninja"),
        "Python3_EXECUTABLE": sys.executable,
        "PIP_BUILD": "ON",
    }
    defines = [f"-D{key}={value}" for key, value in options.items()]
    shutil.rmtree(STAGE, ignore_errors=True)
    # --fresh: what the last build found may have been in an environment that pip has deleted since.
    for step in (["--fresh", "-S", ".", "-B", WORK, "-G", "Ninja", *defines], ["--build", WORK, "--target", "install"]):
        subprocess.run([*cmake, *step], env=environment, check=True)


def staged_files() -> Iterator[Path]:
    """The staged files that belong into the environment."""
    for path in sorted(STAGE.rglob("*")):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        if any(part.endswith(".egg-info") for part in path.parts):
            continue  # a second metadata: `pip uninstall` would remove that one
        if path.suffix == ".c" or path.match("site-packages/cmt_seg_ros/__init__.py"):
            continue  # generated sources; and the source tree's __init__.py is the one that counts
        yield path


def build_requirements() -> list[str]:
    """The extra `build`: pip installs it before building, `make test` for the test of colcon."""
    with open("pyproject.toml", "rb") as file:
        extras: dict[str, list[str]] = tomllib.load(file)["project"]["optional-dependencies"]
    return extras["build"]


setup(
    cmdclass={"build": Build, "build_messages": BuildMessages},
    distclass=BinaryDistribution,
    setup_requires=build_requirements(),
)
