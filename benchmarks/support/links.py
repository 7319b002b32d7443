"""Links between objects of successive frames: by overlap or optical flow, and how many of the true ones were kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.metrics.matching import I64, iou_of, shared_pixels
from cmt_seg_ros.structures import F64, U8, U16, Track
from cmt_seg_ros.tracking.render import instance_image
from cmt_seg_ros.tracking.segments import find_segments

F32 = npt.NDArray[np.float32]
Links = dict[int, int]  # id in a frame to the id of the same object in the next one

SAME_IOU = 0.3
"""Least IoU of an object carried by the flow with what is the same object, and of a prediction with what it shows."""


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one frame.

    Attributes:
        ids: (H, W) uint16, id per pixel, 0 = none.
        class_of: class id of each id.
    """

    ids: U16
    class_of: dict[int, int]

    def carried(self, back: F32) -> Objects:
        """Where they are in another frame; ``back`` is the flow from that one to this, as of :func:`flow`."""
        height, width = self.ids.shape
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        moved = cv2.remap(self.ids, x + back[..., 0], y + back[..., 1], cv2.INTER_NEAREST, borderValue=0)
        return Objects(np.asarray(moved, np.uint16), self.class_of)

    def renamed(self, names: Links) -> Objects:
        """The same with other ids."""
        table = np.zeros(int(self.ids.max()) + 1, np.uint16)
        for number, name in names.items():
            table[number] = name
        return Objects(table[self.ids], {names[number]: class_id for number, class_id in self.class_of.items()})


def components(class_ids: U8, labels: LabelSet, min_area_fraction: float) -> Objects:
    """The 8-connected components of the object classes, numbered from 1.

    Args:
        class_ids: (H, W) uint8.
        labels: says which classes are objects.
        min_area_fraction: smaller ones are left out, share of the image's area, 0-1.
    """
    found = find_segments(class_ids, np.full_like(class_ids, 255), labels, min_area_fraction=min_area_fraction)
    ids = np.zeros(class_ids.shape, np.uint16)
    for number, segment in enumerate(found, start=1):
        assert segment.mask is not None  # they were cut from a mask
        (x, y), (height, width) = segment.corner_px, segment.mask.shape
        ids[y : y + height, x : x + width][segment.mask != 0] = number
    return Objects(ids, {number: segment.class_id for number, segment in enumerate(found, start=1)})


def tracked(tracks: Sequence[Track], size: tuple[int, int]) -> Objects:
    """What tracks of every state show in an image of (height, width); the class is that of the pixels."""
    classes = {track.track_id: track.segment.class_id for track in tracks if track.segment is not None}
    return Objects(instance_image(tracks, size), classes)


def flow(first: U8, second: U8) -> F32:
    """(H, W, 2) float32, x and y in pixels that each pixel of the first image moved to the second; both BGR."""
    gray = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (first, second)]
    engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(engine.calc(gray[0], gray[1], None), np.float32)  # type: ignore[call-overload]


def overlap(first: Objects, second: Objects) -> tuple[I64, I64, F64]:
    """Ids of both, (N,) and (M,), and the (N, M) IoU of each pair, 0 where the classes differ."""
    first_ids, second_ids, joint = shared_pixels(first.ids, second.ids)
    rows, columns, iou = first_ids[1:], second_ids[1:], iou_of(joint)  # without 0, no object
    of_first = np.array([first.class_of[i] for i in rows.tolist()], np.int64)
    of_second = np.array([second.class_of[i] for i in columns.tolist()], np.int64)
    return rows, columns, np.where(of_first[:, None] == of_second[None], iou, 0.0)


def best(first: Objects, second: Objects) -> Links:
    """For each of the first that one of the second overlaps by SAME_IOU: the one that overlaps it most."""
    rows, columns, iou = overlap(first, second)
    return {int(rows[r]): int(columns[iou[r].argmax()]) for r in np.flatnonzero(iou.max(axis=1, initial=0) >= SAME_IOU)}


def mutual(first: Objects, second: Objects) -> Links:
    """Pairs that are each other's :func:`best`."""
    back = best(second, first)
    return {a: b for a, b in best(first, second).items() if back.get(b) == a}


def assigned(first: Objects, second: Objects) -> Links:
    """Pairs one to one that overlap at all, so that the sum of their IoU is greatest."""
    rows, columns, iou = overlap(first, second)
    pairs = zip(*linear_sum_assignment(iou, maximize=True), strict=True)
    return {int(rows[r]): int(columns[c]) for r, c in pairs if iou[r, c] > 0}


def chained(links: Sequence[Links]) -> Links:
    """From the first of several successive frames to the last."""
    result = links[0]
    for more in links[1:]:
        result = {a: more[b] for a, b in result.items() if b in more}
    return result


def followed(frames: Sequence[Objects], flows: Sequence[F32] | None = None) -> list[Objects]:
    """Give objects the id of the one that they overlap in the frame before.

    Args:
        frames: in their order.
        flows: from each frame but the first back to the one before it; None: plain overlap.

    Returns:
        The frames with these ids.
    """
    result, newest = list(frames[:1]), max(frames[0].class_of, default=0)
    for k, frame in enumerate(frames[1:]):
        last = result[-1] if flows is None else result[-1].carried(flows[k])
        names = {number: name for name, number in assigned(last, frame).items()}
        for number in frame.class_of:
            if number not in names:
                newest += 1
                names[number] = newest
        result.append(frame.renamed(names))
    return result


LINKS, VISIBLE = "links", "visible"


@dataclass
class Counts:
    """By class id, under LINKS, VISIBLE and the names of the methods.

    Attributes:
        links: how many there are, are visible, and each method kept.
        wrong: how often each method took one object for another.
    """

    links: dict[str, Counter[int]]
    wrong: dict[str, Counter[int]]

    @classmethod
    def none(cls, methods: Sequence[str]) -> Counts:
        """Nothing counted yet."""
        return cls({name: Counter() for name in (LINKS, VISIBLE, *methods)}, {name: Counter() for name in methods})

    def add(self, other: Counts) -> None:
        """Add those of another stream."""
        for mine, others in ((self.links, other.links), (self.wrong, other.wrong)):
            for name, numbers in others.items():
                mine[name].update(numbers)

    def as_dict(self, labels: LabelSet) -> dict[str, dict[str, dict[str, int]]]:
        """For JSON: by the name of the class."""
        return {
            kind: {
                name: {"all": numbers.total(), **{labels.name_of(c): numbers[c] for c in labels.object_ids}}
                for name, numbers in counted.items()
            }
            for kind, counted in (("links", self.links), ("wrong", self.wrong))
        }


def count(
    truth: Sequence[Objects],
    links: Sequence[Links],
    pieces: Sequence[Objects],
    results: Mapping[str, Sequence[Objects]],
) -> Counts:
    """Count over one stream.

    Args:
        truth: the true objects of its frames.
        links: from each frame but the last to the next.
        pieces: what shows the objects in the masks that the methods were given.
        results: what each method made of the stream: objects with ids that stay.
    """
    shown = {name: list(map(best, truth, found)) for name, found in results.items()}
    visible, counts = list(map(best, truth, pieces)), Counts.none(list(results))
    for k, of_frame in enumerate(links):
        class_of = truth[k].class_of
        seen = {a for a, b in of_frame.items() if a in visible[k] and b in visible[k + 1]}
        counts.links[LINKS].update(class_of[a] for a in of_frame)
        counts.links[VISIBLE].update(class_of[a] for a in seen)
        for name, ids in shown.items():
            kept, wrong = judge(of_frame, ids[k], ids[k + 1])
            counts.links[name].update(class_of[a] for a in kept if a in seen)
            counts.wrong[name].update(class_of[a] for a in wrong)
    return counts


def judge(links: Links, first: Links, second: Links) -> tuple[list[int], list[int]]:
    """What a method made of two frames.

    Args:
        links: from true objects of the first frame to those of the second.
        first: for each of the first frame that the method shows, the id that it has there.
        second: likewise.

    Returns:
        Those of the first frame whose link was kept, and those whose id another one got although one of both has a
        link; these once for each such other.
    """
    linked = set(links.values())
    pairs = [(a, b) for a, id_a in first.items() for b, id_b in second.items() if id_a == id_b]
    kept = [a for a, b in pairs if links.get(a) == b]
    wrong = [a for a, b in pairs if links.get(a) != b and (a in links or b in linked)]
    return kept, wrong
