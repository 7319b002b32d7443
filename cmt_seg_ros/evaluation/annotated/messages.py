"""Messages of the annotated bag: frames, masks and tracks as rosbags has them, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from rosbags.typesys.store import Typestore

from cmt_seg_ros.images.messages import file_format
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import U8, Frame, Track, TrackState
from cmt_seg_ros.tracking.track_message import track_fields

IMAGE, JPEG, TEXT, NUMBER = (
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CompressedImage",
    "std_msgs/msg/String",
    "std_msgs/msg/Float64",
)
CLASS_MAP, CLASS_INFO, TRACKS = (f"cmt_seg_ros/msg/{name}" for name in ("ClassMap", "ClassInfo", "TrackArray"))
ANNOTATIONS = "foxglove_msgs/msg/ImageAnnotations"

# Fields as in the ROS package foxglove_msgs. Newer definitions have more of them, which Foxglove does not need.
FOXGLOVE = {
    ANNOTATIONS: """
        foxglove_msgs/CircleAnnotation[] circles
        foxglove_msgs/PointsAnnotation[] points
        foxglove_msgs/TextAnnotation[] texts""",
    "foxglove_msgs/msg/CircleAnnotation": """
        builtin_interfaces/Time timestamp
        foxglove_msgs/Point2 position  # pixels; the origin is the corner of the first pixel
        float64 diameter               # pixels
        float64 thickness              # pixels
        foxglove_msgs/Color fill_color
        foxglove_msgs/Color outline_color""",
    "foxglove_msgs/msg/PointsAnnotation": """
        uint8 UNKNOWN=0
        uint8 POINTS=1
        uint8 LINE_LOOP=2
        uint8 LINE_STRIP=3
        uint8 LINE_LIST=4
        builtin_interfaces/Time timestamp
        uint8 type
        foxglove_msgs/Point2[] points  # pixels; the origin is the corner of the first pixel
        foxglove_msgs/Color outline_color
        foxglove_msgs/Color[] outline_colors
        foxglove_msgs/Color fill_color
        float64 thickness              # pixels""",
    "foxglove_msgs/msg/TextAnnotation": """
        builtin_interfaces/Time timestamp
        foxglove_msgs/Point2 position  # of the text's bottom left corner, pixels
        string text
        float64 font_size              # pixels
        foxglove_msgs/Color text_color
        foxglove_msgs/Color background_color""",
    "foxglove_msgs/msg/Point2": """
        float64 x
        float64 y""",
    "foxglove_msgs/msg/Color": """
        float64 r  # 0-1, as all four
        float64 g
        float64 b
        float64 a""",
}
JPEG_QUALITY = 85
_LINE_LOOP = 2


class Messages:
    """Makes the messages of one frame.

    Args:
        store: knows their types, those of :data:`FOXGLOVE` among them.
        stamp_ns: stamp of all of them, ns.
        frame_id: coordinate frame of all of them.

    Attributes:
        stamp_ns: as given.
    """

    def __init__(self, store: Typestore, stamp_ns: int, frame_id: str) -> None:
        self._types, self.stamp_ns = store.types, stamp_ns
        self._stamp = self._make("builtin_interfaces/msg/Time", *divmod(stamp_ns, 1_000_000_000))
        self._header = self._make("std_msgs/msg/Header", self._stamp, frame_id)

    def image(self, pixels: U8) -> Any:
        """Return a (H, W) uint8 mask as mono8."""
        height, width = pixels.shape
        return self._make(IMAGE, self._header, height, width, "mono8", 0, width, np.ascontiguousarray(pixels).ravel())

    def picture(self, picture: U8) -> Any:
        """Return a (H, W, 3) uint8 blue-green-red picture, as jpeg."""
        data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]
        return self._make(JPEG, self._header, "bgr8; jpeg compressed bgr8", data.ravel())

    def file(self, frame: Frame) -> Any:
        """Return the bytes of a frame that is still jpeg or png, as they are."""
        return self._make(JPEG, self._header, file_format(frame.encoding), np.ascontiguousarray(frame.pixels))

    def text(self, text: str) -> Any:
        """Return a sentence or a key."""
        return self._make(TEXT, text)

    def number(self, value: float) -> Any:
        """Return a score."""
        return self._make(NUMBER, float(value))

    def class_map(self, labels: LabelSet, model: str) -> Any:
        """Return what the numbers of a mask mean."""
        return labels.to_class_map(model, self._header, self._types[CLASS_MAP], self._types[CLASS_INFO])

    def tracks(self, tracks: Sequence[Track], labels: LabelSet, size: tuple[int, int]) -> Any:
        """Return all tracks of a frame of (height, width) pixels, as the live tracker publishes them."""
        made = [self._types["cmt_seg_ros/msg/Track"](**track_fields(track, labels)) for track in tracks]
        return self._make(TRACKS, self._header, size[1], size[0], made)

    def annotations(self, tracks: Sequence[Track], labels: LabelSet, size: tuple[int, int]) -> Any:
        """Return boxes of confirmed and, fainter, of occluded tracks, with class and id, for an image of this size."""
        shown = [t for t in tracks if t.state in (TrackState.CONFIRMED, TrackState.OCCLUDED)]
        unit = max(1.0, min(size) / 400)  # lines and letters can be seen in large images too
        boxes = [self._box(track, labels, 2 * unit) for track in shown]
        names = [self._name(track, labels, 12 * unit) for track in shown]
        return self._make(ANNOTATIONS, [], boxes, names)

    def _box(self, track: Track, labels: LabelSet, thickness_px: float) -> Any:
        left, top, right, bottom = track.box_px
        corners = [self._point(x, y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
        alpha = 1.0 if track.state == TrackState.CONFIRMED else 0.4
        outline, inside = self._color(_rgb(track, labels), alpha), self._color((0, 0, 0), 0.0)
        kind = "foxglove_msgs/msg/PointsAnnotation"
        return self._make(kind, self._stamp, _LINE_LOOP, corners, outline, [], inside, thickness_px)

    def _name(self, track: Track, labels: LabelSet, font_px: float) -> Any:
        red, green, blue = _rgb(track, labels)
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 128  # luma of BT.601
        # A label above the image would not be seen.
        position = self._point(max(track.box_px[0], 0.0), max(track.box_px[1], 1.5 * font_px))
        text = f"{labels.name_of(track.class_id)} {track.track_id}"
        ink, plate = self._color((255,) * 3 if dark else (0,) * 3, 1.0), self._color((red, green, blue), 0.8)
        return self._make("foxglove_msgs/msg/TextAnnotation", self._stamp, position, text, font_px, ink, plate)

    def _point(self, x: float, y: float) -> Any:
        return self._make("foxglove_msgs/msg/Point2", float(x), float(y))

    def _color(self, rgb: tuple[int, ...], alpha: float) -> Any:
        return self._make("foxglove_msgs/msg/Color", *(v / 255 for v in rgb), alpha)

    def _make(self, type_name: str, *fields: Any) -> Any:
        return self._types[type_name](*fields)


def _rgb(track: Track, labels: LabelSet) -> tuple[int, int, int]:
    return labels.classes[track.class_id].color if track.class_id < len(labels) else (255, 255, 255)
