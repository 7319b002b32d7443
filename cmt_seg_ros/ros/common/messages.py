"""ClassMap messages: from a LabelSet and back."""

from __future__ import annotations

from builtin_interfaces.msg import Time

from cmt_seg_ros.labels import IGNORE_ID, LabelClass, LabelSet
from cmt_seg_ros.msg import ClassInfo, ClassMap


def class_map(labels: LabelSet, model: str, stamp: Time) -> ClassMap:
    """Return the latched message that says what the numbers in the masks mean."""
    message = ClassMap(model=model, ignore_id=IGNORE_ID)
    message.header.stamp = stamp
    for c in labels.classes:
        red, green, blue = c.color
        message.classes.append(ClassInfo(id=c.id, name=c.name, red=red, green=green, blue=blue, is_object=c.is_object))
    return message


def label_set(message: ClassMap) -> LabelSet:
    """Return the classes of a message, the reverse of :func:`class_map`.

    Raises:
        ConfigError: ids with gaps, or a name twice.
    """
    return LabelSet(tuple(LabelClass(c.id, c.name, (c.red, c.green, c.blue), c.is_object) for c in message.classes))
