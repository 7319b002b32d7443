"""Job and FrameResult: what is to be evaluated, and what comes out for each frame.

Both are plain values: a job can be sent to another process or machine; a result is the same whether the frame was
replayed without ROS or went through the live nodes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cmt_seg_ros.config import SegmentationConfig, SourceConfig, TrackerConfig
from cmt_seg_ros.config.fields import changed
from cmt_seg_ros.labels import LabelSet, data_set_of
from cmt_seg_ros.runtime.model_package import find
from cmt_seg_ros.sources.truth.places import INSTANCE_FOLDER, LABEL_FOLDER
from cmt_seg_ros.structures import U16, Frame, Segmentation, Track

_TIMING = ("device", "num_requests", "num_threads", "cpu_pinning", "cache_dir", "autotune", "max_latency_ms")


@dataclass(frozen=True)
class Job:
    """One sequence: a camera of a bag, a folder of images or a video.

    Attributes:
        name: of the sequence.
        out: folder for its results.
        source: the clip and its ground truth.
        segmentation: model and how it runs; every frame is inferred, whatever its ``drop_policy``.
        tracker: of the tracker.
        use_images: the tracker gets the images, too (as tracker_node's parameter of that name).
        masks: folder of masks, one for each frame, which are taken instead of the model's; empty: the model's.
        mask_labels: what the values of ``masks`` mean, see :class:`~cmt_seg_ros.sources.masks.MaskFolder`;
            if nothing says it, and the truth has classes, theirs.
        truth_labels: what true class ids mean; None: what the classes.yaml of the labels' data set says, else the same
            as predicted ones.
        truth_classes: names of the classes, lower case, whose tracks and true objects count; none: tracks of all
            classes, and true boxes as TrackEval has it.
        annotate: write the annotated bag.
    """

    name: str
    out: str
    source: SourceConfig
    segmentation: SegmentationConfig = field(default_factory=SegmentationConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    use_images: bool = False
    masks: str = ""
    mask_labels: LabelSet | None = None
    truth_labels: LabelSet | None = None
    truth_classes: tuple[str, ...] = ()
    annotate: bool = True

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return Path(self.out)

    def settings(self) -> dict[str, Any]:
        """Return what differs from the defaults, without what only changes the speed: for summary.json."""
        parts = {"source": self.source, "segmentation": self.segmentation, "tracker": self.tracker}
        told = {name: changed(part) for name, part in parts.items()}
        told["segmentation"] = {k: v for k, v in told["segmentation"].items() if k not in _TIMING}
        classes = {"truth_classes": list(self.truth_classes)} if self.truth_classes else {}
        return {**told, "use_images": self.use_images, "masks": self.masks, **classes}

    def fingerprint(self, live: bool = False) -> str:
        """Return a short text that changes with the job, its model and its clip's files.

        Args:
            live: through the nodes; then also what only changes the speed counts.
        """
        source = self.source
        inputs = [source.video, source.images, source.bag, source.ground_truth, source.instances, self.masks]
        if source.images:  # where ground truth usually lies
            inputs += [str(Path(source.images).parent / folder) for folder in (LABEL_FOLDER, INSTANCE_FOLDER)]
        class_lists = [root / "classes.yaml" for path in inputs if path and (root := data_set_of(Path(path)))]
        folders = [] if self.masks else [find(self.segmentation.model)]
        files = [_state(path) for path in [*map(Path, filter(None, inputs)), *class_lists, *folders]]
        labels = [one and one.to_list() for one in (self.mask_labels, self.truth_labels)]
        mode = changed(self.segmentation) if live else "offline"
        told = json.dumps([self.name, self.settings(), labels, self.annotate, files, mode])
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def _state(path: Path) -> list[Any]:
    """Return sizes and times of a file, or of the files of a folder."""
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.exists()]


@dataclass(frozen=True, eq=False)
class FrameResult:
    """One frame of a clip and what was made of it.

    Attributes:
        index: number of the frame in its clip, from 0.
        frame: decoded, with its ground truth where there is some.
        segmentation: its masks; None if it was lost.
        tracks: the tracks of its time, of every state; None if it was not tracked.
        instances: (H, W) uint16, track id per pixel, 0 = none; None if it was not tracked.
        lost: why it has no masks, a short key such as ``out_of_order``; empty if it has.
        timing_ms: how long each stage took, ms, by name: ``read``, ``infer``, ``track``; live ``age``.
    """

    index: int
    frame: Frame
    segmentation: Segmentation | None = None
    tracks: Sequence[Track] | None = None
    instances: U16 | None = None
    lost: str = ""
    timing_ms: Mapping[str, float] = field(default_factory=dict)


def lost_result(index: int, camera: str, stamp_ns: int, reason: str) -> FrameResult:
    """Return the result of a frame that could not be read.

    Args:
        index: its number.
        camera: its name.
        stamp_ns: nobody knows it: that of a frame beside it.
        reason: why there is none.
    """
    nothing = np.zeros((0, 0, 3), np.uint8)
    return FrameResult(index, Frame(camera, stamp_ns, nothing, name=f"{index:06d}"), lost=reason)
