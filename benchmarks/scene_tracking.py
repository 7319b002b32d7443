"""Scene: how well does our tracker follow what moves in the synthetic street, of which everything is known?

Scored pixel by pixel as in the report of a recording (HOTA and IDF1 with IoU of masks), the mean of several streets:

  true objects          every visible object is a segment of its own, as a perfect instance network would give them
  true classes          the true class ids and objectness: cars parked in a row are one piece
  masks of the model    what the network makes of the pictures

and, of classes and masks, "perfect identities": each piece has the id of the true object that it shows best, and pieces
that show none are left out. No tracker can do better without cutting pieces. Writes out/bench/scene_tracking.json.

    python benchmarks/scene_tracking.py --frames 30 --seeds 1      a first look
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.report import parser, run, save

from cmt_seg_ros.config import SegmentationConfig, TrackerConfig
from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.metrics.matching import MIN_OBJECT_FRACTION, match_instances
from cmt_seg_ros.metrics.tracking import FrameMatch, hota, identity
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import U16, Frame, GroundTruth, Segment, Segmentation, Track, TrackState
from cmt_seg_ros.tracking.render import instance_image
from cmt_seg_ros.tracking.segments import find_segments
from cmt_seg_ros.tracking.tracker import Tracker

SIZE = (480, 360)  # width, height
FPS = 15.0
FIGURES = ("HOTA", "DetA", "AssA", "IDF1")
Follow = Callable[[Sequence[Frame], Sequence[Segmentation]], Iterator[U16]]


def follow_instances(frames: Sequence[Frame], masks: Sequence[Segmentation]) -> Iterator[U16]:
    """Our tracker on masks and the true instances."""
    tracker = Tracker(CAMVID, TrackerConfig())
    for frame, mask in zip(frames, masks, strict=True):
        yield _painted(tracker.update(replace(mask, instance_ids=_ids(frame))), frame)


def follow_masks(frames: Sequence[Frame], masks: Sequence[Segmentation]) -> Iterator[U16]:
    """Our tracker on masks."""
    tracker = Tracker(CAMVID, TrackerConfig())
    for frame, mask in zip(frames, masks, strict=True):
        yield _painted(tracker.update(mask), frame)


def follow_with_images(frames: Sequence[Frame], masks: Sequence[Segmentation]) -> Iterator[U16]:
    """Our tracker on masks and pictures."""
    tracker = Tracker(CAMVID, TrackerConfig())
    for frame, mask in zip(frames, masks, strict=True):
        yield _painted(tracker.update(mask, np.ascontiguousarray(frame.pixels)), frame)


def perfect(frames: Sequence[Frame], masks: Sequence[Segmentation]) -> Iterator[U16]:
    """The pieces of the masks with the ids of the true objects."""
    fraction = TrackerConfig().min_area_fraction
    for frame, mask in zip(frames, masks, strict=True):
        assert mask.objectness is not None
        pieces = find_segments(mask.class_ids, mask.objectness, CAMVID, min_area_fraction=fraction)
        yield _named(pieces, _ids(frame))


def _named(pieces: Sequence[Segment], true_ids: U16) -> U16:
    """(H, W) uint16: each object's id on the piece that shows it best, if none shows that piece better."""
    areas, best = np.bincount(true_ids.ravel(), minlength=65536), dict[int, tuple[float, int]]()
    for index, piece in enumerate(pieces):
        shown, counts = np.unique(_window(true_ids, piece)[piece.mask != 0], return_counts=True)
        for object_id, count in zip(shown.tolist(), counts.tolist(), strict=True):
            iou = count / (piece.area_px + areas[object_id] - count)
            if object_id and iou > best.get(object_id, (0.0, 0))[0]:
                best[object_id] = iou, index
    named = np.zeros_like(true_ids)
    for object_id, (_, index) in sorted(best.items(), key=lambda item: item[1]):  # the best comes last, and stays
        _window(named, pieces[index])[pieces[index].mask != 0] = object_id
    return named


def _window(image: U16, piece: Segment) -> U16:
    left, top, right, bottom = (round(v) for v in piece.box_px)
    return image[top:bottom, left:right]


def _painted(tracks: Sequence[Track], frame: Frame) -> U16:
    return instance_image([t for t in tracks if t.state == TrackState.CONFIRMED], frame.size)


def _truth(frame: Frame) -> GroundTruth:
    assert frame.truth is not None
    return frame.truth


def _ids(frame: Frame) -> U16:
    truth = _truth(frame).instance_ids
    assert truth is not None
    return truth


def score(frames: Sequence[Frame], images: Iterator[U16]) -> dict[str, float]:
    """Figures of one street, %."""
    matches: list[FrameMatch] = []
    for frame, image in zip(frames, images, strict=True):
        least = round(MIN_OBJECT_FRACTION * image.size)
        matches.append(match_instances(_ids(frame), image, least, _truth(frame).class_ids)[0])
    found = hota(matches)
    values = found.hota, found.det_a, found.ass_a, identity(matches).idf1
    return {name: 100 * value for name, value in zip(FIGURES, values, strict=True)}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seeds", type=int, default=5, help="how many streets (%(default)s)")
    arguments.add_argument("--frames", type=int, default=150, help="of each (%(default)s)")
    arguments.add_argument("--model", default="cmt-mchh-lite-camvid", help="that makes the masks (%(default)s)")
    args = arguments.parse_args()
    if min(args.seeds, args.frames) < 1:
        raise CmtSegError("--seeds and --frames must be 1 or more")
    pipeline = Pipeline(SegmentationConfig(model=args.model, device="CPU"))
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in range(args.seeds):
        scene = StreetScene(*SIZE, FPS, args.frames, seed)
        frames = list(track(scene, f"street {seed}", total=args.frames, transient=True))
        true = [Segmentation("", f.stamp_ns, _truth(f).class_ids, _truth(f).objectness) for f in frames]
        made = [pipeline.process([frame])[0] for frame in track(frames, args.model, transient=True)]
        ways: dict[str, Follow] = {"ours": follow_masks, "ours, with images": follow_with_images}
        ways["perfect identities"] = perfect
        rows.setdefault("true objects: ours", []).append(score(frames, follow_instances(frames, true)))
        for kind, masks in (("true classes", true), ("masks of the model", made)):
            for name, follow in ways.items():
                rows.setdefault(f"{kind}: {name}", []).append(score(frames, follow(frames, masks)))
    table = Table("", *FIGURES, "HOTA of each", title=f"{args.seeds} streets of {args.frames} frames, {FPS:g} Hz")
    for name, streets in rows.items():
        means = [f"{np.mean([street[figure] for street in streets]):.1f}" for figure in FIGURES]
        table.add_row(name, *means, " ".join(f"{street['HOTA']:.0f}" for street in streets))
    Console().print(table)
    save(args.out, "scene_tracking", {"model": args.model, "frames": args.frames, "streets": rows})


if __name__ == "__main__":
    run(main)
