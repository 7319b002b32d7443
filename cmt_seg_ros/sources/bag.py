"""Frames of an image topic of a bag: rosbag2 folder, .mcap file, ROS 1 .bag."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.sources.bag_images import TYPES, header_stamp_ns, message_pixels
from cmt_seg_ros.sources.clip import DEFAULT_FPS
from cmt_seg_ros.structures import Frame

log = logging.getLogger(__name__)

_SAMPLE = 64  # messages looked at to learn the rate
_MAX_FPS = 1000.0
_Message = tuple[Connection, int, bytes]


class BagSource:
    """The images of one topic, stamped by their headers.

    Args:
        path: a rosbag2 folder, a single .mcap file, or a ROS 1 .bag.
        topic: of type sensor_msgs/Image or sensor_msgs/CompressedImage; empty: the first one in the
            order of names.
        camera: name the frames carry.

    Attributes:
        name: the bag's name.
        topic: the topic that is read.
        fps: mean rate of the first messages by their stamps; 15 where these say nothing.
        labels: None, ground truth is not read from bags.
        skipped: damaged messages so far; each is logged as a warning.

    Raises:
        SourceError: no such bag, damaged, no image topic, no such topic, no message on it; while
            iterating: an encoding that is not known.
    """

    labels: LabelSet | None = None

    def __init__(self, path: str | Path, topic: str = "", camera: str = "camera") -> None:
        self._path, self._camera = Path(path), camera
        self.name = self._path.resolve().name
        self.skipped = 0
        # Drivers that leave the header empty leave it empty always; a clip's first stamp may really be 0.
        self._stamped = True
        with self._open() as reader:
            self.topic = _choose(reader, topic, self._path)
            self._length = sum(c.msgcount for c in reader.connections if c.topic == self.topic)
            self._stamped = any(stamp for _, stamp, _ in islice(self._messages(reader), _SAMPLE))
            stamps = [stamp for _, stamp, _ in islice(self._messages(reader), _SAMPLE)]
        if not stamps:
            raise SourceError(f"topic {self.topic} of bag {self._path} has no message that can be read")
        span_s = (stamps[-1] - stamps[0]) / 1e9
        fps = (len(stamps) - 1) / span_s if span_s > 0 else 0.0
        self.fps = fps if 0 < fps <= _MAX_FPS else DEFAULT_FPS

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Frame]:
        self.skipped = 0
        with self._open() as reader:
            for index, stamp, message in self._messages(reader):
                try:
                    pixels, encoding = message_pixels(message)
                except FrameError as error:
                    if error.reason == "bad_encoding":
                        raise SourceError(f"bag {self._path}, topic {self.topic}: {error}") from error
                    self._skip(index, error)
                    continue
                yield Frame(self._camera, stamp, pixels, encoding, str(message.header.frame_id), f"{index:06d}")

    def _messages(self, reader: AnyReader) -> Iterator[tuple[int, int, Any]]:
        """(number, stamp in ns, deserialized message) of the topic; damaged ones are skipped."""
        connections = [c for c in reader.connections if c.topic == self.topic]
        for index, (connection, received_ns, raw) in enumerate(_until_damaged(reader.messages(connections), self.name)):
            try:
                message = reader.deserialize(raw, connection.msgtype)
                stamp = header_stamp_ns(message) if self._stamped else received_ns
            except Exception as error:  # rosbags lets through whatever a damaged message makes numpy or struct raise
                self._skip(index, error)
                continue
            yield index, stamp, message

    def _skip(self, index: int, error: Exception) -> None:
        self.skipped += 1
        log.warning("bag %s, topic %s: message %d is skipped: %s", self._path, self.topic, index, error)

    @contextmanager
    def _open(self) -> Iterator[AnyReader]:
        if not self._path.exists():
            raise SourceError(f"bag {self._path} does not exist; give a rosbag2 folder, an .mcap file or a ROS 1 .bag")
        try:  # the store is for SQLite bags of older distributions, which carry no type definitions
            reader = AnyReader([self._path], default_typestore=get_typestore(Stores.ROS2_KILTED))
            reader.open()
        except Exception as error:  # a damaged file makes rosbags raise a dozen kinds of errors
            raise SourceError(f"bag {self._path} cannot be read: {error}") from error
        with closing(reader):
            yield reader


def _until_damaged(messages: Iterator[_Message], name: str) -> Iterator[_Message]:
    """The messages up to where a cut-off bag ends."""
    while True:
        try:
            yield next(messages)
        except StopIteration:
            return
        except Exception as error:
            log.warning("bag %s ends early, it is damaged: %s", name, error)
            return


def _choose(reader: AnyReader, topic: str, path: Path) -> str:
    """The topic asked for, or the first image topic."""
    images = sorted({c.topic for c in reader.connections if c.msgtype in TYPES})
    if topic in images or (images and not topic):
        return topic or images[0]
    if topic not in images and topic:
        other = next((c.msgtype for c in reader.connections if c.topic == topic), None)
        what = f"is {other}, not an image" if other else "is not in it"
        raise SourceError(f"topic {topic} of bag {path} {what}; image topics: {', '.join(images) or 'none'}")
    topics = ", ".join(sorted(f"{c.topic} ({c.msgtype})" for c in reader.connections))
    raise SourceError(f"bag {path} has no topic of type {' or '.join(TYPES)}; it has: {topics or 'nothing'}")
