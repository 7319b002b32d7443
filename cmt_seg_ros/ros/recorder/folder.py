"""RecordingFolder: bag, table of arrivals, video and status of a recording, written together."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from cmt_seg_ros.bags.messages import raw_stamp_ns
from cmt_seg_ros.bags.run_tables import ArrivalTable
from cmt_seg_ros.bags.writer import Arrival, BagFile, BagWriteError
from cmt_seg_ros.config import RECORDING_FILES
from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.files import write_whole
from cmt_seg_ros.images.video import VideoFile
from cmt_seg_ros.ros.common.images import frame_from_message
from cmt_seg_ros.ros.recorder.thread import RecordingThread, TopicCount
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
        there = [name for name in RECORDING_FILES if (out / name).exists()]
        if there:
            raise SourceError(f"folder {out} has {there[0]} already; give another folder")
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._bag = BagFile(out / "bag")
            for name, topic in topics.items():
                self._bag.add_topic(name, topic.type_name, topic.latched)
            self._arrivals = ArrivalTable(out / "arrivals.csv")
            self._status = _StatusFile(out / "recording.json")
            self._status.write({}, False, "")
        except OSError as error:
            raise SourceError(f"folder {out} cannot be written: {error}; give another folder") from error

    def open_video(self) -> None:
        """Begin the video."""
        self._video = VideoFile(self._out / "overlay.mp4")

    def write(self, arrival: Arrival) -> None:
        """Put a message into the bag if its topic is one of those that belong there.

        Raises:
            BagWriteError: the bag cannot be written any more.
        """
        topic = self._topics.get(arrival.topic)
        if topic is None:
            return
        self._bag.write(arrival)
        if topic.timed:
            self._arrivals.add(arrival)

    def film(self, arrival: Arrival) -> None:
        """Put an overlay, a sensor_msgs/Image, into the video.

        Raises:
            FrameError: it is not bgr8.
            SourceError: the video cannot be written; it is given up.
        """
        if self._video is None:
            return
        frame = frame_from_message(deserialize_message(arrival.raw, Image), "overlay")
        stamp = raw_stamp_ns(arrival.raw)
        if frame.encoding != "bgr8" or stamp is None:
            raise FrameError(f"overlay is {frame.encoding}; overlays are bgr8", "bad_encoding")
        try:
            self._video.write(frame.pixels, stamp)
        except OSError as error:
            self._video.discard()
            self._video = None
            raise SourceError(f"there will be no overlay.mp4: {error}") from error

    def report(self, counts: Mapping[str, TopicCount], failure: str = "") -> None:
        """Let readers see all rows of arrivals.csv, and bring recording.json up to date; called often, done rarely."""
        if time.monotonic() - self._saved_s > REPORT_S:
            self._saved_s = time.monotonic()
            with suppress(OSError):  # a full disk: said as soon as the bag cannot be written
                self._arrivals.flush()
                self._status.write(counts, False, failure)

    def close(self, thread: RecordingThread, say: Callable[[str], object]) -> None:
        """Finish all files, after the thread's end.

        Args:
            thread: has the counts; messages that the bag cannot keep become failed ones.
            say: takes a sentence about each file that is incomplete.
        """
        finished = not thread.failure
        for name, file in (("bag", self._bag), ("arrivals.csv", self._arrivals), ("overlay.mp4", self._video)):
            try:
                if file is not None:
                    file.close()
            except Exception as error:  # the other files can still be saved
                say(f"{name} is incomplete: {error}")
                finished = False
                if isinstance(error, BagWriteError):
                    thread.drop(error)
                    thread.failure = thread.failure or str(error)
        try:
            self._status.write(thread.counts, finished, thread.failure)
        except OSError as error:
            say(f"recording.json is not up to date: {error}")


class _StatusFile:
    """recording.json: how much was recorded and lost, for the process that started the recorder.

    ``{"finished": bool, "error": text, "messages": n, "bytes": n, "lost": n, "failed": n, "topics": {name: the same
    four}}``; ``finished`` is true once all files of the recording are complete; ``error`` says why it ended early.
    Lost: the queue was full, or sent but never delivered; failed: could not be written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._text = path, ""

    def write(self, counts: Mapping[str, TopicCount], finished: bool, error: str) -> None:
        """Replace the file, if anything has changed; readers never see half of it.

        Raises:
            OSError: it cannot be written.
        """
        topics = {
            name: {"messages": count.written, "bytes": count.size, "lost": count.lost, "failed": count.failed}
            for name, count in list(counts.items())
        }
        totals = {key: sum(row[key] for row in topics.values()) for key in ("messages", "bytes", "lost", "failed")}
        text = json.dumps({"finished": finished, "error": error, **totals, "topics": topics}, indent=1) + "\n"
        if text != self._text:
            write_whole(self._path, text)
            self._text = text
