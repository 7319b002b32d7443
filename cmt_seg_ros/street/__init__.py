"""A synthetic street with exact ground truth; :class:`StreetScene` is all a user needs."""

from cmt_seg_ros.street.street import StreetScene

__all__ = ["StreetScene"]
