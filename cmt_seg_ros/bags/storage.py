"""Door to every bag: its topics and messages, in whatever state it is.

rosbags reads a file up to where it is damaged; what comes after that is recovered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader

from cmt_seg_ros.bags import recover_mcap, recover_ros1, recover_sqlite
from cmt_seg_ros.bags.files import ROS1_SUFFIXES, check_count, storage_files
from cmt_seg_ros.bags.messages import (
    CDR,
    RAW,
    READ_ENCODINGS,
    ROS1,
    TYPES,
    BagMessage,
    definition_problem,
    ros2_type,
)
from cmt_seg_ros.bags.recover_chunk import Report
from cmt_seg_ros.bags.unpacking import error_words, unpacked
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.files import PACKAGE
from cmt_seg_ros.problems import Problems

_RECOVER: dict[str, Callable[[Path, Report], Iterator[BagMessage]]] = {
    ".mcap": recover_mcap.scan,
    ".db3": recover_sqlite.scan,
    **dict.fromkeys(ROS1_SUFFIXES, recover_ros1.scan),
}

_NOT_CAMERAS = (
    *("segmentation", "tracking", "truth", "depth", "aligned_depth_to_color", "compressedDepth", "theora"),
    *("label", "labels", "mask", "masks", "instances", "ground_truth"),
)
"""Names in topics of images that are no pictures of a camera."""

_MAX_MESSAGES_PER_BYTE = 100  # of a file; many more than any compression gives
_COMPRESSED = "/compressed"
_NO_TYPE = "__schemaless__"  # rosbags' name of what has none


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag.

    Attributes:
        name: its name.
        type: ROS 2's name of its type; of a message that is not of ROS whatever the file says; empty: it says nothing.
        count: messages of it that can be found.
        encoding: how they are serialized, see :class:`~cmt_seg_ros.bags.messages.BagMessage`.
    """

    name: str
    type: str
    count: int
    encoding: str = CDR

    @property
    def readable(self) -> bool:
        """Whether its messages can be read."""
        return self.encoding in READ_ENCODINGS

    @property
    def is_image(self) -> bool:
        """Whether its messages are ROS's images, raw or compressed, which can be read."""
        return self.readable and self.type in TYPES

    def __str__(self) -> str:
        """Return name, type and count, for messages to the user."""
        kind, encoding = self.type or "of no type", "" if self.readable else f" in {self.encoding}"
        return f"{self.name} ({kind}{encoding}, {self.count} message{'s' * (self.count != 1)})"


def bag_topics(path: Path, problems: Problems) -> list[BagTopic]:
    """List the topics of a bag, by name.

    Args:
        path: a rosbag2 folder, or a single file of a bag.
        problems: is told of each damage.

    Raises:
        SourceError: no such bag, or nothing in it can be read.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for file in storage_files(path, problems):
        with unpacked(file, _reporter(file, problems)) as plain:
            for topic in _file_topics(file, plain, problems):
                counts[topic.name, topic.type, topic.encoding] += topic.count
    if not counts:
        why = next((line for line in problems.lines if str(path) in line), "it has no topics")
        raise SourceError(f"bag {path} cannot be read: {why}")
    check_count(path, counts.total(), problems)
    return [BagTopic(name, kind, count, encoding) for (name, kind, encoding), count in sorted(counts.items())]


def camera_names(topics: Collection[BagTopic]) -> list[BagTopic]:
    """Return the topics of images that are a camera's by their names, in the same order.

    Left out are what this package publishes (``segmentation/*``, ``tracking/*``, ``truth/*``), what is called a label
    or a mask, depth, topics without messages, and ``<topic>/compressed`` where ``<topic>`` has the same images raw.
    """
    found = [t for t in topics if t.is_image and t.count]
    cameras = [t for t in found if not set(t.name.split("/")) & set(_NOT_CAMERAS)]
    raw = {t.name for t in cameras if t.type == RAW}
    return [t for t in cameras if t.name.removesuffix(_COMPRESSED) not in raw or t.name in raw]


def bag_messages(path: Path, topics: str | Collection[str], problems: Problems) -> Iterator[BagMessage]:
    """Read the messages of topics, file by file, in each by the time they were recorded.

    Args:
        path: as of :func:`bag_topics`.
        topics: name of one, or of several.
        problems: is told of each damage.

    Raises:
        SourceError: no such bag.
    """
    wanted = {topics} if isinstance(topics, str) else set(topics)
    for file in storage_files(path, problems):
        with unpacked(file, _reporter(file, problems)) as plain:
            yield from _file_messages(file, plain, wanted, problems)


def _file_topics(file: Path, plain: Path, problems: Problems) -> list[BagTopic]:
    """List the topics of one file; ``plain`` is the file or, of a compressed one, what was in it."""
    report = _reporter(file, problems)
    unread = plain.with_name(f"{plain.name}-wal")
    if unread.exists() and unread.stat().st_size:
        report(f"what {unread.name} has is not read; bring it in: sqlite3 {plain.name} 'PRAGMA wal_checkpoint'")
    try:
        with _reader(plain) as reader:
            for connection in reader.connections:
                _check_definition(file, connection, problems)
            topics = [BagTopic(c.topic, _type(c), c.msgcount, _encoding(c)) for c in reader.connections]
            if sum(t.count for t in topics) > _MAX_MESSAGES_PER_BYTE * plain.stat().st_size:
                raise SourceError("its index says that it has more messages than fit into it")
            return topics
    except Exception as error:  # a damaged file makes rosbags raise a dozen kinds of errors
        _tell(error, plain, report)
    found = Counter((message.topic, message.type, message.encoding) for message in _recovered(plain, report))
    return [BagTopic(name, kind, count, encoding) for (name, kind, encoding), count in found.items()]


def _type(connection: Connection) -> str:
    """Return ROS 2's name of a connection's type."""
    return "" if connection.msgtype == _NO_TYPE else ros2_type(connection.msgtype)


def _encoding(connection: Connection) -> str:
    """Return how its messages are serialized."""
    return str(getattr(connection.ext, "serialization_format", ROS1))  # only ROS 1 bags have but one way


def _check_definition(file: Path, connection: Connection, problems: Problems) -> None:
    """Report a definition that is not the one messages are read by: something strange or another version wrote it."""
    missing = connection.msgdef.format == MessageDefinitionFormat.NONE
    if missing and ".db3" in file.suffixes:
        return  # before ROS 2 Iron, .db3 files had no place for definitions
    kind, encoding = _type(connection), _encoding(connection)
    if encoding in READ_ENCODINGS and (kind in TYPES or kind.startswith(f"{PACKAGE}/")):
        problem = definition_problem(kind, connection.msgdef, encoding == ROS1)
        if problem:
            problems.add("missing_definition", f"bag {file}: the definition of {kind} {problem}")


def _file_messages(file: Path, plain: Path, topics: set[str], problems: Problems) -> Iterator[BagMessage]:
    report = _reporter(file, problems)
    last_ns, at_last = -1, Counter[str]()  # time of the last message, and how many of each topic had it
    try:
        for message in _intact(plain, topics):
            if message.received_ns != last_ns:
                last_ns = message.received_ns
                at_last.clear()
            at_last[message.topic] += 1
            yield message
        return
    except Exception as error:  # as above
        _tell(error, plain, report)
    for message in _recovered(plain, report):
        if message.topic not in topics or message.received_ns < last_ns:
            continue
        if message.received_ns == last_ns and at_last[message.topic]:
            at_last[message.topic] -= 1
            continue
        yield message


def _intact(plain: Path, topics: set[str]) -> Iterator[BagMessage]:
    """Read the messages of topics as rosbags gives them.

    Raises:
        Exception: the file is damaged; also at the end, if there were too few: rosbags passes over what it cannot read.
    """
    with _reader(plain) as reader:
        connections = [c for c in reader.connections if c.topic in topics]
        missing = sum(c.msgcount for c in connections)
        if connections:  # rosbags takes none as all
            for connection, received_ns, raw in reader.messages(connections):
                missing -= 1
                yield BagMessage(connection.topic, _type(connection), received_ns, raw, _encoding(connection))
        if missing > 0:
            names = ", ".join(sorted(topics))
            raise SourceError(f"{missing} messages of topic {names} are not where its index says")


def _recovered(plain: Path, report: Report) -> Iterator[BagMessage]:
    """Read all messages that are left in a damaged file; in one that is of no known kind there are none."""
    scan = next((scan for suffix, scan in _RECOVER.items() if plain.name.endswith(suffix)), None)
    try:
        if scan is not None:
            yield from scan(plain, report)
    except Exception as error:  # a file may be damaged in ways that nobody thought of, or be taken away
        report(f"nothing more of it can be read: {error or type(error).__name__}")


def _reader(plain: Path) -> Any:
    if plain.suffix == ".db3" and (missing := recover_sqlite.missing_bytes(plain)):
        raise SourceError(f"its last {missing} bytes are missing")
    return Ros1Reader(plain) if plain.name.endswith(ROS1_SUFFIXES) else Ros2Reader(plain)


def _tell(error: Exception, plain: Path, report: Report) -> None:
    """Report why rosbags does not read a file, unless that is because another tool wrote it."""
    # rosbags looks up the encoding of each schema in a table, which has only those of ROS 2.
    foreign = plain.suffix == ".mcap" and (isinstance(error, KeyError) or recover_mcap.is_foreign(plain))
    if not foreign:
        report(error_words(error, plain))
    elif not recover_mcap.is_closed(plain):
        report("its end is missing")


def _reporter(file: Path, problems: Problems) -> Report:
    def report(text: str, damaged: bool = True, /) -> None:
        kind, words = ("damaged_bag", " is damaged") if damaged else ("unread_bag", "")
        problems.add(kind, f"bag file {file}{words}: {text}")

    return report
