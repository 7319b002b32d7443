"""vision_msgs: the results as messages of that package, for programs that use it; only where it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from std_msgs.msg import Header

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import Instance, Track, TrackState

try:
    from vision_msgs.msg import Detection2D, Detection2DArray, LabelInfo, ObjectHypothesisWithPose, VisionClass

    AVAILABLE = True
except ImportError:
    AVAILABLE = False


def label_info(labels: LabelSet, threshold: float, stamp: Any) -> LabelInfo:
    """Return class names by id, and the probability below which a pixel is unlabelled."""
    message = LabelInfo(threshold=threshold)
    message.header.stamp = stamp
    message.class_map = [VisionClass(class_id=c.id, class_name=c.name) for c in labels.classes]
    return message


def detections(tracks: Sequence[Track], labels: LabelSet, header: Header) -> Detection2DArray:
    """Return the confirmed tracks that are seen in this frame; ``id`` is the track's, ``class_id`` the class's name."""
    seen = (t for t in tracks if t.state == TrackState.CONFIRMED)
    return Detection2DArray(header=header, detections=[_detection(t.track_id, t, labels, header) for t in seen])


def instance_detections(instances: Sequence[Instance], labels: LabelSet, header: Header) -> Detection2DArray:
    """Return the objects of one frame; ``id`` is the instance's, ``class_id`` the class's name."""
    return Detection2DArray(header=header, detections=[_detection(i.instance_id, i, labels, header) for i in instances])


def _detection(number: int, found: Track | Instance, labels: LabelSet, header: Header) -> Detection2D:
    left, top, right, bottom = map(float, found.box_px)
    message = Detection2D(header=header, id=str(number))
    message.bbox.center.position.x, message.bbox.center.position.y = (left + right) / 2, (top + bottom) / 2
    message.bbox.size_x, message.bbox.size_y = right - left, bottom - top
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = labels.name_of(found.class_id), float(found.score)
    message.results = [result]
    return message
