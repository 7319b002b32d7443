"""Frames to masks through the compiled graph."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import openvino as ov
import pytest

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ConfigError, DeviceError, FrameError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.metrics.segmentation import confusion_matrix, mean_iou
from cmt_seg_ros.runtime.graph import network_size
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.runtime.smoothing import smooth
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import Frame

Raw = tuple[np.ndarray, np.ndarray]
CONFIG = SegmentationConfig(device="CPU", precision="f32")


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(CONFIG)


@pytest.fixture(scope="module")
def frame() -> Frame:
    return StreetScene(480, 360, frames=30).frame(20)


@pytest.fixture(scope="module")
def by_hand(pipeline: Pipeline, frame: Frame) -> Raw:
    """The network's probabilities of the frame, (C, H, W) of the classes and (H, W) of object, without the graph."""
    package = pipeline.package
    network = ov.Core().compile_model(package.read_ir(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    rgb = frame.pixels[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    probabilities, objects = network(np.ascontiguousarray((rgb - package.mean) / package.scale)).values()
    up = [cv2.resize(p, (480, 360), interpolation=cv2.INTER_LINEAR) for p in (*probabilities[0], objects[0, 0])]
    return np.stack(up[:-1]), up[-1]


def test_masks_have_the_frames_size_stamp_and_names(pipeline: Pipeline) -> None:
    frame = Frame("front", 123, np.zeros((97, 161, 3), np.uint8), "rgb8", "front_optical_frame", "a")
    result = pipeline.process([frame])[0]
    assert result.class_ids.shape == result.objectness.shape == result.confidence.shape == (97, 161)
    assert {m.dtype for m in (result.class_ids, result.objectness, result.confidence)} == {np.dtype(np.uint8)}
    assert (result.camera, result.stamp_ns, result.frame_id, result.name) == ("front", 123, "front_optical_frame", "a")
    assert set(np.unique(result.objectness)) <= {0, 255} and result.class_ids.max() < len(pipeline.labels)


def test_sixteen_bits_are_seen_as_the_camera_meant_them(frame: Frame) -> None:
    """12 bits as they are give the masks of the picture of 8 bits, in grey and in colour, and so does auto."""
    for setting in ("12", "auto"):
        pipeline = Pipeline(replace(CONFIG, mono16_range=setting))
        deep = frame.pixels.astype(np.uint16) * 16 + frame.pixels // 16
        expected, found = pipeline.process([frame, replace(frame, pixels=deep, encoding="bgr16")])
        assert np.mean(found.class_ids == expected.class_ids) > 0.999
        grey = frame.pixels[:, :, 1]
        expected, found = pipeline.process(
            [replace(frame, pixels=grey, encoding="mono8"), replace(frame, pixels=deep[:, :, 1], encoding="mono16")]
        )
        assert np.mean(found.class_ids == expected.class_ids) > 0.995


def test_graph_equals_the_steps_done_by_hand(pipeline: Pipeline, frame: Frame, by_hand: Raw) -> None:
    """Colour order, normalisation, up-sampling and arg-max by numpy and OpenCV give the same labels."""
    probabilities, objects = by_hand
    result = pipeline.process([frame])[0]
    assert np.mean(np.argmax(probabilities, 0) == result.class_ids) > 0.9995
    assert np.mean((objects > 0.5) == (result.objectness == 255)) > 0.9995
    assert np.abs(np.max(probabilities, 0) * 255 - result.confidence).mean() < 1.0
    assert result.top_ids is None and result.top_scores is None


@pytest.mark.parametrize("top_k", [2, 3, len(CAMVID)])
def test_top_k_equal_the_sorted_network_output(frame: Frame, by_hand: Raw, top_k: int) -> None:
    result = Pipeline(replace(CONFIG, top_k=top_k, score_threshold=0.9)).process([frame])[0]
    assert result.top_ids is not None and result.top_scores is not None
    assert result.top_ids.shape == result.top_scores.shape == (top_k, 360, 480)
    assert result.top_ids.dtype == result.top_scores.dtype == np.uint8
    order = np.argsort(-by_hand[0], axis=0)
    scores = np.take_along_axis(by_hand[0], order, axis=0)
    assert np.abs(scores[:top_k] * 255 - result.top_scores).max() < 1.0
    for rank in range(top_k):  # classes as good as equal may change places
        clear = np.abs(np.diff(scores, axis=0)[max(0, rank - 1) : rank + 1]).min(axis=0) > 1e-4
        np.testing.assert_array_equal(result.top_ids[rank][clear], order[rank][clear])
    # The threshold takes labels off the mask, not off the list.
    labelled = result.class_ids != 255
    np.testing.assert_array_equal(result.top_ids[0][labelled], result.class_ids[labelled])
    np.testing.assert_array_equal(result.top_scores[0], result.confidence)
    assert 0 < labelled.mean() < 1 and result.top_ids.max() < len(CAMVID)


def test_more_classes_than_the_model_has_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"top_k is 12; model cmt-mchh-lite-camvid has 11 classes, .* from 1 to 11"):
        Pipeline(replace(CONFIG, top_k=12))


@pytest.mark.parametrize("method", ["regions", "mode"])
def test_smoothing_changes_class_ids_only(pipeline: Pipeline, frame: Frame, method: str) -> None:
    config = replace(CONFIG, smoothing=method, smoothing_area_fraction=0.01)
    found, plain = Pipeline(config).process([frame])[0], pipeline.process([frame])[0]
    np.testing.assert_array_equal(found.class_ids, smooth(plain.class_ids, config))
    assert (found.class_ids != plain.class_ids).any()
    np.testing.assert_array_equal(found.objectness, plain.objectness)
    np.testing.assert_array_equal(found.confidence, plain.confidence)


def test_understands_the_synthetic_street(pipeline: Pipeline, frame: Frame) -> None:
    assert frame.truth is not None
    result = pipeline.process([frame])[0]
    assert mean_iou(confusion_matrix(frame.truth.class_ids, result.class_ids, len(CAMVID))) > 0.5


@pytest.mark.parametrize(
    ("encoding", "convert"),
    [
        ("8UC3", lambda bgr: bgr),
        ("rgb8", lambda bgr: bgr[:, :, ::-1]),
        ("bgra8", lambda bgr: np.dstack([bgr, np.full(bgr.shape[:2], 7, np.uint8)])),
        ("rgba8", lambda bgr: np.dstack([bgr[:, :, ::-1], np.full(bgr.shape[:2], 7, np.uint8)])),
    ],
)
def test_every_encoding_gives_the_same_masks(pipeline: Pipeline, frame: Frame, encoding: str, convert: object) -> None:
    other = replace(frame, pixels=np.ascontiguousarray(convert(frame.pixels)), encoding=encoding)  # type: ignore[operator]
    expected, found = pipeline.process([frame])[0], pipeline.process([other])[0]
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)


def test_grey_image_is_seen_as_equal_red_green_blue(pipeline: Pipeline, frame: Frame) -> None:
    grey = frame.pixels[:, :, 1].copy()
    found = pipeline.process([replace(frame, pixels=grey, encoding="mono8")])[0]
    expected = pipeline.process([replace(frame, pixels=np.dstack([grey] * 3))])[0]
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)


def test_batch_of_mixed_cameras_equals_one_by_one(pipeline: Pipeline, frame: Frame) -> None:
    small = Frame("rear", 5, np.ascontiguousarray(frame.pixels[::2, ::2]), "rgb8")
    frames = [frame, small, replace(frame, camera="left", pixels=frame.pixels[:, ::-1].copy(), stamp_ns=9)]
    together = pipeline.process(frames)
    for found, single in zip(together, frames, strict=True):
        alone = pipeline.process([single])[0]
        assert (found.camera, found.stamp_ns) == (single.camera, single.stamp_ns)
        assert np.mean(found.class_ids == alone.class_ids) > 0.9999


def test_results_stay_when_the_next_frame_comes(pipeline: Pipeline, frame: Frame) -> None:
    first = pipeline.process([frame])[0]
    before = first.class_ids.copy()
    pipeline.process([replace(frame, pixels=np.zeros_like(frame.pixels))])
    np.testing.assert_array_equal(first.class_ids, before)


def test_padded_rows_are_read_right(pipeline: Pipeline, frame: Frame) -> None:
    wide = np.full((360, 500, 3), 99, np.uint8)
    wide[:, :480] = frame.pixels
    found = pipeline.process([replace(frame, pixels=wide[:, :480])])[0]
    np.testing.assert_array_equal(found.class_ids, pipeline.process([frame])[0].class_ids)


@pytest.mark.parametrize(("score", "objects"), [(0.0, 0.1), (0.9, 0.9), (1.0, 0.0)])
def test_each_threshold_cuts_its_own_mask(frame: Frame, by_hand: Raw, score: float, objects: float) -> None:
    result = Pipeline(replace(CONFIG, score_threshold=score, object_threshold=objects)).process([frame])[0]
    best = by_hand[0].max(axis=0)
    sure = np.abs(best - score) > 1e-4
    np.testing.assert_array_equal((result.class_ids == 255)[sure], (best < score)[sure])
    sure = np.abs(by_hand[1] - objects) > 1e-4
    np.testing.assert_array_equal((result.objectness == 255)[sure], (by_hand[1] > objects)[sure])
    assert np.abs(best * 255 - result.confidence).max() < 1.0, "confidence does not depend on the thresholds"


@pytest.mark.parametrize(
    ("pixels", "encoding", "reason"),
    [
        (np.zeros((100, 100, 3), np.uint8), "yuv444", "bad_encoding"),
        (np.zeros((8, 100, 3), np.uint8), "bgr8", "bad_size"),
        (np.zeros((7000, 7000), np.uint8), "mono8", "too_large"),
        (np.zeros((100, 100, 3), np.float32), "bgr8", "bad_encoding"),
        (np.zeros((100, 100), np.uint8), "bgr8", "bad_encoding"),
    ],
)
def test_wrong_frames_are_refused_with_a_reason(
    pipeline: Pipeline, pixels: np.ndarray, encoding: str, reason: str
) -> None:
    with pytest.raises(FrameError) as caught:
        pipeline.process([Frame("c", 0, pixels, encoding)])
    assert caught.value.reason == reason


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xe0\x00\x04ab", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_an_image_without_a_size_is_refused_before_it_is_decoded(pipeline: Pipeline, data: bytes) -> None:
    # When it is received: what is refused then leaves the order of stamps as it is.
    with pytest.raises(FrameError, match="size in its header") as error:
        pipeline.check(Frame("front", 1, np.frombuffer(data, np.uint8), "jpeg"))
    assert error.value.reason == "malformed"


def test_chain_falls_back_and_says_why() -> None:
    engine = Pipeline(replace(CONFIG, device="NOSUCH,CPU")).engine
    assert engine.device == "CPU" and "NOSUCH: not available" in engine.device_reason


def test_no_device_at_all_is_an_error() -> None:
    with pytest.raises(DeviceError, match=r"no device of 'NOSUCH' works .*available here: .*CPU"):
        Pipeline(replace(CONFIG, device="NOSUCH"))


def test_network_sees_the_image_in_its_own_shape() -> None:
    package = Pipeline(CONFIG).package
    assert network_size(package, 360, 480) == (360, 480)
    height, width = network_size(package, 720, 1280)
    assert abs(width / height - 1280 / 720) < 0.01 and abs(height * width / (360 * 480) - 1) < 0.01
