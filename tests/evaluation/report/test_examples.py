from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from support.small_street import street, without_truth

from cmt_seg_ros.evaluation.job import FrameResult
from cmt_seg_ros.evaluation.report.examples import draw_difference, draw_examples, load_examples, save_examples
from cmt_seg_ros.labels import CAMVID

SAME = np.arange(256, dtype=np.uint8)


def test_three_pictures_of_each_frame_and_no_more_frames_than_needed() -> None:
    read: list[int] = []

    def results() -> Iterator[FrameResult]:
        for result in street():
            read.append(result.index)
            yield result

    found = draw_examples(results(), CAMVID, SAME, {"best": 4, "median": 4, "worst": 2})
    ends = ("", "-truth", "-difference")
    assert set(found) == {f"{name}{end}" for name in ("best", "median", "worst") for end in ends}
    assert read == [0, 1, 2, 3, 4] and found["best"] == found["median"]
    for data in found.values():
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (16, 16, 3)


def test_without_truth_there_is_the_image_with_its_masks_alone() -> None:
    assert set(draw_examples(without_truth(street()), CAMVID, SAME, {"frame 3": 3, "frame 99": 99})) == {"frame 3"}
    assert set(draw_examples(street(), CAMVID, None, {"a": 3, "lost": 9})) == {"a", "lost"}


def test_true_boxes_are_drawn() -> None:
    result = street()[0]
    truth = replace(
        result.frame.truth, class_ids=None, objectness=None, instance_ids=None, boxes_px={7: (2, 2, 12, 12)}
    )  # type: ignore[type-var]
    found = draw_examples([replace(result, frame=replace(result.frame, truth=truth))], CAMVID, SAME, {"a": 0})
    assert set(found) == {"a", "a-truth"}


def test_red_is_wrong_grey_is_right_black_is_unlabelled() -> None:
    image = np.full((1, 4, 3), 100, np.uint8)
    picture = draw_difference(image, np.array([[3, 4, 255, 3]], np.uint8), np.array([[3, 3, 3, 255]], np.uint8))
    right, wrong, unlabelled, unknown = picture[0].tolist()
    assert right == [160, 160, 160] and wrong == unlabelled == [60, 50, 225] and unknown == [0, 0, 0]


def test_saved_pictures_are_found_in_the_order_of_frames(tmp_path: Path) -> None:
    assert load_examples(tmp_path) == {}
    save_examples(tmp_path, {"frame 10": b"d", "frame 9": b"a", "frame 9-difference": b"c", "frame 9-truth": b"b"})
    assert list(load_examples(tmp_path).items()) == [("frame 9", [b"a", b"b", b"c"]), ("frame 10", [b"d"])]
