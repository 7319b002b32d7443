"""Fusion of a semantic map with instances to a panoptic result (Costea, Petrovai and Nedevschi 2018).

The semantic map decides what is background, and the category of every pixel, such as vehicle; the instances decide the
class within a category, such as car or truck, as a detector sees an object whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.regions import MAX_ID, grow
from cmt_seg_ros.structures import U8, U16, Instance

MIN_AREA_FRACTION = 0.0003
"""Smaller pieces that belong to no instance do not become one; share of the image's area, as in tracking."""
MOST_OF_A_CLASS = 255
"""Most objects of one class in :func:`panoptic_image`."""


def fuse(
    class_ids: U8,
    instance_ids: U16,
    instances: Sequence[Instance],
    labels: LabelSet,
    min_area_px: float | None = None,
) -> tuple[U8, U16, tuple[Instance, ...]]:
    """Fuse the semantic map and the instances of one frame.

    An instance keeps the pixels whose class is of its category. Pixels of a category without an instance go to the
    closest instance that can be reached through pixels of that category. Pieces that none can reach become instances
    of the class that most of their pixels have, with score 0. Each object has one class afterwards.

    Args:
        class_ids: (H, W) uint8.
        instance_ids: (H, W) uint16, 0 = none, else the number of one of ``instances``.
        instances: by falling score.
        labels: the classes; their categories.
        min_area_px: smaller pieces keep their class and become no instance; None: MIN_AREA_FRACTION of the image.

    Returns:
        Class ids and instance ids as above, and the instances: those that kept pixels, in their order, then the new
        ones in the order of their first pixel; numbered 1, 2, ...
    """
    least = MIN_AREA_FRACTION * class_ids.size if min_area_px is None else min_area_px
    table = labels.category_lut
    # 1. Split foreground, which has a category, from background.
    categories = cv2.LUT(class_ids, table).astype(np.uint8, copy=False)
    left, top, width, height = cv2.boundingRect(categories)
    if not width:
        return class_ids.copy(), np.zeros_like(instance_ids), ()
    window = slice(top, top + height), slice(left, left + width)
    # What follows looks at the foreground's pixels alone, by their flat indices.
    foreground, given = (np.ascontiguousarray(plane[window]) for plane in (categories, instance_ids))
    places = np.flatnonzero(foreground)
    # 2. Match instances with pixels of their category.
    of_instance = np.zeros(max((i.instance_id for i in instances), default=0) + 1, np.uint8)
    for instance in instances:
        of_instance[instance.instance_id] = table[instance.class_id]
    own = given.ravel()[places]
    matched = np.zeros_like(given)
    matched.ravel()[places] = np.where(of_instance[own] == foreground.ravel()[places], own, np.uint16(0))
    # 3. Grow the instances over the pixels of their category.
    grown, pieces = grow(matched, foreground)
    # 4. Pieces that no instance has reached become new ones; numbers have no gaps.
    own = grown.ravel()[places]
    present = set(np.flatnonzero(np.bincount(own, minlength=len(of_instance))).tolist())
    kept = [i for i in instances if i.instance_id in present]
    numbers = np.zeros(len(of_instance), np.uint16)
    numbers[[i.instance_id for i in kept]] = np.arange(1, len(kept) + 1)
    grown.ravel()[places] = numbers[own]
    found = [(i.class_id, i.score) for i in kept]
    for part, inside in pieces:
        if np.count_nonzero(inside) >= least and len(found) < MAX_ID:
            found.append((int(np.bincount(class_ids[window][part][inside]).argmax()), 0.0))
            grown[part][inside] = len(found)
    # 5. Each object has one class.
    own = grown.ravel()[places]
    class_of = np.array([0, *(class_id for class_id, _ in found)], np.uint8)
    classes = np.ascontiguousarray(class_ids[window])
    classes.ravel()[places] = np.where(own > 0, class_of[own], classes.ravel()[places])
    fused, ids = class_ids.copy(), np.zeros_like(instance_ids)
    fused[window], ids[window] = classes, grown
    return fused, ids, _listed(grown, np.bincount(own, minlength=len(found) + 1), found, (left, top))


def panoptic_image(class_ids: U8, instance_ids: U16, instances: Sequence[Instance]) -> tuple[U16, int]:
    """Write class and object of each pixel into one image.

    Args:
        class_ids: (H, W) uint8, 255 = unlabelled.
        instance_ids: (H, W) uint16, 0 = none, else the number of one of ``instances``.
        instances: by falling score.

    Returns:
        (H, W) uint16: class id << 8 | k, where k counts the objects of a class, 1 to 255, and is 0 where there is none;
        and how many objects got no number, as there were more than 255 of their class.
    """
    numbers, counts = np.zeros(max((i.instance_id for i in instances), default=0) + 1, np.uint16), Counter[int]()
    for instance in instances:
        counts[instance.class_id] += 1
        if counts[instance.class_id] <= MOST_OF_A_CLASS:
            numbers[instance.instance_id] = counts[instance.class_id]
    image = np.left_shift(class_ids, 8, dtype=np.uint16) | numbers[instance_ids]
    return image, sum(max(count - MOST_OF_A_CLASS, 0) for count in counts.values())


def _listed(
    ids: U16, areas: npt.NDArray[np.int64], found: Sequence[tuple[int, float]], corner: tuple[int, int]
) -> tuple[Instance, ...]:
    """Describe the instances of an image of ids without gaps; boxes are those of their pixels."""
    from scipy.ndimage import find_objects  # here, as importing it would delay the start of every node

    (x, y), listed = corner, []
    for number, (rows, columns) in enumerate(find_objects(ids.astype(np.int32)), 1):
        class_id, score = found[number - 1]
        box = float(x + columns.start), float(y + rows.start), float(x + columns.stop), float(y + rows.stop)
        listed.append(Instance(number, class_id, score, box, int(areas[number])))
    return tuple(listed)
