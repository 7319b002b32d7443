"""MOTChallenge truth with classes: what TrackEval makes of it, by hand, and what --truth-classes makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.clips import job

from cmt_seg_ros.config import SourceConfig, TrackerConfig
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.compare.runs import load_run
from cmt_seg_ros.evaluation.scores.summary import Summary
from cmt_seg_ros.evaluation.sequence import evaluate
from cmt_seg_ros.labels import CAMVID

pytestmark = pytest.mark.usefixtures("no_plots")

FRAMES, SIZE = 10, (96, 200)
CAR, PERSON = CAMVID.names.index("Car"), CAMVID.names.index("Pedestrian")
WALKER, OTHER = (10, 10), (150, 60)  # left, top in the first frame; they walk towards each other, 4 pixels a frame


def box(frame: int, start: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top = start
    return left + (4 if start == WALKER else -4) * frame, top, 16, 28


def clip(root: Path, truth: str, values: tuple[int, int] = (255, 255), folder: str = "seq") -> dict[str, Any]:
    """A clip in which both objects are tracked; ``truth``: a row's end of each true object by its start."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for frame in range(FRAMES):
        mask = np.full(SIZE, 0 if max(values) == 255 else 3, np.uint8)
        for value, start in zip(values, (WALKER, OTHER), strict=True):
            left, top, width, height = box(frame, start)
            mask[top : top + height, left : left + width] = value
        cv2.imwrite(str(root / "masks" / f"{frame:02d}.png"), mask)
        cv2.imwrite(str(root / "images" / f"{frame:02d}.png"), cv2.merge([mask] * 3))
    (root / folder).mkdir()
    (root / folder / "gt.txt").write_text(truth, encoding="utf-8")
    source = SourceConfig(images=str(root / "images"), ground_truth=str(root / folder / "gt.txt"))
    return {"source": source, "masks": str(root / "masks"), "tracker": TrackerConfig(min_hits=1), "annotate": False}


def rows(number: int, start: tuple[int, int], end: str, shift: int = 0) -> str:
    boxes = ((frame, *box(frame, start)) for frame in range(FRAMES))
    return "".join(
        f"{k + 1},{number},{left + shift},{top},{width},{height},{end}\n" for k, left, top, width, height in boxes
    )


def tracks(root: Path, *args: Any, settings: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    found: Summary = evaluate(job(root / "out", "unused", **clip(root / "clip", *args, **kwargs), **(settings or {})))
    return found["tracks"]


PEDESTRIAN = rows(1, WALKER, "1,1,1.0")


@pytest.mark.parametrize(
    ("end", "folder", "mota"),
    [
        ("0,12,1.0", "MOT17-02", 1.0),  # a reflection: the track on it does not count
        ("1,7,1.0", "MOT17-02", 1.0),  # a person who stands
        ("0,2,1.0", "seq", 1.0),  # on a vehicle
        ("0,8,1.0", "seq", 1.0),
        ("0,6,1.0", "MOT20-01", 1.0),  # a vehicle without motor is a distractor of MOT20 alone
        ("0,6,1.0", "MOT17-02", 0.0),  # one true, one wrong
        ("1,3,1.0", "seq", 0.0),  # a car: no distractor, and no pedestrian
        ("0,1,1.0", "seq", 0.0),  # a pedestrian who does not count
        ("1,1,1.0", "seq", 1.0),
        ("0,-1,-1,-1", "seq", 0.0),  # MOT15 has no classes (and of the first object a tenth column would be missing)
    ],
)
def test_a_track_on_something_else(end: str, folder: str, mota: float, tmp_path: Path) -> None:
    walker = PEDESTRIAN if end.count(",") == 2 else rows(1, WALKER, "1,-1,-1,-1")
    found = tracks(tmp_path, walker + rows(2, OTHER, end), folder=folder)
    assert found["mota"] == mota and found["true_objects"] == (2 if end.startswith("1,1,") else 1)
    # One of two tracks is wrong in each frame: DetA is 1 of 2, of everything else there is nothing wrong.
    assert found["hota"] == pytest.approx(1.0 if mota == 1 else np.sqrt(0.5))


def test_what_nobody_tracks_and_does_not_count_is_no_miss(tmp_path: Path) -> None:
    standing = "".join(f"{k + 1},3,60,70,30,10,1,3,1.0\n" for k in range(FRAMES))
    found = tracks(tmp_path, PEDESTRIAN + standing + rows(2, OTHER, "1,1,1.0"))
    assert found["hota"] == pytest.approx(1.0) and found["true_objects"] == 2


def test_the_one_true_box_that_fits_better_has_the_track(tmp_path: Path) -> None:
    """Two true boxes on one track: the pedestrian's fits exactly, so the reflection takes nothing away; and reverse."""
    others = rows(2, OTHER, "1,1,1.0")
    reflection = rows(5, WALKER, "0,12,1.0", shift=2)
    assert tracks(tmp_path / "a", reflection + PEDESTRIAN + others)["mota"] == 1.0
    # The track is on the reflection: out, and the pedestrian is missed in each frame.
    beside = rows(1, WALKER, "1,1,1.0", shift=2)
    assert tracks(tmp_path / "b", rows(5, WALKER, "0,12,1.0") + beside + others)["mota"] == 0.5


def test_compare_counts_as_the_summary_does(tmp_path: Path) -> None:
    tracks(tmp_path, PEDESTRIAN + rows(2, OTHER, "0,12,1.0"))
    clear = load_run(tmp_path / "out").statistics["clear"].sum(axis=0)
    assert clear.tolist() == [FRAMES, 0, 0, 0]


def test_named_classes_leave_tracks_of_others_alone(tmp_path: Path) -> None:
    """The truth has people only; cars are tracked, too."""
    walker = rows(1, WALKER, "1,-1,-1,-1")
    values = PERSON, CAR
    asked = {"mask_labels": CAMVID}
    assert tracks(tmp_path / "all", walker, values, settings=asked)["mota"] == 0.0
    people = tracks(tmp_path / "people", walker, values, settings={**asked, "truth_classes": ("pedestrian",)})
    assert people["mota"] == 1.0 and people["tracks"] == people["true_objects"] == 1
    cars = PEDESTRIAN + rows(2, OTHER, "1,3,1.0")
    found = tracks(tmp_path / "cars", cars, values, settings={**asked, "truth_classes": ("car",)})
    assert found["mota"] == 1.0 and found["tracks"] == found["true_objects"] == 1


def test_named_classes_of_true_masks(tmp_path: Path) -> None:
    settings = clip(tmp_path / "clip", PEDESTRIAN, (PERSON, CAR))
    for frame in range(FRAMES):
        ids = cv2.imread(f"{settings['masks']}/{frame:02d}.png", cv2.IMREAD_UNCHANGED)
        for name, image in (("labels", ids), ("instances", np.where(ids == PERSON, 5, np.where(ids == CAR, 6, 0)))):
            (tmp_path / "clip" / name).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / "clip" / name / f"{frame:02d}.png"), image.astype(np.uint8))
    source = SourceConfig(images=settings["source"].images)
    for names, count in (((), 2), (("car",), 1)):
        changes = {"source": source, "mask_labels": CAMVID, "truth_classes": names}
        found = evaluate(job(tmp_path / f"out{count}", "unused", **settings | changes))["tracks"]
        assert found is not None and found["truth"] == "masks" and found["mota"] == 1.0
        assert found["true_objects"] == found["tracks"] == count


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("pedestrain", "car"), "--truth-classes pedestrain: no class has this name; there are"),
        (("reflection",), "no track has such a class; tracks are of Car, Pedestrian, Bicyclist"),
    ],
)
def test_names_that_leave_nothing_are_refused(names: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        tracks(tmp_path, PEDESTRIAN, (PERSON, CAR), settings={"mask_labels": CAMVID, "truth_classes": names})


def test_binary_masks_have_no_class_so_all_tracks_count(tmp_path: Path) -> None:
    found = tracks(tmp_path, PEDESTRIAN + rows(2, OTHER, "1,3,1.0"), settings={"truth_classes": ("car",)})
    assert found["mota"] == 0.0 and found["tracks"] == 2


@pytest.mark.parametrize(
    ("truth", "kind", "words"),
    [
        ("".join(f"{k},1,0,0,9,9,1\n" for k in (100, 101)), "no_truth_matched", "frame 1 is the clip's first"),
        (
            rows(1, WALKER, "1") + "11,1,0,0,5,5,1\n",
            "truth_beyond_clip",
            "1 true boxes, such as frame 11, have no frame",
        ),
        ("", "no_true_object", "shows no object in the whole clip"),
        (PEDESTRIAN.replace(",1,1,1.0", ",0,1,1.0"), "no_true_object", "10 with the flag 0"),
    ],
)
def test_truth_of_another_clip_is_said(truth: str, kind: str, words: str, tmp_path: Path) -> None:
    found = evaluate(job(tmp_path / "out", "unused", **clip(tmp_path / "clip", truth)))
    assert found["problems"]["counts"] == {kind: 1} and words in found["problems"]["lines"][0]


@pytest.mark.parametrize("kind", ["class ids", "instances"])
def test_label_images_of_another_clip_are_said_though_boxes_match(kind: str, tmp_path: Path) -> None:
    settings = clip(tmp_path / "clip", PEDESTRIAN + rows(2, OTHER, "1,1,1.0"))
    (folder := tmp_path / "other").mkdir()
    cv2.imwrite(str(folder / "000077.png"), np.zeros(SIZE, np.uint8))
    source = settings["source"]
    changes: dict[str, Any] = {
        "source": SourceConfig(images=source.images, ground_truth=source.ground_truth, instances=str(folder))
    }
    if kind == "class ids":
        changes = {"source": SourceConfig(images=source.images, ground_truth=str(folder)), "mask_labels": CAMVID}
        for path in (tmp_path / "clip" / "masks").iterdir():
            cv2.imwrite(str(path), np.full(SIZE, 3, np.uint8))
    found = evaluate(job(tmp_path / "out", "unused", **settings | changes))
    assert found["problems"]["counts"] == {"no_truth_matched": 1}
    assert f"1 true {kind}, such as 000077.png, have no frame, and no frame has any" in found["problems"]["lines"][0]
