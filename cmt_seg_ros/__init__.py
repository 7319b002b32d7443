"""cmt_seg_ros: camera topics in, semantic and objectness masks and tracks out.

This folder holds the Python code; ``cmt_seg_ros.msg`` is generated from ``msg/`` by the build and
may lie in another folder of the same name (site-packages, a colcon install tree).
"""

import os
import sys
from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = "0.2.0"

# ROS 2 wheels from PyPI come without a setup.bash. The ament index of this environment goes last,
# so that whatever was sourced is found first.
_paths = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
if sys.prefix not in _paths and os.path.isdir(os.path.join(sys.prefix, "share", "ament_index")):
    os.environ["AMENT_PREFIX_PATH"] = os.pathsep.join([*_paths, sys.prefix])
del _paths

# `import openvino` would report its use over the network; robots do not. Without this module it does not.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
