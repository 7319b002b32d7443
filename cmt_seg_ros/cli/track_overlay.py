"""Where cmt-seg track --overlay draws: a video, or a folder of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import U8, Track, TrackState
from cmt_seg_ros.tracking.render import Trails, draw_tracks


class Overlay:
    """Draws the tracks of each frame, with ids and trails, and writes the picture.

    Args:
        path: a file ending in .mp4 (its sides are cut to even numbers), else a folder for <frame's name>.jpg.
        fps: of the video.
        labels: names of the classes.

    Raises:
        ConfigError: it cannot be written; also while drawing.
    """

    def __init__(self, path: Path, fps: float, labels: LabelSet) -> None:
        self._path, self._fps, self._labels = path, fps, labels
        self._video: cv2.VideoWriter | None = None
        self._trails = Trails()
        try:
            (path.parent if self._is_video else path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--overlay {path} cannot be made: {error.strerror}") from error

    def draw(self, name: str, picture: U8, tracks: Sequence[Track]) -> None:
        """Add a frame.

        Args:
            name: of the frame, for the name of the file.
            picture: (H, W, 3) uint8, blue, green, red; all of one size.
            tracks: of that frame.
        """
        alive = [track for track in tracks if track.state != TrackState.LOST]
        drawn = draw_tracks(picture, alive, self._labels, self._trails.update(alive))
        if self._is_video:
            height, width = drawn.shape[0] // 2 * 2, drawn.shape[1] // 2 * 2
            self._open(width, height).write(drawn[:height, :width])
        elif not cv2.imwrite(str(self._path / f"{name}.jpg"), drawn):
            raise ConfigError(f"cannot write {self._path / name}.jpg; is the disk full or the folder read-only?")

    def close(self) -> None:
        """Finish the video."""
        if self._video is not None:
            self._video.release()

    @property
    def _is_video(self) -> bool:
        return self._path.suffix.lower() == ".mp4"

    def _open(self, width: int, height: int) -> cv2.VideoWriter:
        if self._video is None:
            # MPEG-4: what every build of OpenCV can write.
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._video = cv2.VideoWriter(str(self._path), cv2.CAP_FFMPEG, code, self._fps, (width, height))
            if not self._video.isOpened():
                raise ConfigError(
                    f"--overlay {self._path} cannot be written with {self._fps:g} frames per second; is the folder "
                    "read-only? Give another file, or a folder for images"
                )
        return self._video
