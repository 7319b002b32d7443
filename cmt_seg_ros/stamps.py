"""Frames of a camera come in the order of their stamps, each once; a source may begin again."""

from __future__ import annotations

from cmt_seg_ros.errors import FrameError

RESTART_AFTER = 3  # so many frames in a row before the newest stamp: the source began again


class StampOrder:
    """Refuses frames that are late or were there before.

    Attributes:
        newest_ns: stamp of the newest frame that was taken, ns; None before the first. The owner sets it.
    """

    def __init__(self) -> None:
        self.newest_ns: int | None = None
        self._back = 0

    def has_restarted(self, stamp_ns: int) -> bool:
        """Check the stamp of a frame, ns; True where the source began again (a bag in a loop).

        Raises:
            FrameError: it is not after the newest one (``out_of_order``).
        """
        newest = self.newest_ns
        if newest is None or stamp_ns > newest:
            self._back = 0
            return False
        self._back += stamp_ns < newest
        if self._back >= RESTART_AFTER:
            return True
        raise FrameError(
            f"stamp {stamp_ns} ns is not after {newest} ns, that of the newest frame; stamps of a camera must increase "
            f"(after {RESTART_AFTER} in a row that go back, the clock counts as restarted)",
            "out_of_order",
        )
