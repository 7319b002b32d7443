"""The folder of a recording: all its files, written together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.images.video import VideoFile
from cmt_seg_ros.ros.common.images import frame_from_message
from cmt_seg_ros.ros.recorder.files import Arrival, ArrivalTable, BagFile, stamp_ns
from cmt_seg_ros.ros.recorder.status import StatusFile
from cmt_seg_ros.ros.recorder.thread import TopicCount
from cmt_seg_ros.ros.recorder.topics import Topic

REPORT_S = 0.2


class RecordingFolder:
    """``bag/``, ``arrivals.csv``, ``recording.json`` and, once :meth:`open_video` was called, ``overlay.mp4``.

    Args:
        out: the folder; made if missing.
        topics: what goes into the bag, by full name.

    Raises:
        SourceError: the files cannot be made, or there is a recording already.
    """

    def __init__(self, out: Path, topics: Mapping[str, Topic]) -> None:
        self._out, self._topics, self._saved_s = out, topics, 0.0
        self._video: VideoFile | None = None
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._bag = BagFile(out / "bag")
            for name, topic in topics.items():
                self._bag.add_topic(name, topic.type_name, topic.latched)
            self._arrivals = ArrivalTable(out / "arrivals.csv")
            self._status = StatusFile(out / "recording.json")
            self._status.write({}, finished=False)
        except OSError as error:
            raise SourceError(f"folder {out} cannot be written: {error}; give another folder") from error

    def open_video(self) -> None:
        """Begin the video.

        Raises:
            ConfigError: PyAV is missing.
        """
        self._video = VideoFile(self._out / "overlay.mp4")

    def write(self, arrival: Arrival) -> None:
        """Put a message into the bag if its topic is one of those that belong there."""
        topic = self._topics.get(arrival.topic)
        if topic is None:
            return
        if topic.timed:
            self._arrivals.write(arrival)
        self._bag.write(arrival)

    def film(self, arrival: Arrival) -> None:
        """Put an overlay, a sensor_msgs/Image, into the video.

        Raises:
            FrameError: it is not bgr8.
        """
        assert self._video is not None  # open_video was called
        frame = frame_from_message(deserialize_message(arrival.raw, Image), "overlay")
        stamp = stamp_ns(arrival.raw)
        if frame.encoding != "bgr8" or stamp is None:
            raise FrameError(f"overlay is {frame.encoding}; overlays are bgr8", "bad_encoding")
        self._video.write(frame.pixels, stamp)

    def report(self, counts: Mapping[str, TopicCount]) -> None:
        """Let readers see all rows of arrivals.csv, and bring recording.json up to date; called often, done rarely."""
        if time.monotonic() - self._saved_s > REPORT_S:
            self._saved_s = time.monotonic()
            with suppress(OSError):
                self._arrivals.flush()
            self._save(counts, finished=False)

    def close(self, counts: Mapping[str, TopicCount], say: Callable[[str], object]) -> None:
        """Finish all files; ``say`` takes a sentence about each that is incomplete."""
        finished = True
        for name, file in (("bag", self._bag), ("arrivals.csv", self._arrivals), ("overlay.mp4", self._video)):
            try:
                if file is not None:
                    file.close()
            except Exception as error:  # the other files can still be saved
                say(f"{name} is incomplete: {error}")
                finished = False
        self._save(counts, finished)

    def _save(self, counts: Mapping[str, TopicCount], finished: bool) -> None:
        with suppress(OSError):  # a full disk: what cannot be written is counted
            self._status.write(counts, finished)
