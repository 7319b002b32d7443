"""Synthetic street with exact ground truth; users need only :class:`StreetScene`."""

from cmt_seg_ros.street.street import StreetScene

__all__ = ["StreetScene"]
