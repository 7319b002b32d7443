"""Frames that cannot be tracked: refused with a reason, and the tracker goes on as if they had not come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.small_scenes import CAR, SIZE, confirmed_car, masks, new_tracker, plain

from cmt_seg_ros.errors import TrackingError
from cmt_seg_ros.structures import U8


@pytest.mark.parametrize("stamp_s", [0.4, 0.1])
def test_frame_out_of_order_is_refused_and_changes_nothing(stamp_s: float) -> None:
    tracker, untouched = new_tracker(), new_tracker()
    confirmed_car(tracker)
    confirmed_car(untouched)
    with pytest.raises(TrackingError, match=r"400000000 ns.*reset\(\)"):
        tracker.update(masks([(CAR, 28, 50, 30, 20)], stamp_s))
    assert (tracker.refused, untouched.refused) == (1, 0)
    following = masks([(CAR, 30, 50, 30, 20)], 0.5)
    assert plain(tracker.update(following)) == plain(untouched.update(following))


def test_an_image_of_another_size_than_the_masks_is_welcome() -> None:
    small, large = new_tracker(), new_tracker()
    for k in range(6):
        frame = masks([(CAR, 20 + 2 * k, 50, 30, 20)], k / 10)
        image = np.full((*SIZE, 3), 90, np.uint8)
        image[50:70, 20 + 2 * k : 50 + 2 * k] = (40, 40, 220)
        (one,), (other,) = small.update(frame, image), large.update(frame, image.repeat(3, axis=0).repeat(2, axis=1))
    assert (one.track_id, one.box_px, one.state) == (other.track_id, other.box_px, other.state)


BAD_IMAGES = [
    *(np.zeros((*SIZE, 3), dtype) for dtype in (np.float32, np.float64, np.uint16, np.int8, bool)),
    *(np.zeros(shape, np.uint8) for shape in (SIZE, (*SIZE, 4), (*SIZE, 1), (0, 0, 3), (4, *SIZE, 3))),
    np.zeros((60, 100, 3), np.float32),
]


@pytest.mark.parametrize("image", BAD_IMAGES, ids=lambda image: f"{image.dtype}{image.shape}")
def test_a_malformed_image_is_refused_and_changes_nothing(image: U8) -> None:
    tracker, untouched = new_tracker(), new_tracker()
    good = np.full((*SIZE, 3), 90, np.uint8)
    for k in range(4):
        frame = masks([(CAR, 20 + 2 * k, 50, 30, 20)], k / 10)
        if k == 3:
            with pytest.raises(TrackingError, match=r"the image is .*must be uint8 \(height, width, 3\)"):
                tracker.update(frame, image)
        assert plain(tracker.update(frame, good)) == plain(untouched.update(frame, good))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("class_ids", np.zeros(SIZE, np.int32), "class_ids is int32"),
        ("objectness", np.zeros(SIZE, bool), "objectness is bool"),
        ("objectness", np.zeros((120, 199), np.uint8), "one size"),
        ("objectness", np.zeros((*SIZE, 1), np.uint8), "must be uint8"),
        ("objectness", None, "needs both masks"),
        ("class_ids", np.zeros((0, 0), np.uint8), "must be uint8"),
    ],
)
def test_malformed_masks_are_refused_and_change_nothing(name: str, value: U8, message: str) -> None:
    tracker, untouched = new_tracker(), new_tracker()
    last = confirmed_car(tracker)
    confirmed_car(untouched)
    good = masks([(CAR, 30, 50, 30, 20)], last + 0.1)
    with pytest.raises(TrackingError, match=message):
        tracker.update(replace(good, **{name: value}))
    assert plain(tracker.update(good)) == plain(untouched.update(good))
