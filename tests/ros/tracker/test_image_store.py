"""The images that wait for their masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sensor_msgs.msg import Image
from support.ros_harness import Bench, bench, header, image

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.ros.common.cameras import CameraSettings
from cmt_seg_ros.ros.common.faults import Faults
from cmt_seg_ros.ros.common.images import image_from_array
from cmt_seg_ros.ros.tracker import image_store
from cmt_seg_ros.ros.tracker.image_store import ImageStore


class Stored:
    """A store that receives what the test sends on /image_raw."""

    def __init__(self, ros: Bench) -> None:
        self.ros, self.came = ros, list[int]()
        self.refused: list[FrameError] = []
        settings = CameraSettings("", "image_raw", "raw", "reliable")
        take = self.came.append, self.refused.append, Faults(ros.node)
        self.store: ImageStore = ros.do(lambda: ImageStore(ros.node, settings, "16", *take))
        ros.do(lambda: self.store.follow(True))

    def send(self, *stamps: int) -> None:
        for stamp in stamps:
            self.ros.send("/image_raw", image(stamp))
            self.ros.until(lambda: stamp in self.came)  # noqa: B023

    def take(self, stamp: int) -> bool:
        return self.ros.do(lambda: self.store.take(stamp)) is not None


@pytest.fixture
def stored() -> Iterator[Stored]:
    with bench() as ros:
        yield Stored(ros)


def test_taking_an_image_forgets_it_and_all_older_ones(stored: Stored) -> None:
    stored.send(1, 2, 3)
    assert [stored.take(stamp) for stamp in (2, 2, 1, 3, 4)] == [True, False, False, True, False]


def test_only_the_newest_are_kept(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.send(*range(1, image_store.IMAGES_KEPT + 3))
    assert [stored.take(stamp) for stamp in (1, 2, 3)] == [False, False, True]
    monkeypatch.setattr(image_store, "BYTES_KEPT", 2 * 96 * 64 * 3)
    stored.send(101, 102, 103)
    assert [stored.take(stamp) for stamp in (101, 102, 103)] == [False, True, True]


def test_an_image_without_a_stamp_is_no_mask_s_and_that_is_said(stored: Stored) -> None:
    stored.ros.send("/image_raw", image(0))
    stored.ros.until(lambda: stored.refused)
    (error,) = stored.refused
    assert error.reason == "no_stamp" and "its masks cannot be found" in str(error)
    assert not stored.take(0) and stored.came == []


def test_images_are_blue_green_red_whatever_they_came_as(stored: Stored) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[..., 0] = 200  # red
    stored.ros.send("/image_raw", image_from_array(pixels, "rgb8", header(7)))
    stored.ros.until(lambda: stored.came)
    np.testing.assert_array_equal(stored.ros.do(lambda: stored.store.take(7)), pixels[..., ::-1])


def test_images_that_are_none_are_refused(stored: Stored) -> None:
    message = image(1)
    message.data = message.data[:10]
    stored.ros.send("/image_raw", message)
    stored.ros.until(lambda: stored.refused)
    assert stored.refused[0].reason == "short_data" and stored.came == []


def test_nothing_is_received_or_kept_while_nobody_wants_it(stored: Stored) -> None:
    stored.send(1)
    stored.ros.do(lambda: stored.store.follow(False))
    assert not stored.take(1)
    publisher = stored.ros.publisher(Image, "/image_raw", matched=0)
    stored.ros.until(lambda: publisher.get_subscription_count() == 0)
