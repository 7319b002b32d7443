from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cmt_seg_ros.errors import DatasetError, SourceError
from cmt_seg_ros.labels import CAMVID, LabelClass, LabelSet, write_classes
from cmt_seg_ros.sources.masks import OBJECT, MaskFolder
from cmt_seg_ros.sources.pictures import Pictures

CAR, SKY = 8, 0
LEGEND = LabelSet((LabelClass(0, "ground", (0, 0, 0)), LabelClass(1, "person", (255, 0, 0), is_object=True)))


def mask(value: int, rest: int = 0) -> np.ndarray:
    image = np.full((8, 12), rest, np.uint8)
    image[2:5, 3:9] = value
    return image


def folder(path: Path, *images: np.ndarray, options: tuple[int, ...] = ()) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        assert cv2.imwrite(str(path / f"{index:03d}.png"), image, options)
    return path


@pytest.mark.parametrize("value", [1, 255])
def test_binary_masks_are_objects_of_one_class(value: int, tmp_path: Path) -> None:
    masks = MaskFolder(folder(tmp_path / "m", mask(value), mask(0)), fps=10.0, labels=OBJECT)
    frames = [frame.segmentation for frame in masks]
    assert (masks.binary, masks.labels, len(masks)) == (True, OBJECT, 2)
    assert [f.stamp_ns for f in frames] == [0, 100_000_000]
    assert [f.name for f in frames] == ["000", "001"]
    np.testing.assert_array_equal(frames[0].objectness, mask(255))
    np.testing.assert_array_equal(frames[0].class_ids, mask(0, rest=255))
    assert not np.any(frames[1].objectness)


def test_one_bit_masks_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", mask(255), mask(0), options=(cv2.IMWRITE_PNG_BILEVEL, 1))
    (path / "000.png").rename(path / "b.png")
    (path / "notes.txt").touch()
    assert [f.segmentation.name for f in MaskFolder(path, fps=1.0, labels=OBJECT)] == ["001", "b"]


def test_of_class_ids_what_is_of_an_object_class_is_an_object(tmp_path: Path) -> None:
    # 11 is unlabelled in the files of CamVid.
    path = folder(tmp_path / "m", mask(SKY), mask(CAR, rest=11), mask(3, rest=255))
    masks = MaskFolder(path, fps=10.0, labels=CAMVID)
    frames = [frame.segmentation for frame in masks]
    assert (masks.binary, masks.labels) == (False, CAMVID)
    assert not np.any(frames[0].objectness) and not np.any(frames[2].objectness)
    np.testing.assert_array_equal(frames[1].objectness, mask(255))
    np.testing.assert_array_equal(frames[1].class_ids, mask(CAR, rest=255))


def test_a_legend_says_that_masks_of_two_values_are_class_ids(tmp_path: Path) -> None:
    masks = MaskFolder(folder(tmp_path / "m", mask(1)), fps=10.0, labels=LEGEND)
    assert (masks.binary, masks.labels, masks.told) == (False, LEGEND, "ids of 2 classes")
    (frame,) = (frame.segmentation for frame in masks)
    np.testing.assert_array_equal(frame.class_ids, mask(1))
    np.testing.assert_array_equal(frame.objectness, mask(255))


@pytest.mark.parametrize("values", [(SKY, 1), (1, 0), (CAR, 3), (255, 1)])
def test_what_values_mean_is_never_guessed(values: tuple[int, int], tmp_path: Path) -> None:
    path = folder(tmp_path / "m", mask(255), mask(values[0], rest=values[1]))
    masks = MaskFolder(path, fps=10.0)
    assert (masks.is_told, masks.told) == (False, "binary, values 0 and 255")
    with pytest.raises(SourceError, match=r"001.png has the values .*only 0 and 255\. .*--mask-classes binary"):
        list(masks)


@pytest.mark.parametrize("where", ["", "val", "val/m"])
def test_the_classes_of_the_data_set_are_taken(where: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "val" / "m", mask(1))
    write_classes(tmp_path / where, LEGEND)
    masks = MaskFolder(path, fps=10.0)
    assert (masks.binary, masks.labels, masks.is_told) == (False, LEGEND, True)
    assert masks.told.startswith("ids of 2 classes of the data set ")
    assert MaskFolder(path, fps=10.0, labels=OBJECT).binary, "what is said counts more"
    (tmp_path / where / "classes.yaml").write_text("unions: []", encoding="utf-8")
    with pytest.raises(DatasetError, match="has no list `classes`"):
        MaskFolder(path, fps=10.0)


def test_a_data_set_is_known_by_its_name(tmp_path: Path) -> None:
    assert MaskFolder(folder(tmp_path / "camvid" / "val" / "labels", mask(CAR)), fps=10.0).labels == CAMVID


def test_class_ids_beside_binary_masks(tmp_path: Path) -> None:
    binary, ids = folder(tmp_path / "m", mask(255)), folder(tmp_path / "ids", mask(CAR, rest=3))
    with pytest.raises(SourceError, match=r"nothing says what the class ids in .*ids mean. .*--mask-classes"):
        MaskFolder(binary, fps=10.0, class_ids=ids)
    masks = MaskFolder(binary, fps=10.0, class_ids=ids, labels=CAMVID)
    (frame,) = (frame.segmentation for frame in masks)
    assert (masks.binary, masks.labels) == (True, CAMVID)
    np.testing.assert_array_equal(frame.class_ids, mask(CAR, rest=3))
    np.testing.assert_array_equal(frame.objectness, mask(255))


def test_a_folder_of_predict_has_both(tmp_path: Path) -> None:
    for name, image in (
        ("a", mask(CAR, rest=3)),
        ("a_objectness", mask(255)),
        ("b", mask(3)),
        ("b_objectness", mask(0)),
    ):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    cv2.imwrite(str(tmp_path / "a_overlay.jpg"), mask(0))
    both = list(MaskFolder(tmp_path, fps=10.0, class_ids=tmp_path, labels=CAMVID))
    assert len(both) == 2
    np.testing.assert_array_equal(both[0].segmentation.class_ids, mask(CAR, rest=3))
    assert MaskFolder(tmp_path, fps=10.0).binary and MaskFolder(tmp_path, fps=10.0, labels=OBJECT).binary
    ids = MaskFolder(tmp_path, fps=10.0, labels=CAMVID)
    assert [f.segmentation.name for f in ids] == ["a", "b"]


def test_images_belong_to_the_masks(tmp_path: Path) -> None:
    images = folder(tmp_path / "i", *(np.full((8, 12, 3), value, np.uint8) for value in (10, 20)))
    masks = MaskFolder(folder(tmp_path / "m", mask(255), mask(255)), fps=10.0, pictures=Pictures(images))
    for _ in range(2):
        assert [f.image[0, 0].tolist() for f in masks if f.image is not None] == [[10] * 3, [20] * 3]


def test_a_video_belongs_to_the_masks(tmp_path: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (32, 16))
    for value in (10, 200):
        video.write(np.full((16, 32, 3), value, np.uint8))
    video.release()
    masks = MaskFolder(
        folder(tmp_path / "m", *[np.zeros((16, 32), np.uint8)] * 2), 10.0, pictures=Pictures(tmp_path / "v.avi")
    )
    assert [round(f.image.mean(), -1) for f in masks if f.image is not None] == [10, 200]


def test_numbers_and_sizes_must_agree(tmp_path: Path) -> None:
    masks = folder(tmp_path / "m", mask(255), mask(255))
    one, small = folder(tmp_path / "one", mask(255)), folder(tmp_path / "small", mask(255), mask(255)[:7])
    with pytest.raises(SourceError, match=r"1 of 2 frames have no class ids: 001\."):
        MaskFolder(masks, 10.0, class_ids=one, labels=CAMVID)
    with pytest.raises(SourceError, match=r"1 of 2 frames have no image: 001\."):
        MaskFolder(masks, 10.0, pictures=Pictures(one))
    with pytest.raises(SourceError, match=r"1 of 2 files in .*m have no frame: 001\.png"):
        MaskFolder(one, 10.0, pictures=Pictures(masks))
    for source in (
        MaskFolder(small, 10.0),
        MaskFolder(masks, 10.0, class_ids=small, labels=CAMVID),
        MaskFolder(masks, 10.0, pictures=Pictures(small)),
    ):
        with pytest.raises(SourceError, match=r"small/001.png is 12x7, the frames are 12x8"):
            list(source)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (
            np.zeros((8, 12, 3), np.uint8),
            "001.png cannot be used: it has 3 channels: colours or transparency, which are no ids",
        ),
        (np.full((8, 12), 256, np.uint16), "001.png cannot be used: it has the value 256; class ids are 0 to 255"),
        (None, "001.png cannot be used: it cannot be decoded"),
        (mask(12), "001.png has the value 12; the classes are 0 to 10"),
    ],
)
def test_what_is_no_mask_is_named(image: np.ndarray | None, words: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "m", mask(CAR), mask(0) if image is None else image)
    if image is None:
        (path / "001.png").write_bytes((path / "001.png").read_bytes()[:20])
    with pytest.raises(SourceError, match=words):
        list(MaskFolder(path, fps=10.0, labels=CAMVID))


def test_a_mask_among_binary_ones_must_be_binary(tmp_path: Path) -> None:
    masks, ids = folder(tmp_path / "m", mask(1), mask(7)), folder(tmp_path / "ids", mask(CAR), mask(CAR))
    with pytest.raises(SourceError, match=r"001.png has the values 0, 7; a binary mask has only"):
        list(MaskFolder(masks, 10.0, class_ids=ids, labels=CAMVID))


def test_class_ids_and_pictures_are_found_by_name_not_by_place(tmp_path: Path) -> None:
    for name, number in (("1", 1), ("2", 2), ("10", 10)):
        folder(tmp_path / "m", mask(255))
        (tmp_path / "m" / "000.png").rename(tmp_path / "m" / f"{name}.png")
        for kind, image in (("ids", mask(number, rest=3)), ("i", np.full((8, 12, 3), number, np.uint8))):
            folder(tmp_path / kind, image)
            (tmp_path / kind / "000.png").rename(tmp_path / kind / f"{kind}_{number:06d}.png")
    masks = MaskFolder(
        tmp_path / "m", 10.0, class_ids=tmp_path / "ids", pictures=Pictures(tmp_path / "i"), labels=CAMVID
    )
    frames = list(masks)
    assert [f.segmentation.name for f in frames] == ["1", "2", "10"]
    assert [int(f.segmentation.class_ids[2, 3]) for f in frames] == [1, 2, 10]
    assert [int(f.image[0, 0, 0]) for f in frames if f.image is not None] == [1, 2, 10]


def test_results_of_two_images_of_one_name_go_with_their_images(tmp_path: Path) -> None:
    for name, value in (("a.jpg", 10), ("a.png", 200)):
        (tmp_path / "i").mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / "i" / name), np.full((8, 12, 3), value, np.uint8))
        for ending in ("", "_objectness"):
            folder(tmp_path / "m", mask(0))
            (tmp_path / "m" / "000.png").rename(tmp_path / "m" / f"{name}{ending}.png")
    masks = MaskFolder(tmp_path / "m", 10.0, class_ids=tmp_path / "m", pictures=Pictures(tmp_path / "i"), labels=CAMVID)
    assert [round(f.image.mean()) for f in masks if f.image is not None] == [10, 200]


def test_hidden_files_are_no_masks_and_two_masks_of_one_name_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", mask(255))
    (path / "._000.png").write_bytes(b"Mac OS X")
    assert len(MaskFolder(path, 10.0)) == 1
    assert cv2.imwrite(str(path / "000.tif"), mask(1))
    with pytest.raises(SourceError, match=r"000\.png and 000\.tif have the same name"):
        MaskFolder(path, 10.0)


def test_what_is_no_folder_of_masks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="not a folder"):
        MaskFolder(tmp_path / "none", 10.0)
    with pytest.raises(SourceError, match=r"has no files ending in \.png"):
        MaskFolder(tmp_path / "empty", 10.0)
    with pytest.raises(SourceError, match="fps is 0"):
        MaskFolder(folder(tmp_path / "m", mask(1)), 0.0)
