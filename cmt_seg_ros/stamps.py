"""Stamps of a camera: the time of receipt where they are not set, and their order, until the source starts again."""

from __future__ import annotations

from cmt_seg_ros.errors import FrameError

_EPOCH_NS = 10**17  # in 1973: what is earlier is told by a clock that began at 0
RESTART_AFTER = 3  # this many stamps in a row that go back: the source has started again

UNSET = (
    "has no stamp (header.stamp is 0): the camera's driver does not set it, or not yet; the time of receipt is taken "
    "instead, which says nothing of delays. Set the stamp in the driver"
)
"""What is said of the first message without a stamp."""


class ReceiptStamps:
    """Gives every message of one camera a stamp: its own or, where that is not set (0), the time of its receipt.

    Where the camera's other stamps are of a clock that began at 0, as simulated time does, 0 stays 0: the beginning of
    that clock or, later, a frame that is out of order.
    """

    def __init__(self) -> None:
        self._own_clock = False

    def stamp_ns(self, stamp_ns: int, received_ns: int) -> int:
        """Return the stamp of the next message, ns.

        Args:
            stamp_ns: of its header; 0: not set.
            received_ns: when it was received, or recorded.
        """
        if stamp_ns or self._own_clock:
            self._own_clock = stamp_ns < _EPOCH_NS
            return stamp_ns
        return received_ns


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
            FrameError: the frame is a repetition (reason ``duplicate_stamp``) or late (``out_of_order``).
        """
        newest_ns = self.newest_ns
        if stamp_ns == newest_ns:
            raise FrameError(
                f"stamp {stamp_ns} ns is that of the frame before, so this is a repetition; stamps of a camera must "
                "increase: if the image is another one, its driver gives several images one stamp",
                "duplicate_stamp",
            )
        if newest_ns is not None and stamp_ns < newest_ns:
            self._back += 1
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
