"""Errors that this package raises on purpose, in one class hierarchy.

A message says what is wrong, which value, what is allowed and what to do. Only the command line
turns these into an exit status; nodes turn them into a log line and a count.
"""

from __future__ import annotations

from cmt_seg_ros.text import printable, printable_lines


class CmtSegError(Exception):
    """Base of all errors of this package; what it says is safe to print and to log, whatever stands in names.

    Args:
        message: one line; newlines in it, as messages of libraries have them, become spaces.
        below: lines to be shown below it, such as an example.
    """

    def __init__(self, message: str = "", below: str = "") -> None:
        lines = [line.strip(" ") for line in message.split("\n")]
        text = printable(" ".join(filter(None, lines)))
        super().__init__(f"{text}\n{printable_lines(below)}" if below else text)


class ConfigError(CmtSegError):
    """A parameter, a key of a YAML file or a command-line option is not allowed."""


class FrameError(CmtSegError):
    """An image cannot be used: malformed, of an unknown encoding, too large, out of order.

    Attributes:
        reason: short key under which the frame is counted in diagnostics, e.g. ``"bad_encoding"``.
    """

    def __init__(self, message: str, reason: str = "malformed") -> None:
        super().__init__(message)
        self.reason = reason


class SourceError(CmtSegError):
    """A video, a folder of images, a bag or a scene cannot be read."""


class ModelError(CmtSegError):
    """A model package is missing, damaged, or does not match its ``model.yaml``."""


class DeviceError(CmtSegError):
    """No device of the requested chain can run the model."""


class DatasetError(CmtSegError):
    """A training data set is missing or not laid out as documented."""


class TrackingError(CmtSegError):
    """Masks cannot be tracked: wrong type, sizes that differ, a frame out of order."""


def cause(error: BaseException) -> str:
    """Return the text of an error; the name of its type where it has none."""
    return str(error).strip() or type(error).__name__
