"""Source of frames: a video file."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path

import cv2

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.files import openable, refuse_lfs_pointer
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.clip import DEFAULT_FPS
from cmt_seg_ros.structures import U8, Frame

log = logging.getLogger(__name__)

_MAX_FPS = 1000.0


class VideoSource:
    """All frames of a video file that OpenCV can read, stamped by their number and the file's rate.

    Args:
        path: the file.
        camera: name the frames carry.
        problems: gets a line if the file has fewer frames than its header states.

    Attributes:
        name: the file's name.
        fps: the file's rate; 15 where the file states none or nonsense, with a logged warning.
        labels: None, see :class:`~cmt_seg_ros.sources.truth.with_truth.WithTruth`.
        problems: what was wrong so far.
        lost: always empty: frames of a video that cannot be decoded have no number.

    Raises:
        SourceError: no such file, not a video, or no frame in it can be decoded.
    """

    labels: LabelSet | None = None

    def __init__(self, path: str | Path, camera: str = "camera", problems: Problems | None = None) -> None:
        self._path, self._camera = Path(path), camera
        self.problems, self.lost = problems or Problems(), dict[int, str]()
        self.name = self._path.name
        if not self._path.is_file():
            raise SourceError(f"video {self._path} is not a file; give the path of a video file (for images: a folder)")
        refuse_lfs_pointer(self._path, SourceError)
        capture = self._open()
        try:
            if not capture.read()[0]:
                raise SourceError(f"video {self._path} has no frame that can be decoded; play it elsewhere to check it")
            self.fps = self._rate(capture.get(cv2.CAP_PROP_FPS))
            self._length = self._count(capture)
        finally:
            capture.release()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Frame]:
        capture = self._open()
        try:
            index = 0
            while True:
                ok, pixels = capture.read()
                if not ok:
                    break
                yield self._frame(index, pixels)
                index += 1
            if index < len(self):
                text = f"video {self._path} ends after {index} of the {len(self)} frames that its header states"
                self.problems.add("damaged_video", text)
        finally:
            capture.release()

    def _frame(self, index: int, pixels: U8) -> Frame:
        stamp_ns = round(index * 1e9 / self.fps)
        return Frame(self._camera, stamp_ns, pixels, "bgr8", f"{self._camera}_optical_frame", f"{index:06d}")

    def _open(self) -> cv2.VideoCapture:
        # FFmpeg only: OpenCV would otherwise try to read a file such as img_001.png as a sequence of images.
        with openable(self._path) as path:
            capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise SourceError(f"video {self._path} cannot be opened: not a video, damaged, or of an unknown codec")
        return capture

    def _rate(self, fps: float) -> float:
        if math.isfinite(fps) and 0 < fps <= _MAX_FPS:
            return float(fps)
        log.warning("video %s states %s frames per second; playing it at %g", self._path, fps, DEFAULT_FPS)
        return DEFAULT_FPS

    @staticmethod
    def _count(capture: cv2.VideoCapture) -> int:
        """Count the frames: by the file's header or, where that does not say, by reading on; one has been read."""
        stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if math.isfinite(stated) and stated >= 1:
            return int(stated)
        count = 1
        while capture.grab():
            count += 1
        return count
