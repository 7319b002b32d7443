"""Masks from elsewhere against labels: what the values of both mean is told, by options or files, never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.clips import job

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import ConfigError, DatasetError, SourceError
from cmt_seg_ros.evaluation.scores.summary import Summary
from cmt_seg_ros.evaluation.sequence import evaluate
from cmt_seg_ros.labels import CAMVID, LabelClass, LabelSet, write_classes
from cmt_seg_ros.sources.masks import OBJECT

pytestmark = pytest.mark.usefixtures("no_plots")

SIZE = (32, 48)
SKY, BUILDING, ROAD, CAR = 0, 1, 3, 8
NAMES = LabelSet(tuple(LabelClass(i, f"k{i}", (9 * i, 0, 0), i > 15) for i in range(19)))


def halves(upper: int, lower: int) -> np.ndarray:
    image = np.full(SIZE, upper, np.uint8)
    image[SIZE[0] // 2 :] = lower
    return image


def data_set(root: Path, labels: np.ndarray, masks: np.ndarray) -> dict[str, Any]:
    """Two images with the same labels and masks; returns settings of a job."""
    for name, image in (("images", cv2.merge([labels] * 3)), ("labels", labels), ("masks", masks)):
        (root / name).mkdir(parents=True)
        for number in range(2):
            assert cv2.imwrite(str(root / name / f"{number}.png"), image)
    return {"source": SourceConfig(images=str(root / "images")), "masks": str(root / "masks"), "annotate": False}


def scored(root: Path, labels: np.ndarray, masks: np.ndarray, **changes: Any) -> Summary:
    return evaluate(job(root / "out", "unused", **data_set(root / "set", labels, masks), **changes))


@pytest.mark.parametrize(
    ("masks", "miou", "accuracy"),
    [
        (halves(SKY, ROAD), 1.0, 1.0),
        (halves(SKY, BUILDING), 0.5, 0.5),  # of the true classes sky is right, road is missed
        (halves(SKY, 255), 0.5, 0.5),
        (halves(255, 255), 0.0, 0.0),  # what is left unlabelled is missed
        (halves(len(CAMVID), ROAD), 0.5, 0.5),
    ],
)
def test_masks_of_named_classes(masks: np.ndarray, miou: float, accuracy: float, tmp_path: Path) -> None:
    found = scored(tmp_path, halves(SKY, ROAD), masks, mask_labels=CAMVID)
    assert found["masks"] is not None
    true = {name: found["masks"]["class_iou"][name] for name in ("Sky", "Road")}
    assert np.mean([*true.values()]) == miou and found["masks"]["pixel_accuracy"] == accuracy
    assert found["model"] == "given masks (ids of 11 classes)"


@pytest.mark.parametrize(
    ("masks", "accuracy"),
    [(halves(SKY, ROAD), 1.0), (halves(SKY, BUILDING), 0.5), (halves(255, 255), 0.0), (halves(SKY, 255), 0.5)],
)
def test_untold_the_values_are_ids_of_the_true_classes_whichever_occur(
    masks: np.ndarray, accuracy: float, tmp_path: Path
) -> None:
    found = scored(tmp_path, halves(SKY, ROAD), masks)
    assert found["masks"] is not None and found["masks"]["pixel_accuracy"] == accuracy
    assert found["model"] == "given masks (ids of 11 classes, the true ones)"


def test_the_legend_of_the_truth_is_enough_for_masks_of_the_same_classes(tmp_path: Path) -> None:
    found = scored(tmp_path, halves(3, 18), halves(3, 18), truth_labels=NAMES)
    assert found["masks"] is not None and found["masks"]["class_iou"]["k18"] == 1.0
    with pytest.raises(SourceError, match=r"has the value 18; the classes are 0 to 10 .*--mask-classes"):
        scored(tmp_path / "untold", halves(3, 8), halves(3, 18))


def test_binary_masks_beside_true_classes_are_scored_as_objects(tmp_path: Path) -> None:
    found = scored(tmp_path, halves(CAR, ROAD), halves(1, 0), mask_labels=OBJECT, truth_labels=CAMVID)
    assert found["masks"] is None and found["objectness"] is not None and found["objectness"]["iou"] == 1.0


def test_binary_masks_do_not_say_what_true_ids_mean(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing says what the true class ids mean: give --legend"):
        scored(tmp_path, halves(CAR, ROAD), halves(1, 0), mask_labels=OBJECT)


def test_the_class_list_of_the_data_set_is_that_of_its_labels_and_masks(tmp_path: Path) -> None:
    stripes = np.repeat(np.arange(16, dtype=np.uint8) + 3, 3)[None].repeat(32, axis=0)  # ids 3 to 18
    settings = data_set(tmp_path / "set", stripes, stripes)
    write_classes(tmp_path / "set", NAMES)
    found = evaluate(job(tmp_path / "out", "unused", **settings))
    assert found["masks"] is not None and found["masks"]["mean_iou"] == 1.0 and not found["problems"]["counts"]
    assert [c["name"] for c in found["classes"]] == [*NAMES.names]


def test_labels_of_another_data_set_are_not_scored_as_the_predicted_classes(tmp_path: Path) -> None:
    """Ids that happen to be below 11; by their names none of them is a class of CamVid."""
    settings = data_set(tmp_path / "set" / "val", halves(SKY, ROAD), halves(SKY, ROAD)) | {"mask_labels": CAMVID}
    write_classes(tmp_path / "set", NAMES)
    assert evaluate(job(tmp_path / "out", "unused", **settings))["masks"] is None
    as_told = evaluate(job(tmp_path / "told", "unused", **settings, truth_labels=CAMVID))
    assert as_told["masks"] is not None and as_told["masks"]["mean_iou"] == 1.0, "--legend counts more"
    (tmp_path / "set" / "classes.yaml").write_text("unions: [{id: 0, name: all, is: [Sky]}]", encoding="utf-8")
    with pytest.raises(DatasetError, match="has no list `classes`"):
        evaluate(job(tmp_path / "unions", "unused", **settings))


def test_the_street_keeps_its_own_classes(tmp_path: Path, tiny: str) -> None:
    found = evaluate(job(tmp_path, tiny, 2, truth_labels=NAMES, annotate=False))
    assert found["masks"] is not None and found["masks"]["true_pixels"]["Road"] > 0
