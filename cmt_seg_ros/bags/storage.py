"""The messages of a bag whatever state it is in: rosbags reads its files, or what can be recovered of them is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
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
from cmt_seg_ros.bags.messages import TYPES, BagMessage, definition_problem
from cmt_seg_ros.bags.recover_chunk import Report
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems

_RECOVER: dict[str, Callable[[Path, Report], Iterator[BagMessage]]] = {
    ".mcap": recover_mcap.scan,
    ".db3": recover_sqlite.scan,
    **dict.fromkeys(ROS1_SUFFIXES, recover_ros1.scan),
}


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag: its name, ROS 2's name of its type, how many messages of it can be found."""

    name: str
    type: str
    count: int


def bag_topics(path: Path, problems: Problems) -> list[BagTopic]:
    """The topics of a bag, by name.

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


def bag_messages(path: Path, topic: str, problems: Problems) -> Iterator[BagMessage]:
    """The messages of a topic, file by file, in each by the time they were recorded.

    Args:
        path: as of :func:`bag_topics`.
        topic: its name.
        problems: is told of each damage.

    Raises:
        SourceError: no such bag.
    """
    for file in storage_files(path, problems):
        with _plain(file, problems) as plain:
            yield from _file_messages(file, plain, topic, problems)


def _file_topics(file: Path, plain: Path, problems: Problems) -> list[BagTopic]:
    """The topics of one file; ``plain`` is the file or, of a compressed one, what was in it."""
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
    """Images are read by ROS's definition; a bag whose own is another one was made by something strange."""
    missing = connection.msgdef.format == MessageDefinitionFormat.NONE
    if connection.msgtype not in TYPES or (missing and ".db3" in file.suffixes):
        return  # before ROS 2 Iron, .db3 files had no place for definitions
    problem = definition_problem(connection.msgtype, connection.msgdef, ros1)
    if problem:
        text = f"bag {file}: the definition of {connection.msgtype} {problem}; ROS's own is used"
        problems.add("missing_definition", text)


def _file_messages(file: Path, plain: Path, topic: str, problems: Problems) -> Iterator[BagMessage]:
    report = _reporter(file, problems)
    last_ns, at_last = -1, 0  # time of the last message, and how many had it
    try:
        for message in _intact(plain, topic):
            at_last = at_last + 1 if message.received_ns == last_ns else 1
            last_ns = message.received_ns
            yield message
        return
    except Exception as error:  # as above
        report(_words(error, plain))
    for message in _recovered(plain, report):
        if message.topic != topic or message.received_ns < last_ns:
            continue
        if message.received_ns == last_ns and at_last:
            at_last -= 1
            continue
        yield message


def _intact(plain: Path, topic: str) -> Iterator[BagMessage]:
    """The messages of a topic as rosbags gives them.

    Raises:
        Exception: the file is damaged; also at the end, if there were too few: rosbags passes over what it cannot read.
    """
    with _reader(plain) as reader:
        connections = [c for c in reader.connections if c.topic == topic]
        missing, ros1 = sum(c.msgcount for c in connections), isinstance(reader, Ros1Reader)
        if connections:  # rosbags takes none as all
            for connection, received_ns, raw in reader.messages(connections):
                missing -= 1
                yield BagMessage(topic, connection.msgtype, received_ns, raw, ros1)
        if missing > 0:
            raise SourceError(f"{missing} messages of topic {topic} are not where its index says")


def _recovered(plain: Path, report: Report) -> Iterator[BagMessage]:
    """All messages that are left in a damaged file; in one that is of no known kind there are none."""
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
    """An error of rosbags in one line, without the name of the file."""
    text = " ".join(str(error).replace(f"{plain}", plain.name).split())
    return f"{text or type(error).__name__}; what can be read of it is read"


@contextmanager
def _plain(file: Path, problems: Problems) -> Iterator[Path]:
    """The file itself or, of a compressed one, a temporary file with as much of it as can be decompressed."""
    if file.suffix != ".zstd":
        yield file
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
