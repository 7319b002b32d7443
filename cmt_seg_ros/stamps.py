"""Order of stamps: the stamps of a camera must increase, until its source starts again."""

from __future__ import annotations

from cmt_seg_ros.errors import FrameError

RESTART_AFTER = 3  # this many stamps in a row that go back: the source has started again


class StampOrder:
    """Decides for one camera which frames are in order.

    Stamps must increase strictly. A stamp that equals the newest one is a repetition; a single one that goes back is
    late. ``RESTART_AFTER`` in a row that go back (repetitions between them do not count) mean that the source has
    started again, as a bag in a loop does: the last of them is accepted, and the order continues from there.

    Attributes:
        newest_ns: stamp of the newest frame that was accepted, ns; None before the first.
    """

    def __init__(self) -> None:
        self.newest_ns: int | None = None
        self._back = 0

    def accept(self, stamp_ns: int) -> bool:
        """Record the stamp of the next frame, ns.

        Returns:
            True if the source has started again with this frame.

        Raises:
            FrameError: the frame is late or a repetition (reason ``out_of_order``).
        """
        newest_ns = self.newest_ns
        if newest_ns is not None and stamp_ns <= newest_ns:
            self._back += stamp_ns < newest_ns
            if self._back < RESTART_AFTER:
                raise FrameError(
                    f"stamp {stamp_ns} ns is not after {newest_ns} ns, that of the newest frame; stamps of a camera "
                    f"must increase (after {RESTART_AFTER} in a row that go back, the clock counts as restarted)",
                    "out_of_order",
                )
        restarted, self._back = self._back == RESTART_AFTER, 0
        self.newest_ns = stamp_ns
        return restarted

    def restart(self) -> None:
        """Forget the newest stamp: the clock was set, and any stamp may follow."""
        self.newest_ns, self._back = None, 0
