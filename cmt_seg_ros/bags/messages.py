"""One message of a bag, as bytes and deserialized; messages are those of rosbags, not of rclpy."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from backports import zstd
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TYPES = (RAW, COMPRESSED)
"""Types of image messages."""

_ZSTD = b"\x28\xb5\x2f\xfd"  # no message begins so: CDR's first byte is 0, a ROS 1 header's sequence is not that far


class BagMessage(NamedTuple):
    """A message as it lies in a bag.

    Attributes:
        topic: its topic.
        type: of the message, by its name in ROS 2: ``package/msg/Name``.
        received_ns: when it was recorded, ns.
        raw: the serialized message; of bags with compressed messages, compressed.
        ros1: it is serialized as ROS 1 does; else as ROS 2 does (CDR).
    """

    topic: str
    type: str
    received_ns: int
    raw: bytes
    ros1: bool = False

    def read(self) -> Any:
        """Deserialize it by ROS's own definition of its type, whatever the bag says: images never had another one.

        Raises:
            Exception: it is damaged, or its type is not one of ROS's: rosbags lets through what numpy or struct raise.
        """
        raw = zstd.decompress(self.raw) if self.raw[:4] == _ZSTD else self.raw
        store = typestore(self.ros1)
        return store.deserialize_ros1(raw, self.type) if self.ros1 else store.deserialize_cdr(raw, self.type)


@cache
def typestore(ros1: bool) -> Any:
    """The message types that come with ROS 1 or ROS 2."""
    return get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_KILTED)


def ros2_type(name: str) -> str:
    """ROS 2's name of a type, also of one named as ROS 1 does (``package/Name``)."""
    package, _, rest = name.partition("/")
    return name if "/" in rest or not rest else f"{package}/msg/{rest}"


def definition_problem(type_name: str, definition: MessageDefinition, ros1: bool) -> str:
    """What is wrong with a bag's own definition of a type; empty: nothing, or it is IDL, of which rosbags knows a part.

    Args:
        type_name: ROS 2's name of a type that comes with ROS.
        definition: as rosbags found it in the bag.
        ros1: whether the bag is of ROS 1.
    """
    known = typestore(ros1).fielddefs
    if definition.format == MessageDefinitionFormat.IDL:
        return ""
    if definition.format == MessageDefinitionFormat.NONE or not definition.data.strip():
        return "is missing"
    try:
        found = get_types_from_msg(definition.data, type_name)
    except Exception as error:  # the parser of rosbags lets through what a strange text makes it raise
        return f"cannot be understood ({str(error).splitlines()[0]})"
    same = all(name not in known or known[name][1] == fields[1] for name, fields in found.items())
    return "" if same else "is not ROS's"
