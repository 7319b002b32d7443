"""Quiet decoders: OpenCV, libpng and libjpeg print a line for each damaged image; its reader says more."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

SILENT = 0
_lock = threading.Lock()
_inside = _level = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Silence OpenCV and what C libraries print to ``stderr`` in the ``with`` block, for all threads, but not Python.

    libpng and libjpeg print straight from inside OpenCV, whatever its log level, and a camera with a bad cable fills a
    log with that. Where the C library has no variable ``stderr``, they go on.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _level
    with _lock:
        _inside += 1
        if _inside == 1:
            _level = cv2.utils.logging.setLogLevel(SILENT)
            _stream().value = _nowhere()


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if not _inside:
            _stream().value = _stderr()
            cv2.utils.logging.setLogLevel(_level)


@functools.cache
def _stream() -> ctypes.c_void_p:
    """Return the variable that says where C's ``stderr`` goes."""
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    except (ValueError, OSError):
        return ctypes.c_void_p()


@functools.cache
def _stderr() -> int | None:
    return _stream().value


@functools.cache
def _nowhere() -> int | None:
    """Return an open /dev/null; where it cannot be opened, ``stderr``."""
    libc = ctypes.CDLL(None)
    libc.fopen.restype, before = ctypes.c_void_p, _stderr()
    return libc.fopen(b"/dev/null", b"w") or before
