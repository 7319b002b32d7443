"""BagMessage: one message of a bag, as bytes and deserialized, and the types of messages; of rosbags, not of rclpy."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import lz4.frame  # type: ignore[import-untyped]
from backports import zstd
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.files import PACKAGE, share_folders, shared

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TYPES = (RAW, COMPRESSED)
"""Types of image messages."""

CDR, ROS1 = "cdr", "ros1"
READ_ENCODINGS = (CDR, ROS1)
"""How messages that can be read are serialized, as bags name it."""

MAX_MESSAGE_BYTES = 1 << 29
"""Of a message that a bag has compressed, decompressed: a few bytes may claim to be many gigabytes."""

# First bytes of the frames that rosbag2's compression plugins write; a serialized message (CDR) begins with 0.
_FRAMES = {
    b"\x28\xb5\x2f\xfd": ("zstd", zstd.ZstdDecompressor, lambda raw: zstd.get_frame_info(raw).decompressed_size),
    b"\x04\x22\x4d\x18": (
        *("lz4", lz4.frame.LZ4FrameDecompressor),
        lambda raw: lz4.frame.get_frame_info(raw)["content_size"],
    ),
}


class BagMessage(NamedTuple):
    """A message as it lies in a bag.

    Attributes:
        topic: its topic.
        type: of the message, by its name in ROS 2: ``package/msg/Name``.
        received_ns: when it was recorded, ns.
        raw: the serialized message; of bags with compressed messages, compressed.
        encoding: how it is serialized: as in ROS 2 (:data:`CDR`), as in ROS 1 (:data:`ROS1`), or, in MCAP, as other
            tools do (``json``, ``protobuf``); such a message cannot be read.
    """

    topic: str
    type: str
    received_ns: int
    raw: bytes
    encoding: str = CDR

    def read(self) -> Any:
        """Deserialize it by ROS's or this package's own definition of its type, whatever the bag says.

        Raises:
            FrameError: it is compressed and damaged or too large, or it is serialized in another way (``malformed``).
            Exception: it is damaged, or its type is neither ROS's nor this package's: rosbags lets through whatever
                numpy or struct raise.
        """
        store = typestore(self.encoding == ROS1)
        if self.encoding == ROS1:
            return store.deserialize_ros1(self.raw, self.type)
        if self.encoding != CDR:
            raise FrameError(f"it is serialized as {self.encoding}; {' and '.join(READ_ENCODINGS)} are read")
        return store.deserialize_cdr(_serialized(self.raw), self.type)


def _serialized(raw: bytes) -> bytes:
    """Return a message in CDR, decompressed where rosbag2 compressed messages one by one.

    Raises:
        FrameError: it cannot be decompressed, or it is not CDR (``malformed``).
    """
    if (frame := _FRAMES.get(raw[:4])) is not None:
        raw = _decompressed(raw, *frame)
    if raw[:2] not in (b"\x00\x00", b"\x00\x01"):
        begin, known = raw[:4].hex(" "), " or ".join(name for name, *_ in _FRAMES.values())
        raise FrameError(f"it begins with {begin or 'nothing'}: neither CDR (00 00, 00 01) nor a frame of {known}")
    return raw


def _decompressed(raw: bytes, name: str, tool: Any, stated_bytes: Callable[[bytes], int | None]) -> bytes:
    try:
        size = stated_bytes(raw) or 0
        if size <= MAX_MESSAGE_BYTES:
            decompressor = tool()
            whole = decompressor.decompress(raw, max_length=MAX_MESSAGE_BYTES + 1)
            size = max(size, len(whole))
    except Exception as error:  # each tool has errors of its own
        raise FrameError(f"its {name} frame cannot be decompressed: {error}") from error
    if size > MAX_MESSAGE_BYTES:
        raise FrameError(f"its {name} frame of {len(raw)} bytes has more than {MAX_MESSAGE_BYTES} decompressed")
    if not decompressor.eof:
        raise FrameError(f"its {name} frame ends early, after {len(raw)} bytes")
    return bytes(whole)


def raw_stamp_ns(raw: bytes) -> int | None:
    """Return the stamp of a serialized ROS 2 message that begins with a std_msgs/Header, ns; None: it does not."""
    if len(raw) < 12 or raw[:2] != b"\x00\x01":  # little-endian CDR, what every ROS 2 sends
        return None
    seconds, nanoseconds = struct.unpack_from("<iI", raw, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds) if nanoseconds < 1_000_000_000 else None


@cache
def typestore(ros1: bool) -> Any:
    """Return the types that messages of bags are read by: those of ROS 1, or those of :func:`message_types`."""
    return get_typestore(Stores.ROS1_NOETIC) if ros1 else message_types()


def message_types(more: Mapping[str, str] | None = None) -> Typestore:
    """Return the types of ROS 2, those of this package, and more.

    Args:
        more: definitions, as in .msg files, by type name, as in ``sensor_msgs/msg/Image``.

    Raises:
        SourceError: the definitions of this package are not found.
    """
    store = get_typestore(Stores.ROS2_KILTED)
    texts = {f"{PACKAGE}/msg/{p.stem}": p.read_text(encoding="utf-8") for p in sorted(message_folder().glob("*.msg"))}
    types = {}
    for name, text in {**texts, **(more or {})}.items():
        types.update(get_types_from_msg(text, name))
    store.register(types)
    return store


def message_folder() -> Path:
    """Return the folder of this package's .msg files.

    Raises:
        SourceError: it is not installed.
    """
    for path in shared("msg/TrackArray.msg"):
        return path.parent
    folders = ", ".join(str(folder / "msg") for folder in share_folders())
    raise SourceError(f"message definitions are in none of {folders}; install {PACKAGE} again")


def ros2_type(name: str) -> str:
    """Return ROS 2's name of a type, also of one named as ROS 1 does (``package/Name``)."""
    package, _, rest = name.partition("/")
    return name if "/" in rest or not rest else f"{package}/msg/{rest}"


def definition_problem(type_name: str, definition: MessageDefinition, ros1: bool) -> str:
    """Say what is wrong with a bag's own definition of a type, and which one is used.

    Args:
        type_name: ROS 2's name of a type that comes with ROS or with this package.
        definition: as rosbags found it in the bag.
        ros1: whether the bag is of ROS 1.

    Returns:
        The end of a sentence; empty: nothing is wrong, or it is IDL, of which rosbags knows a part.
    """
    known, used = typestore(ros1).fielddefs, PACKAGE if type_name.startswith(f"{PACKAGE}/") else "ROS"
    if definition.format == MessageDefinitionFormat.IDL:
        return ""
    if definition.format == MessageDefinitionFormat.NONE or not definition.data.strip():
        return f"is missing; {used}'s own is used"
    try:
        found = get_types_from_msg(definition.data, type_name)
    except Exception as error:  # the parser of rosbags lets through what a strange text makes it raise
        return f"cannot be understood ({str(error).splitlines()[0]}); {used}'s own is used"
    same = all(name not in known or known[name][1] == fields[1] for name, fields in found.items())
    return "" if same else f"is not {used}'s; {used}'s own is used"
