"""Annotated bag: the images of a run with what was found in them and how good it was, for Foxglove and ROS.

The topics are those of the live nodes; config/foxglove.json is a layout for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, QosDurability
from rosbags.rosbag2 import Reader

from cmt_seg_ros.bags.messages import message_types
from cmt_seg_ros.bags.writer import Arrival, BagFile
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.encodings import ENCODINGS
from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.evaluation.annotated.messages import FOXGLOVE, Messages
from cmt_seg_ros.images.drawing import draw_masks
from cmt_seg_ros.images.pixels import check_pixels, to_bgr
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import U8, Frame, Segmentation, Track, TrackState
from cmt_seg_ros.tracking.render import draw_tracks

LABEL_INFO = "segmentation/label_info"


class AnnotatedBag:
    """Writes a rosbag2 folder frame by frame; time of a message is the frame's stamp, whatever that is.

    Frames whose stamps repeat, go back or are 0 are written like others: readers sort by time, and frames of one
    stamp follow each other in the order in which they came. A topic is in the bag once it has a message.

    Args:
        path: the folder; must not exist.
        labels: what the class ids mean.
        model: name of the model.
        camera: name of the camera, the namespace of its topics.

    Raises:
        SourceError: it exists, or cannot be written; also while writing.
    """

    def __init__(self, path: Path, labels: LabelSet, model: str, camera: str = "camera") -> None:
        self._labels, self._model, self._space = labels, model, f"/{camera.strip('/')}"
        self._store = message_types(FOXGLOVE)
        self._bag = BagFile(path, self._store)

    def add(
        self,
        frame: Frame,
        segmentation: Segmentation | None,
        tracks: Sequence[Track] | None,
        scores: Mapping[str, float | None],
        lost: str = "",
    ) -> None:
        """Write one frame.

        Args:
            frame: its image; pixels that are not what their encoding says are left out.
            segmentation: its masks, of the frame's size; None where it has none.
            tracks: its tracks, of every state; None where it was not tracked.
            scores: numbers of this frame by name, each a topic ``/evaluation/<name>``; None: not known.
            lost: why it has no result, a short key; empty if it has. Always written, so that a plot of it shows
                where frames were lost, and no more than these.
        """
        make = self._messages(frame.stamp_ns, frame.frame_id)
        picture = _picture(frame)
        size = _size(picture, segmentation)
        if picture is not None:
            file = frame.decoded_from or frame
            whole = ENCODINGS[file.encoding].compressed
            self._write("image_raw/compressed", make, make.file(file) if whole else make.picture(picture))
            # Without tracks too: a viewer would keep the boxes of the frame before.
            self._write("tracking/annotations", make, make.annotations(tracks or (), self._labels, size))
        if segmentation is not None:
            self._add_masks(make, segmentation, picture, tracks or ())
        if tracks is not None:
            self._write("tracking/tracks", make, make.tracks(tracks, self._labels, size))
        if frame.truth is not None and frame.truth.class_ids is not None:
            self._write("truth/class_ids", make, make.image(frame.truth.class_ids))
        for name, value in scores.items():
            if value is not None:
                self._write(f"/evaluation/{name}", make, make.number(value))
        self._write("/evaluation/lost", make, make.text(lost))

    def close(self) -> None:
        """Finish the file; without that it cannot be read."""
        self._bag.close()

    def _messages(self, stamp_ns: int, frame_id: str) -> Messages:
        make = Messages(self._store, stamp_ns, frame_id)
        if f"{self._space}/{LABEL_INFO}" not in self._bag:
            self._write(LABEL_INFO, make, make.class_map(self._labels, self._model))
        return make

    def _add_masks(
        self, make: Messages, segmentation: Segmentation, picture: U8 | None, tracks: Sequence[Track]
    ) -> None:
        """Write the masks, and the picture with masks and tracks drawn over it."""
        self._write("segmentation/mask", make, make.image(segmentation.class_ids))
        if segmentation.objectness is not None:
            self._write("segmentation/objectness", make, make.image(segmentation.objectness))
        if picture is not None:
            alpha = SegmentationConfig.overlay_alpha
            drawn = draw_masks(picture, segmentation.class_ids, segmentation.objectness, self._labels, alpha)
            drawn = draw_tracks(drawn, [t for t in tracks if t.state != TrackState.LOST], self._labels)
            self._write("segmentation/overlay/compressed", make, make.picture(drawn))

    def _write(self, topic: str, make: Messages, message: Any) -> None:
        """Write a message of :class:`Messages` to a topic, announced when it is new."""
        name = topic if topic.startswith("/") else f"{self._space}/{topic}"
        if name not in self._bag:
            self._bag.add_topic(name, message.__msgtype__, latched=topic == LABEL_INFO)
        raw = bytes(self._store.serialize_cdr(message, message.__msgtype__))
        # The format's times are not negative.
        self._bag.write(Arrival(name, message.__msgtype__, max(make.stamp_ns, 0), raw))


def merge(parts: Sequence[Path], out: Path) -> None:
    """Make one bag of several, message by message in the order in which they were written.

    Of a latched topic only the first message is kept: a run that goes on says it again.

    Args:
        parts: rosbag2 folders in MCAP format, in order; they stay.
        out: the folder; must not exist.

    Raises:
        SourceError: a part cannot be read, or ``out`` exists or cannot be written; what lies in ``out`` is then
            incomplete.
    """
    bag = BagFile(out)
    try:
        for part in parts:
            _copy(part, bag)
    finally:
        bag.close()


def _copy(part: Path, bag: BagFile) -> None:
    try:
        reader = Reader(part)
        reader.open()
    except Exception as error:  # a damaged file makes rosbags raise a dozen kinds of errors
        raise SourceError(f"bag {part} cannot be read: {error}; delete it and merge the others") from error
    with closing(reader):
        old = {c.topic for c in reader.connections if c.topic in bag}
        for connection in reader.connections:
            if connection.topic not in old:
                bag.add_topic_of(connection)
        for connection, time_ns, raw in _messages(reader, part):
            if not (_latched(connection) and connection.topic in old):
                bag.write(Arrival(connection.topic, connection.msgtype, time_ns, raw))


def _messages(reader: Reader, part: Path) -> Iterator[tuple[Connection, int, bytes]]:
    """Yield the messages in the order of the file.

    The reader's own way sorts by time: where all stamps are the same it would hold the whole bag in memory.
    """
    try:
        for file in reader.storage.storages:
            yield from file.messages_scan(file.connections)
    except Exception as error:  # as above
        raise SourceError(f"bag {part} is damaged: {error}; delete it and merge the others") from error


def _latched(connection: Connection) -> bool:
    return any(qos.durability == QosDurability.TRANSIENT_LOCAL for qos in connection.ext.offered_qos_profiles)


def _picture(frame: Frame) -> U8 | None:
    """Return (H, W, 3) uint8, blue, green, red; None if the pixels are not what the frame says."""
    try:
        check_pixels(frame)
        return to_bgr(frame)
    except FrameError:
        return None


def _size(picture: U8 | None, segmentation: Segmentation | None) -> tuple[int, int]:
    """Return (height, width) of what is known of a frame, pixels; zeros if nothing is."""
    shown = picture if segmentation is None else segmentation.class_ids
    return (0, 0) if shown is None else (shown.shape[0], shown.shape[1])
