"""Images for the tracker and its overlay: used where they are there, never waited for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from support.ros_harness import Bench, header, image, stamps
from support.tracker_camera import SIZE, STATUS, Camera, masks

from cmt_seg_ros.ros.common.images import image_from_array
from cmt_seg_ros.ros.tracker_node import TrackerNode


@pytest.mark.parametrize("image_first", [True, False])
def test_overlay_and_images_only_while_somebody_looks(ros: Bench, image_first: bool) -> None:
    ros.add(TrackerNode)
    camera = Camera(ros).ready()
    camera.track(0)
    images = ros.publisher(Image, "/image_raw", matched=0)
    assert images.get_subscription_count() == 0
    overlays = ros.listen(Image, "/tracking/overlay")
    ros.until(lambda: images.get_subscription_count() == 1, "images are subscribed")
    picture = image(stamps([masks(1)[0]])[0], SIZE[1], SIZE[0])
    if image_first:
        ros.send("/image_raw", picture)
    camera.track(1)
    if not image_first:
        ros.send("/image_raw", picture)
    ros.until(lambda: overlays)
    (overlay,) = overlays
    assert (overlay.encoding, overlay.height, overlay.width) == ("bgr8", *SIZE)
    assert "tracked_without_image" not in ros.counts(STATUS), "overlays change nothing for the tracker"
    assert overlay.header == masks(1)[0].header
    ros.stop_listening("/tracking/overlay")
    ros.until(lambda: images.get_subscription_count() == 0, "images are no longer subscribed")


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_the_tracker_gets_images_of_any_size_and_encoding_and_does_not_wait_for_them(
    ros: Bench, transport: str
) -> None:
    ros.add(TrackerNode, use_images=True, transport=transport)
    overlays = ros.listen(Image, "/tracking/overlay")
    camera = Camera(ros).ready()
    for number in range(3):
        stamp = stamps([masks(number)[0]])[0]
        half = np.full((SIZE[0] // 2, SIZE[1] // 2, 3), 90, np.uint8)
        if number == 1:
            pass  # no image comes
        elif transport == "raw":
            ros.send("/image_raw", image_from_array(half, "rgb8", header(stamp)))
        else:
            ros.send("/image_raw/compressed", jpeg(half, stamp))
        camera.track(number)
    assert {message.tracks[0].id for message in camera.tracks} == {1}
    ros.until(lambda: ros.counts(STATUS).get("tracked_without_image") == 1)
    ros.until(lambda: len(overlays) == 2)
    assert {(message.height, message.width) for message in overlays} == {SIZE}


def jpeg(pixels: np.ndarray, stamp: int) -> CompressedImage:
    return CompressedImage(header=header(stamp), format="jpeg", data=cv2.imencode(".jpg", pixels)[1].tobytes())


def test_an_image_that_cannot_be_used_is_said_and_counted_and_masks_are_tracked_without(ros: Bench) -> None:
    ros.add(TrackerNode, use_images=True, transport="compressed")
    camera = Camera(ros).ready()
    whole = jpeg(np.zeros((60, 200, 3), np.uint8), stamps([masks(1)[0]])[0])
    for data in (b"no jpeg", whole.data[:64]):  # refused when it comes, and when it is decoded
        ros.send("/image_raw/compressed", CompressedImage(header=whole.header, data=data))
    assert len(camera.track(1).tracks) == 1
    ros.until(lambda: (ros.counts(STATUS).get("bad_images"), ros.counts(STATUS).get("tracked_without_image")) == (2, 1))
    assert "image refused: " in ros.errors()[0]
