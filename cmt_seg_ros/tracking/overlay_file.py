"""Overlay: pictures of the tracks, as a video or as a folder of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.images.files import write_image
from cmt_seg_ros.images.video import VideoFile
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.outputs import OutputFolder
from cmt_seg_ros.structures import U8, Track, TrackState
from cmt_seg_ros.tracking.render import Trails, draw_tracks


class Overlay:
    """Draws the tracks of each frame, with ids and trails, and writes the picture.

    A context: when it ends, the video is complete; when it ends with an error, there is no new video.

    Args:
        path: a file ending in .mp4 (see :class:`~cmt_seg_ros.images.video.VideoFile`), else a folder for
            <frame's name>.jpg.
        labels: names of the classes.
        names: of the frames.

    Raises:
        ConfigError: it cannot be written, or a file would be replaced that is not ours; also while drawing.
    """

    def __init__(self, path: Path, labels: LabelSet, names: Sequence[str]) -> None:
        self._path, self._labels, self._trails = path, labels, Trails()
        is_video = path.suffix.lower() == ".mp4"
        self._out = OutputFolder(path.parent if is_video else path, "--overlay")
        self._out.check([path.name] if is_video else [f"{name}.jpg" for name in names])
        self._out.make()
        try:
            self._video = VideoFile(path, max_gap_s=math.inf) if is_video else None
        except OSError as error:
            raise ConfigError(f"--overlay {path} cannot be made: {error.strerror or error}") from error

    def __enter__(self) -> Overlay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._video is not None and kind is not None:
            self._video.discard()
        elif self._video is not None:
            try:
                self._video.close()
                if self._path.exists():  # without a frame there is no video
                    self._out.note(self._path.name)
            except OSError as failed:
                raise self._failed(failed) from failed

    def draw(self, name: str, stamp_ns: int, picture: U8, tracks: Sequence[Track]) -> None:
        """Add a frame.

        Args:
            name: of the frame, for the name of the file.
            stamp_ns: its time in the video, ns.
            picture: (H, W, 3) uint8, blue, green, red; all of one size.
            tracks: of that frame.
        """
        alive = [track for track in tracks if track.state != TrackState.LOST]
        drawn = draw_tracks(picture, alive, self._labels, self._trails.update(alive))
        if self._video is not None:
            try:
                self._video.write(drawn, stamp_ns)
            except OSError as error:
                raise self._failed(error) from error
        else:
            write_image(self._out, f"{name}.jpg", drawn)

    def _failed(self, error: OSError) -> ConfigError:
        return ConfigError(f"--overlay {error}; is the disk full or the folder read-only? Give another file")
