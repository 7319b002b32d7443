"""Track message: the fields of ``msg/Track.msg``, for rclpy and for bags alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import Track


def track_fields(track: Track, labels: LabelSet) -> dict[str, Any]:
    """Return the fields of the message by name; units as in ``msg/Track.msg``."""
    left, top, right, bottom = map(float, track.box_px)
    return {
        "id": track.track_id,
        "class_id": track.class_id,
        "class_name": labels.name_of(track.class_id),
        "state": int(track.state),
        "event": int(track.event),
        "score": float(track.score),
        "left_px": left,
        "top_px": top,
        "width_px": right - left,
        "height_px": bottom - top,
        "area_px": 0.0 if track.segment is None else float(track.segment.area_px),
        "velocity_x_px_s": float(track.velocity_px_s[0]),
        "velocity_y_px_s": float(track.velocity_px_s[1]),
        "age_s": float(track.age_s),
        "unseen_s": float(track.unseen_s),
        "covariance": np.asarray(track.covariance, np.float64).ravel(),
    }
