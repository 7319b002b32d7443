"""Fusion of a semantic map with instances to a panoptic result (Costea, Petrovai and Nedevschi 2018).

The semantic map decides what is background, and the category of every pixel, such as vehicle; the instances decide the
class within a category, such as car or truck, as a detector sees an object whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.regions import MAX_ID, grow
from cmt_seg_ros.structures import U8, U16, Instance

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
        min_area_px: smaller pieces keep their class and become no instance; None: ``min_area_fraction`` of the tracker.

    Returns:
        Class ids and instance ids as above, and the instances: those that kept pixels, in their order, then the new
        ones in the order of their first pixel; numbered 1, 2, ...
    """
    least = TrackerConfig.min_area_fraction * class_ids.size if min_area_px is None else min_area_px
    table = labels.category_lut
    # 1. Split foreground, which has a category, from background.
    categories = cv2.LUT(class_ids, table).astype(np.uint8, copy=False)
    left, top, width, height = cv2.boundingRect(categories)
    if not width:
        return class_ids.copy(), np.zeros_like(instance_ids), ()
    window = slice(top, top + height), slice(left, left + width)
    # 2. Match instances with pixels of their category, and 3. grow them over the pixels of their category.
    planes = categories, instance_ids, class_ids
    foreground, given, classes = (np.ascontiguousarray(plane[window]) for plane in planes)
    places = np.flatnonzero(foreground)  # what follows looks at these pixels alone
    own, kinds = given.ravel()[places], {i.instance_id: table[i.class_id] for i in instances}
    matched = np.zeros_like(given)
    matched.ravel()[places] = np.where(_looked_up(kinds)[own] == foreground.ravel()[places], own, np.uint16(0))
    ids, pieces = grow(matched, foreground)
    # 4. Pieces that no instance has reached become new ones; numbers have no gaps.
    own = ids.ravel()[places]
    present = set(np.flatnonzero(np.bincount(own)).tolist())
    kept = [i for i in instances if i.instance_id in present]
    ids.ravel()[places] = _looked_up({i.instance_id: number for number, i in enumerate(kept, 1)})[own]
    found = [(i.class_id, i.score) for i in kept]
    for part, inside in pieces:
        if np.count_nonzero(inside) >= least and len(found) < MAX_ID:
            found.append((int(np.bincount(classes[part][inside]).argmax()), 0.0))
            ids[part][inside] = len(found)
    # 5. Each object has one class.
    own = ids.ravel()[places]
    class_of = _looked_up({number: class_id for number, (class_id, _) in enumerate(found, 1)})
    classes.ravel()[places] = np.where(own > 0, class_of[own], classes.ravel()[places])
    fused, numbered = class_ids.copy(), np.zeros_like(instance_ids)
    fused[window], numbered[window] = classes, ids
    return fused, numbered, _listed(ids, np.bincount(own, minlength=len(found) + 1), found, (left, top))


def _looked_up(values: Mapping[int, int]) -> U16:
    """Return the value of each number as an array; 0 for numbers without."""
    table = np.zeros(max(values, default=0) + 1, np.uint16)
    table[list(values)] = list(values.values())
    return table


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
