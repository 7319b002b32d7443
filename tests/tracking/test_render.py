"""Pictures of tracks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from support.small_scenes import rectangle

from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.structures import Box, Track, TrackState
from cmt_seg_ros.tracking.render import Trails, draw_tracks, instance_image, track_color

SIZE = (90, 120)


def track(track_id: int, box: Box, state: TrackState = TrackState.CONFIRMED) -> Track:
    seen = state in (TrackState.TENTATIVE, TrackState.CONFIRMED)
    left, top, right, bottom = map(round, box)
    return Track(
        track_id, 8, box, (0.0, 0.0), 1.0, state, 1.0, 0.0, rectangle(left, top, right, bottom) if seen else None
    )


def test_instance_image_has_the_mask_of_each_track() -> None:
    holed = track(7, (10, 20, 40, 50))
    assert holed.mask is not None
    holed.mask[5, 6] = 0
    image = instance_image([holed, track(300, (60, 0, 70, 9)), track(9, (80, 60, 90, 70), TrackState.OCCLUDED)], SIZE)
    assert image.shape == SIZE and image.dtype == np.uint16
    assert set(np.unique(image)) == {0, 7, 300}
    assert (image == 7).sum() == 30 * 30 - 1 and image[25, 16] == 0 and np.all(image[0:9, 60:70] == 300)


def test_instance_image_cuts_at_the_border() -> None:
    image = instance_image([track(1, (-5, -3, 5, 7)), track(2, (110, 80, 130, 100)), track(3, (200, 0, 210, 9))], SIZE)
    assert (image == 1).sum() == 5 * 7 and (image == 2).sum() == 10 * 10 and not (image == 3).any()


@pytest.mark.parametrize(("track_id", "value"), [(65535, 65535), (65536, 1), (131071, 1)])
def test_large_ids_wrap_and_are_never_none(track_id: int, value: int) -> None:
    assert instance_image([track(track_id, (0, 0, 4, 4))], SIZE)[0, 0] == value


@pytest.mark.parametrize("state", list(TrackState))
@pytest.mark.parametrize("box", [(10, 30, 60, 70), (-20, -10, 30, 20), (100, 70, 140, 110), (300, 300, 310, 310)])
def test_overlay_draws_inside_and_leaves_its_input(state: TrackState, box: Box) -> None:
    image = np.full((*SIZE, 3), 90, np.uint8)
    out = draw_tracks(image, [track(5, box, state)], CAMVID, {5: [(5.0, 5.0), (20.0, 30.0), (35.0, 50.0)]})
    assert out.shape == image.shape and out.dtype == np.uint8
    assert np.all(image == 90) and not np.array_equal(out, image)


def test_overlay_tints_the_mask_only() -> None:
    image = np.full((*SIZE, 3), 90, np.uint8)
    out = draw_tracks(image, [track(5, (20, 40, 80, 80), TrackState.TENTATIVE)], CAMVID)
    inside, outside = out[60, 50].astype(int), out[10, 10]
    toward = np.array(track_color(5)) - 90
    assert np.all(outside == 90) and np.all(np.sign(inside - 90) == np.sign(toward))


def test_colors_are_stable_and_neighbours_differ() -> None:
    colors = [track_color(i) for i in range(1, 40)]
    assert colors == [track_color(i) for i in range(1, 40)] and len(set(colors)) == 39
    for a, b in pairwise(colors):
        assert np.abs(np.subtract(a, b)).max() > 80


def test_trails_follow_and_end_with_their_tracks() -> None:
    trails = Trails(length=3)
    for k in range(5):
        points = trails.update([track(1, (k, 0, k + 10, 10)), track(2, (0, 0, 2, 2))])
    assert points[1] == ((7.0, 5.0), (8.0, 5.0), (9.0, 5.0)) and len(points[2]) == 3
    assert set(trails.update([track(2, (0, 0, 2, 2))])) == {2}
    assert trails.update([track(1, (0, 0, 10, 10))])[1] == ((5.0, 5.0),)
