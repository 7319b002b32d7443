"""Nothing of this package makes OpenVINO report its use over the network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.waiting import DEADLINE_S


def test_openvino_keeps_no_record_of_its_user(tmp_path: Path) -> None:
    """Its reporter would write an id to ~/intel before it sends anything."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("CI", None)
    code = "import cmt_seg_ros.runtime.pipeline, openvino, openvino.tools.ovc, sys; print(openvino.__version__)"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=DEADLINE_S)
    assert not (tmp_path / "intel").exists()
