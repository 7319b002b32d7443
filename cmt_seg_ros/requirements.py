"""Requirements: modules of other projects that nodes and commands import, and how a missing one is installed.

Imports nothing but Python's own modules: this is what still runs where something is missing.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType


@dataclass(frozen=True)
class Requirement:
    """A module of another project.

    Attributes:
        module: its name in Python.
        pip: what pip installs, in the version that is tested; the same line as in ``pyproject.toml``.
        rosdep: its key; empty: rosdep has none.
    """

    module: str
    pip: str
    rosdep: str = ""


REQUIREMENTS = (
    Requirement("numpy", "numpy==2.2.6", "python3-numpy"),
    Requirement("scipy", "scipy==1.15.3", "python3-scipy"),
    Requirement("cv2", "opencv-python-headless==4.13.0.92", "python3-opencv"),
    Requirement("yaml", "PyYAML==6.0.3", "python3-yaml"),
    Requirement("tqdm", "tqdm==4.70.1", "python3-tqdm"),
    Requirement("rich", "rich==15.0.0", "python3-rich"),
    Requirement("av", "av==16.0.1"),
    Requirement("simplejpeg", "simplejpeg==1.9.0"),
    Requirement("openvino", "openvino==2026.4.1"),
    Requirement("rosbags", "rosbags==0.11.9"),
    Requirement("lz4", "lz4==4.4.5"),
    Requirement("backports.zstd", "backports.zstd==1.8.0"),
)
"""Those that rosdep installs first, as on a ROS machine; pip installs the others."""


def missing() -> list[Requirement]:
    """Return the requirements that this Python does not have."""
    return [requirement for requirement in REQUIREMENTS if not _installed(requirement.module)]


def pip_line(requirements: Sequence[Requirement]) -> str:
    """Return the command that installs requirements into this Python, in the tested versions.

    The versions of those that rosdep knows are left open, so that pip takes one that fits what is installed already.
    """
    names = [
        requirement.pip.partition("==")[0] if requirement.rosdep else requirement.pip for requirement in requirements
    ]
    return f"{sys.executable or 'python3'} -m pip install {' '.join(names)}"


def explain(error: ModuleNotFoundError) -> str:
    """Tell in one sentence which modules are missing and what to type; ``error`` is what an import raised."""
    needed = missing()
    if needed:
        names = ", ".join(requirement.module for requirement in needed)
        return f"this Python has no {names}; install what is missing: {pip_line(needed)}"
    name = error.name or ""
    if name == "rclpy" or name.partition(".")[0].endswith(("_msgs", "_srvs", "_interfaces")):
        return f"{error}; source /opt/ros/DISTRO/setup.bash, and install what `rosdep install --from-paths .` names"
    if name.startswith("cmt_seg_ros."):
        return f"{error}; the package is not installed whole: build it, then source install/setup.bash"
    return f"{error}; install it for {sys.executable or 'this Python'}"


def import_or_explain(module: str) -> ModuleType:
    """Import a module of this package, for a program that is about to start.

    Raises:
        SystemExit: another module that it needs is missing; says which, and what to type.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise SystemExit(f"error: {explain(error)}") from error


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that a submodule is in
        return False
