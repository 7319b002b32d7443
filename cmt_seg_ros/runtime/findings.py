"""What a check of `cmt-seg doctor` hands back; the checks are in runtime/doctor.py and ros/doctor/checks.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cmt_seg_ros.errors import CmtSegError

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True)
class Finding:
    """One row of the table.

    Attributes:
        check: what was looked at.
        state: OK, WARNING or ERROR.
        found: what is there; may have several lines.
        advice: what to do; "" for nothing.
    """

    check: str
    state: str
    found: str
    advice: str = ""


def examine(check: str, look: Callable[[], Finding]) -> Finding:
    """Run a check; one that fails is a finding, too, and keeps no other from running."""
    try:
        return look()
    except CmtSegError as error:  # says itself what to do
        return Finding(check, ERROR, str(error))
    except Exception as error:
        said = f"{type(error).__name__}: {error}".strip()
        return Finding(check, ERROR, said, "the check itself failed: see what it says")
