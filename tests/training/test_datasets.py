"""Folders become samples; labels of several data sets get one numbering."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.label_files import png

from cmt_seg_ros.errors import ConfigError, DatasetError
from cmt_seg_ros.labels import CAMVID, read_classes
from cmt_seg_ros.training.datasets import DataSet, LabelSpace, Sample, read_folder, read_unions

MINE = """classes:
- {id: 0, name: Road, color: [1, 2, 3]}
- {id: 1, name: Car, color: [4, 5, 6], is_object: true}
"""


def test_folder_is_read_and_foreign_ids_are_ignored(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((20, 30, 3), 9, np.uint8))
    cv2.imwrite(str(tmp_path / "labels" / "a.png"), np.full((20, 30), 11, np.uint8))
    assert (read_folder(tmp_path, 11)[0].labels == 255).all()
    assert (read_folder(tmp_path, 12)[0].labels == 11).all()
    cv2.imwrite(str(tmp_path / "labels" / "a.png"), np.zeros((20, 31), np.uint8))
    with pytest.raises(DatasetError, match="sizes must be equal"):
        read_folder(tmp_path, 11)
    cv2.imwrite(str(tmp_path / "labels" / "a.png"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"a\.png.* has 3 channels: colours or transparency, which are no ids"):
        read_folder(tmp_path, 11)
    (tmp_path / "labels" / "a.png").write_bytes(png(np.full((20, 30), 3, np.uint8), 4, palette=True))
    assert (read_folder(tmp_path, 11)[0].labels == 3).all()
    (tmp_path / "labels" / "a.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 1 frames have no label file: a\."):
        read_folder(tmp_path, 11)
    with pytest.raises(DatasetError, match="no images in"):
        read_folder(tmp_path / "nothing", 11)


def test_objectness_may_have_labels_of_its_own(tmp_path: Path) -> None:
    for name in ("images", "labels", "objectness"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), np.ones((8, 9, 3) if name == "images" else (8, 9), np.uint8))
    sample = read_folder(tmp_path, 11)[0]
    assert sample.objects is not None and (sample.objects == 1).all()
    path = tmp_path / "objectness" / "a.png"
    cv2.imwrite(str(path), np.full((8, 9), 128, np.uint8))
    with pytest.raises(DatasetError, match=r"a\.png has the values 128; objectness labels are 0 .* 1 .* 255"):
        read_folder(tmp_path, 11)
    cv2.imwrite(str(path), np.ones((8, 8), np.uint8))
    with pytest.raises(DatasetError, match="sizes must be equal"):
        read_folder(tmp_path, 11)
    path.unlink()
    with pytest.raises(DatasetError, match="1 of 1 frames have no objectness file"):
        read_folder(tmp_path, 11)


def test_images_and_labels_are_paired_and_what_is_left_over_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for k in (1, 2, 10):
        cv2.imwrite(str(tmp_path / "images" / f"{k}.jpg"), np.full((8, 8, 3), k, np.uint8))
        cv2.imwrite(str(tmp_path / "labels" / f"{k:03d}_L.png"), np.full((8, 8), k, np.uint8))
    cv2.imwrite(str(tmp_path / "labels" / "011_L.png"), np.zeros((8, 8), np.uint8))
    (tmp_path / "images" / "._1.jpg").write_bytes(b"Mac OS X")
    samples = read_folder(tmp_path, 11)
    assert [(s.name, int(s.labels[0, 0])) for s in samples] == [("1", 1), ("2", 2), ("10", 10)]
    assert "1 of 4 label files" in caplog.text and "011_L.png" in caplog.text
    cv2.imwrite(str(tmp_path / "images" / "1.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"1\.jpg and 1\.png have the same name"):
        read_folder(tmp_path, 11)


def test_classes_come_from_the_folder_or_its_name(tmp_path: Path) -> None:
    assert read_classes(tmp_path / "camvid") == CAMVID
    with pytest.raises(
        DatasetError, match=r"known without one, by the folder's name: ade20k, camvid, cityscapes, .*idd_lite"
    ):
        read_classes(tmp_path)
    (tmp_path / "classes.yaml").write_text(MINE)
    assert read_classes(tmp_path).names == ("Road", "Car") and read_classes(tmp_path).object_ids == (1,)
    with pytest.raises(DatasetError, match="no list `classes`"):
        read_classes(tmp_path / "idd_lite")  # that file has unions, which cannot be a network's classes
    for wrong in ("[Road, Car]", "classes: [Road, Car]", "classes: []", ""):
        (tmp_path / "classes.yaml").write_text(wrong)
        with pytest.raises(DatasetError, match="no list `classes` of entries"):
            read_classes(tmp_path)
    (tmp_path / "classes.yaml").write_text("classes: [{id: 0, name: Road, color: red}]")
    with pytest.raises(ConfigError, match="color three whole numbers"):
        read_classes(tmp_path)
    (tmp_path / "classes.yaml").write_text("{")
    with pytest.raises(DatasetError, match="is not YAML"):
        read_classes(tmp_path)


def test_unions_are_found_by_the_names_of_classes(tmp_path: Path) -> None:
    unions = read_unions(tmp_path / "idd_lite", CAMVID)
    names = [tuple(CAMVID.names[i] for i in u) for u in unions]
    assert names[2:4] == [("Pedestrian", "Bicyclist"), ("Car", "Bicyclist")]
    assert read_unions(tmp_path / "camvid", CAMVID) == tuple((i,) for i in range(11))
    (tmp_path / "classes.yaml").write_text("unions: [{id: 0, name: boats, is: [Ship]}]")
    with pytest.raises(DatasetError, match=r"\['Ship'\] is not among the network's classes"):
        read_unions(tmp_path, CAMVID)
    (tmp_path / "classes.yaml").write_text("unions: [{id: 0, name: boats, is: 3}]")
    with pytest.raises(DatasetError, match="3 is not among"):
        read_unions(tmp_path, CAMVID)
    (tmp_path / "classes.yaml").write_text("unions: [{id: 1, name: Car}]")
    with pytest.raises(DatasetError, match=r"ids are \[1\]"):
        read_unions(tmp_path, CAMVID)


def test_labels_of_several_data_sets_are_numbered_as_one() -> None:
    labels = np.array([[0, 1, 2, 255]], np.uint8)
    sample = Sample("a", np.zeros((1, 4, 3), np.uint8), labels)
    full = DataSet("full", [sample], ((0,), (1,), (2,)))
    coarse = DataSet("coarse", [sample], ((2,), (0, 1), (0, 2)))
    space = LabelSpace(3, [full, coarse])
    assert space.sets == [(0,), (1,), (2,), (0, 1), (0, 2)]
    np.testing.assert_array_equal(space.renumbered(full)[0].labels, labels)
    np.testing.assert_array_equal(space.renumbered(coarse)[0].labels, [[2, 3, 4, 255]])
