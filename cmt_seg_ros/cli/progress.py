"""The progress bar of long commands."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def frame_bar(total: int | None, what: str) -> Any:
    """A bar over frames, to be used in a ``with`` block; in a file or a CI log a line every few seconds is enough."""
    period_s = 0.2 if sys.stderr.isatty() else 5.0
    return tqdm(total=total, unit="frame", desc=what, dynamic_ncols=True, mininterval=period_s, miniters=1)
