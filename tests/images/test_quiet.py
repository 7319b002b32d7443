"""Damaged images say nothing on stderr by themselves; what the process prints stays."""

from __future__ import annotations

import ctypes
import threading

import cv2
import numpy as np
import pytest

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.pixels import decode
from cmt_seg_ros.images.quiet import quiet


def damaged(suffix: str) -> np.ndarray:
    data = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))[1]
    data[data.size // 2 :: 7] ^= 0x55
    return data


def print_from_c(text: bytes) -> None:
    libc = ctypes.CDLL(None)
    stream = ctypes.c_void_p.in_dll(libc, "stderr")
    libc.fputs(text, stream)
    libc.fflush(stream)


def test_a_damaged_image_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    cv2.imdecode(damaged(".png"), cv2.IMREAD_COLOR)
    assert "libpng" in capfd.readouterr().err, "if it is quiet by itself, nothing has to be done"
    for suffix in (".png", ".jpg", ".webp", ".tiff"):
        for _ in range(5):
            try:
                decode(damaged(suffix), cv2.IMREAD_COLOR)
            except FrameError:
                continue
    assert capfd.readouterr().err == ""


def test_stderr_comes_back_when_the_last_thread_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def decoder() -> None:
        with quiet():
            inside.set()
            go_on.wait()

    thread = threading.Thread(target=decoder)
    thread.start()
    inside.wait()
    with quiet():
        print_from_c(b"one\n")
    print_from_c(b"two\n")
    go_on.set()
    thread.join()
    print_from_c(b"three\n")
    assert capfd.readouterr().err == "three\n"


def test_stderr_comes_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="x"), quiet():
        raise ValueError("x")
    print_from_c(b"back\n")
    assert capfd.readouterr().err == "back\n"
