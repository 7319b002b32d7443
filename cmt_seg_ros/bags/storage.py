"""Door to every bag: its topics and messages, in whatever state it is.

rosbags reads a file up to where it is damaged; what comes after that is recovered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backports import zstd
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader

from cmt_seg_ros.bags import recover_mcap, recover_ros1, recover_sqlite
from cmt_seg_ros.bags.files import ROS1_SUFFIXES, check_count, storage_files
from cmt_seg_ros.bags.messages import RAW, TYPES, BagMessage, definition_problem
from cmt_seg_ros.bags.recover_chunk import Report
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.files import PACKAGE, openable
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

_COMPRESSED = "/compressed"


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag: its name, ROS 2's name of its type, how many messages of it can be found."""

    name: str
    type: str
    count: int


def bag_topics(path: Path, problems: Problems) -> list[BagTopic]:
    """List the topics of a bag, by name.

    Args:
        path: a rosbag2 folder, or a single file of a bag.
        problems: is told of each damage.

    Raises:
        SourceError: no such bag, or nothing in it can be read.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for file in storage_files(path, problems):
        with _plain(file, problems) as plain:
            for topic in _file_topics(file, plain, problems):
                counts[topic.name, topic.type] += topic.count
    if not counts:
        why = next((line for line in problems.lines if str(path) in line), "it has no topics")
        raise SourceError(f"bag {path} cannot be read: {why}")
    check_count(path, counts.total(), problems)
    return [BagTopic(name, kind, count) for (name, kind), count in sorted(counts.items())]


def image_topics(path: str | Path, problems: Problems | None = None) -> list[BagTopic]:
    """List the topics of a bag that are a camera's colour images, by name.

    Left out are what this package publishes (``segmentation/*``, ``tracking/*``, ``truth/*``), what is called a label
    or a mask, depth, topics without messages, and ``<topic>/compressed`` where ``<topic>`` has the same images raw.

    Args:
        path: as of :func:`bag_topics`.
        problems: is told of each damage.

    Raises:
        SourceError: no such bag, or nothing in it can be read.
    """
    found = [t for t in bag_topics(Path(path), problems or Problems()) if t.type in TYPES and t.count]
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
        with _plain(file, problems) as plain:
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
                _check_definition(file, connection, isinstance(reader, Ros1Reader), problems)
            return [BagTopic(c.topic, c.msgtype, c.msgcount) for c in reader.connections]
    except Exception as error:  # a damaged file makes rosbags raise a dozen kinds of errors
        report(_words(error, plain))
    found = Counter((message.topic, message.type) for message in _recovered(plain, report))
    return [BagTopic(*key, count) for key, count in found.items()]


def _check_definition(file: Path, connection: Connection, ros1: bool, problems: Problems) -> None:
    """Report a definition that is not the one messages are read by: something strange or another version wrote it."""
    missing = connection.msgdef.format == MessageDefinitionFormat.NONE
    if missing and ".db3" in file.suffixes:
        return  # before ROS 2 Iron, .db3 files had no place for definitions
    if connection.msgtype in TYPES or connection.msgtype.startswith(f"{PACKAGE}/"):
        problem = definition_problem(connection.msgtype, connection.msgdef, ros1)
        if problem:
            problems.add("missing_definition", f"bag {file}: the definition of {connection.msgtype} {problem}")


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
        report(_words(error, plain))
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
        missing, ros1 = sum(c.msgcount for c in connections), isinstance(reader, Ros1Reader)
        if connections:  # rosbags takes none as all
            for connection, received_ns, raw in reader.messages(connections):
                missing -= 1
                yield BagMessage(connection.topic, connection.msgtype, received_ns, raw, ros1)
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


def _reporter(file: Path, problems: Problems) -> Report:
    return lambda text: problems.add("damaged_bag", f"bag file {file} is damaged: {text}")


def _words(error: Exception, plain: Path) -> str:
    """Tell an error of rosbags in one line, without the name of the file."""
    text = " ".join(str(error).replace(f"{plain}", plain.name).split())
    return f"{text or type(error).__name__}; what can be read of it is read"


@contextmanager
def _plain(file: Path, problems: Problems) -> Iterator[Path]:
    """Yield the file itself or, of a compressed one, a temporary file with as much of it as can be decompressed."""
    if file.suffix != ".zstd":
        with openable(file) as plain:
            yield plain
        return
    with TemporaryDirectory() as folder:
        plain = Path(folder) / file.stem
        try:
            with zstd.open(file, "rb") as packed, plain.open("wb") as unpacked:
                while piece := packed.read(1 << 20):
                    unpacked.write(piece)
        except (EOFError, MemoryError, zstd.ZstdError) as error:
            _reporter(file, problems)(_words(error, plain))
        yield plain
