"""Labels that a network cannot learn from are refused before the first batch, with the likely cause."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cmt_seg_ros.errors import ConfigError, DatasetError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.training.label_check import LabelCounts, allowed, check_foreign

CLASSES = """classes:
- {id: 0, name: road, color: [128, 64, 128]}
- {id: 1, name: sky, color: [70, 130, 180]}
- {id: 2, name: car, color: [0, 0, 142], is_object: true}
"""


def counts(classes: int, shares: dict[int, int]) -> LabelCounts:
    """Counts of labels with so many pixels of each value."""
    found = LabelCounts.empty("set/train", [f"k{i}" for i in range(classes)])
    found.add(np.repeat(np.array([*shares], np.uint8), [*shares.values()])[None])
    return found


@pytest.mark.parametrize(
    ("classes", "shares", "words"),
    [
        (2, {0: 70, 255: 30}, "The values are 0 and 255, as drawing programs save masks"),
        (2, {1: 70, 2: 30}, "The values go up to 2, as if ids counted from 1"),
        (3, {0: 10, 1: 30, 2: 30, 3: 30}, "The values go up to 3, as if ids counted from 1"),
        (4, {0: 25, 85: 25, 170: 25, 255: 25}, "All values are multiples of 85"),
        (19, {7: 50, 26: 30, 255: 20}, "Cityscapes"),
        (3, {0: 50, 77: 50}, "See whether classes.yaml, with ids 0 to 2, is the list of these labels"),
        (11, {0: 50, 3: 40, 11: 10}, "See whether classes.yaml"),  # CamVid numbers unlabelled after its last class
    ],
)
def test_the_likely_cause(classes: int, shares: dict[int, int], words: str) -> None:
    assert counts(classes, shares).cause().startswith(words) or words in counts(classes, shares).cause()


def test_shares_are_described() -> None:
    said = counts(3, {0: 50, 1: 20, 3: 4, 77: 6, 255: 20}).described()
    assert said.startswith(
        "labels of set/train: k0 50.00 %, k1 20.00 %, k2 0.00 %; ignored 30.00 %, of these values that"
    )
    assert "that are no class: 3 (4.00 %), 77 (6.00 %). See whether classes.yaml" in said
    camvid = counts(11, {**dict.fromkeys(range(11), 9), 11: 1}).described()
    assert camvid.endswith("ignored 1.00 %, of these values that are no class: 11 (1.00 %)"), "nothing is wrong with it"
    assert "no class" not in counts(2, {0: 1, 1: 1, 255: 9}).described()


@pytest.mark.parametrize(("foreign", "refused"), [(20, False), (21, True)])
def test_a_fifth_of_foreign_ids_is_too_much(foreign: int, refused: bool) -> None:
    found = counts(2, {0: 50, 1: 50 - foreign, 77: foreign})
    if refused:
        with pytest.raises(DatasetError, match=r"21 % of the pixels of set/train .*\(77\).* --allow foreign-ids"):
            check_foreign(found, ())
    check_foreign(found, {"foreign-ids"} if refused else ())
    check_foreign(counts(2, {0: 1, 255: 99}), ())  # 255 is no foreign id, however much there is


def test_what_is_allowed() -> None:
    assert allowed("") == frozenset() and allowed("absent-class, foreign-ids") == {"absent-class", "foreign-ids"}
    with pytest.raises(ConfigError, match="--allow everything is not known; allowed: absent-class, foreign-ids"):
        allowed("everything")


def data_set(
    root: Path, values: tuple[int, ...], classes: str = CLASSES, parts: tuple[str, ...] = ("train", "val")
) -> Path:
    """Two images a part, whose labels have these values in stripes of one height."""
    labels = np.repeat(np.array(values, np.uint8), 8)[:, None].repeat(32, axis=1)
    for part in parts:
        for name, image in (("images", cv2.merge([labels] * 3)), ("labels", labels)):
            (root / part / name).mkdir(parents=True)
            for number in range(2):
                cv2.imwrite(str(root / part / name / f"{part}{number}.png"), image)
    (root / "classes.yaml").write_text(classes, encoding="utf-8")
    return root


class TestLoading:
    """The check at work; it needs torch as all of training does."""

    @pytest.fixture(autouse=True)
    def _torch(self) -> None:
        pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

    def load(self, root: Path, partial: Path | None = None, allow: str = "", hold_out: str = "") -> None:
        from cmt_seg_ros.training.curriculum import RECIPES
        from cmt_seg_ros.training.prepare import load_data

        load_data(root, partial, RECIPES["end-to-end"], hold_out, allowed(allow))

    def test_sound_labels_are_described_and_taken(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.load(data_set(tmp_path / "set", (0, 1, 2, 255)))
        said = capsys.readouterr().out
        for part in ("train", "val"):
            assert f"labels of set/{part}: road 25.00 %, sky 25.00 %, car 25.00 %; ignored 25.00 %\n" in said

    def test_an_absent_class_is_refused_unless_allowed(self, tmp_path: Path) -> None:
        root = data_set(tmp_path / "set", (0, 0, 2, 255))
        with pytest.raises(DatasetError, match=r"no pixel of set/train is sky: .*--allow absent-class"):
            self.load(root)
        with pytest.raises(DatasetError, match="no pixel of set/train is sky"):
            self.load(root, allow="foreign-ids")
        self.load(root, allow="absent-class")

    def test_objects_of_0_and_255_are_an_absent_class(self, tmp_path: Path) -> None:
        two = "\n".join([*CLASSES.splitlines()[:2], "- {id: 1, name: car, color: [0, 0, 0], is_object: true}"])
        with pytest.raises(DatasetError, match=r"is car: .*The values are 0 and 255, .*: save 1 instead of 255"):
            self.load(data_set(tmp_path / "set", (0, 0, 255, 0), two))

    @pytest.mark.parametrize("part", ["train", "val"])
    def test_foreign_ids_are_refused_unless_allowed(self, part: str, tmp_path: Path) -> None:
        other = "val" if part == "train" else "train"
        data_set(tmp_path / "set", (0, 1, 2, 26, 7), parts=(part,))
        root = data_set(tmp_path / "set", (0, 1, 2), parts=(other,))
        with pytest.raises(DatasetError, match=rf"40 % of the pixels of set/{part} .*\(7, 26\)"):
            self.load(root)
        self.load(root, allow="foreign-ids")

    def test_a_class_that_partly_labelled_images_show_is_not_absent(self, tmp_path: Path) -> None:
        root = data_set(tmp_path / "set", (0, 0, 2))
        unions = "unions:\n- {id: 0, name: all, is: [road, car]}\n- {id: 1, name: sky, is: [sky]}\n"
        self.load(root, data_set(tmp_path / "coarse", (0, 1), unions))
        with pytest.raises(DatasetError, match="no pixel of set/train is sky"):
            self.load(root, data_set(tmp_path / "none", (0, 0), unions))

    def test_what_is_held_out_does_not_count(self, tmp_path: Path) -> None:
        data_set(tmp_path / "set", (0, 1, 2), parts=("val",))
        root = data_set(tmp_path / "set", (0, 1, 1), parts=("train",))
        with pytest.raises(DatasetError, match="no pixel of set/train is car"):
            self.load(root, hold_out="val")
        self.load(root, hold_out="val1")


def test_camvid_has_a_name_for_each_class() -> None:
    assert LabelCounts.empty("camvid", CAMVID.names).absent == [*CAMVID.names]
