"""run.yaml: what a run folder is a run of, so that no other run continues it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.files import write_whole


def claim(out: Path, record: Mapping[str, Any], rank: int = 0) -> None:
    """Write ``out/run.yaml``, or compare with the one that is there.

    Args:
        out: folder of the run.
        record: plain values that decide the result.
        rank: only process 0 writes.

    Raises:
        ConfigError: the folder holds a run of another recipe, other data or other classes, or cannot be written.
    """
    path = out / "run.yaml"
    if path.is_file():
        there = yaml.safe_load(path.read_text())
        different = sorted(k for k in {*there, *record} if there.get(k) != record.get(k))
        if different:
            raise ConfigError(f"{out} holds a run with another {', '.join(different)} (see {path}); give another --out")
    elif rank == 0:
        try:
            out.mkdir(parents=True, exist_ok=True)
            write_whole(path, yaml.safe_dump(dict(record), sort_keys=False))
        except OSError as error:
            raise ConfigError(f"--out {out} cannot be written: {error.strerror}") from error
