"""Text from outside, made safe to show: names of topics, classes, models and files may hold anything."""

from __future__ import annotations

import re

# Control characters (C0, delete, C1), what turns the direction of writing round, line separators, and halves of pairs,
# which stand for bytes of file names that are not UTF-8.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_BUT_NEWLINE = re.compile(_CONTROL.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))


def printable(text: object) -> str:
    r"""Return a text with each control character as people write it: a newline as ``\n``, an escape as ``\x1b``."""
    return _CONTROL.sub(_escaped, str(text))


def printable_lines(text: object) -> str:
    """Return a text as :func:`printable` does, but for its newlines, which stay."""
    return _CONTROL_BUT_NEWLINE.sub(_escaped, str(text))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if "\udc80" <= character <= "\udcff":  # how Python reads a byte of a file name that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def shortened(value: object, most: int = 100) -> str:
    """Return the repr of a value from outside for a message; of a long one its beginning."""
    text = repr(value)
    return printable(text if len(text) <= most else f"{text[:most]}...")
