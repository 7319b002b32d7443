"""The messages of a bag whatever state it is in: rosbags reads its files, or what can be recovered of them is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from backports import zstd
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.sources import recover_mcap, recover_ros1, recover_sqlite
from cmt_seg_ros.sources.bag_message import BagMessage, definition_problem
from cmt_seg_ros.sources.problems import Problems
from cmt_seg_ros.sources.recover_chunk import Report

METADATA = "metadata.yaml"
ROS1_SUFFIXES = (".bag", ".bag.active")
ROS2_SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")

_RECOVER: dict[bytes, Callable[[Path, Report], Iterator[BagMessage]]] = {
    recover_mcap.MAGIC: recover_mcap.scan,
    recover_ros1.MAGIC: recover_ros1.scan,
    recover_sqlite.MAGIC: recover_sqlite.scan,
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
    _check_metadata_count(path, counts.total(), problems)
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


def storage_files(path: Path, problems: Problems) -> list[Path]:
    """The files with the messages of a bag, in order: a rosbag2 folder may have several.

    Args:
        path: as of :func:`bag_topics`.
        problems: is told of files that are missing or that metadata.yaml does not name.

    Raises:
        SourceError: no such bag, or a folder without files of a bag.
    """
    if not path.exists():
        raise SourceError(f"bag {path} does not exist; give a rosbag2 folder, an .mcap, .db3 or ROS 1 .bag file")
    if path.is_file():
        return [path]
    there = sorted((p for p in path.iterdir() if p.name.endswith(ROS2_SUFFIXES)), key=_natural)
    named = [path / Path(name).name for name in _metadata(path, problems).get("relative_file_paths") or []]
    for file in named:
        if file not in there:
            problems.add("damaged_bag", f"bag {path}: {file.name} is missing, {METADATA} names it")
    if not there:
        raise SourceError(f"bag {path} cannot be read: the folder has no file ending in {', '.join(ROS2_SUFFIXES)}")
    for file in there:
        if named and file not in named:
            problems.add("damaged_bag", f"bag {path}: {file.name} is read although {METADATA} does not name it")
    return [file for file in named if file in there] + [file for file in there if file not in named]


def _file_topics(file: Path, plain: Path, problems: Problems) -> list[BagTopic]:
    """The topics of one file; ``plain`` is it or, of a compressed one, what was in it."""
    report = _reporter(file, problems)
    try:
        with _reader(plain) as reader:
            for connection in reader.connections:
                ros1 = isinstance(reader, Ros1Reader)
                problem = definition_problem(connection.msgtype, connection.msgdef, ros1)
                # Bags of SQLite had no place for definitions before ROS 2 Iron.
                if problem and not (problem == "is missing" and plain.suffix == ".db3"):
                    text = f"bag {file}: the definition of {connection.msgtype} {problem}; ROS's own is used"
                    problems.add("missing_definition", text)
            return [BagTopic(c.topic, c.msgtype, c.msgcount) for c in reader.connections]
    except Exception as error:  # a damaged file makes rosbags raise a dozen kinds of errors
        report(_words(error, plain))
    found = Counter((message.topic, message.type) for message in _recovered(plain, report))
    return [BagTopic(*key, count) for key, count in found.items()]


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
    """The messages of a topic as rosbags gives them."""
    with _reader(plain) as reader:
        connections = [c for c in reader.connections if c.topic == topic]
        if connections:  # rosbags takes none as all
            for connection, received_ns, raw in reader.messages(connections):
                ros1 = isinstance(reader, Ros1Reader)
                yield BagMessage(topic, connection.msgtype, received_ns, raw, ros1)


def _recovered(plain: Path, report: Report) -> Iterator[BagMessage]:
    """All messages that are left in a damaged file; files without a known beginning have none."""
    with plain.open("rb") as file:
        start = file.read(16)
    scan = next((scan for magic, scan in _RECOVER.items() if start.startswith(magic)), None)
    return iter(()) if scan is None else scan(plain, report)


def _reader(plain: Path) -> Any:
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
        except (EOFError, zstd.ZstdError) as error:
            _reporter(file, problems)(str(error))
        yield plain


def _metadata(path: Path, problems: Problems) -> dict[str, Any]:
    """What a rosbag2 folder says of itself; nothing where that is missing or damaged."""
    try:
        loaded = yaml.safe_load((path / METADATA).read_text(encoding="utf-8"))
        found = loaded["rosbag2_bagfile_information"]
        if isinstance(found, dict):
            return found
        problem = "does not describe a bag"
    except OSError:
        problem = "is missing"
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        problem = "cannot be understood"
    problems.add("damaged_bag", f"bag {path}: {METADATA} {problem}; all files of the folder are read, by name")
    return {}


def _check_metadata_count(path: Path, count: int, problems: Problems) -> None:
    stated = _metadata(path, problems).get("message_count") if path.is_dir() else None
    if isinstance(stated, int) and stated != count:
        text = f"bag {path}: {METADATA} says that there are {stated} messages, the files have {count}"
        problems.add("damaged_bag", text)


def _natural(path: Path) -> list[str | int]:
    """Sorts bag_2 before bag_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
