"""Copy-paste of rare classes between training frames (Ghiasi et al. 2021, for frames of one camera)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cmt_seg_ros.structures import U8
from cmt_seg_ros.training.datasets import AS_LABELS, Sample

MIN_AREA_PX = 60
MAX_PASTED = 4


@dataclass(frozen=True, eq=False)
class CutOut:
    """One object: image (h, w, 3) uint8, mask (h, w) uint8 0 or 1, its label, and where it was (x, y) px."""

    image: U8
    mask: U8
    label: int
    x: int
    y: int


def cut_outs(samples: Sequence[Sample], labels: Sequence[int]) -> dict[int, list[CutOut]]:
    """Return every component of the given labels with at least MIN_AREA_PX pixels, by label."""
    found: dict[int, list[CutOut]] = {}
    for sample in samples:
        for label in labels:
            count, ids, stats, _ = cv2.connectedComponentsWithStats((sample.labels == label).astype(np.uint8))
            for k in range(1, count):
                x, y, w, h, area = (int(v) for v in stats[k])
                if area >= MIN_AREA_PX:
                    part = (slice(y, y + h), slice(x, x + w))
                    mask = (ids[part] == k).astype(np.uint8)
                    found.setdefault(label, []).append(CutOut(sample.image[part].copy(), mask, label, x, y))
    return found


def paste(sample: Sample, pool: Mapping[int, Sequence[CutOut]], rng: np.random.Generator) -> Sample:
    """Paste up to MAX_PASTED cut-outs at their original height, at a random place sideways: their size fits there.

    The label is drawn first, so that a rare one is pasted as often as a frequent one.
    """
    sample = sample.changed(sample.image.copy(), np.copy)
    image, labels = sample.image, sample.labels
    kinds = sorted(pool)
    for _ in range(int(rng.integers(1, MAX_PASTED + 1))):
        candidates = pool[kinds[int(rng.integers(len(kinds)))]]
        piece = candidates[int(rng.integers(len(candidates)))]
        h, w = piece.mask.shape
        if piece.y + h > labels.shape[0] or w > labels.shape[1]:
            continue
        x = int(rng.integers(labels.shape[1] - w + 1))
        part = (slice(piece.y, piece.y + h), slice(x, x + w))
        flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
        inside = piece.mask[:, flip] > 0
        image[part][inside] = piece.image[:, flip][inside]
        labels[part][inside] = piece.label
        if sample.objects is not None:
            sample.objects[part][inside] = AS_LABELS
    return sample
