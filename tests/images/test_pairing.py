"""Files belong to frames by name or number, whatever their order; what is left over is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.images.pairing import check_paired, frame_names, pair


def paired(frames: list[str] | int, files: list[str]) -> dict[int, str]:
    return {place: path.name for place, path in pair(frames, [Path(name) for name in files]).items()}


@pytest.mark.parametrize(
    ("frames", "files", "expected"),
    [
        (["1", "2", "10"], ["1.png", "10.png", "2.png"], ["1.png", "2.png", "10.png"]),
        (["1", "2", "10"], ["001.png", "002.png", "010.png"], ["001.png", "002.png", "010.png"]),
        (["a", "b"], ["b_L.png", "a_L.png"], ["a_L.png", "b_L.png"]),
        (["0001TP_006690", "0001TP_006720"], ["0001TP_006720_L.png", "0001TP_006690_L.png"], [
            "0001TP_006690_L.png", "0001TP_006720_L.png"]),
        (["x_000000_000019_leftImg8bit", "x_000000_000020_leftImg8bit"],
         ["x_000000_000020_gtFine_labelIds.png", "x_000000_000019_gtFine_labelIds.png"],
         ["x_000000_000019_gtFine_labelIds.png", "x_000000_000020_gtFine_labelIds.png"]),
        (["image_8", "image_9", "image_10"], ["mask_0008.png", "mask_0009.png", "mask_0010.png"], [
            "mask_0008.png", "mask_0009.png", "mask_0010.png"]),
        (["1", "01"], ["01.png", "1.png"], ["1.png", "01.png"]),
        (["a.jpg", "a.png"], ["a.jpg.png", "a.png.png"], ["a.jpg.png", "a.png.png"]),
        (3, ["f_00.png", "f_01.png", "f_02.png"], ["f_00.png", "f_01.png", "f_02.png"]),
        (3, ["1.png", "2.png", "3.png"], ["1.png", "2.png", "3.png"]),
    ],
)  # fmt: skip
def test_names_and_numbers_are_found_whatever_the_order(
    frames: list[str] | int, files: list[str], expected: list[str]
) -> None:
    assert paired(frames, files) == dict(enumerate(expected))


def test_a_place_says_nothing() -> None:
    assert paired(["a", "b", "c"], ["a.png", "c.png"]) == {0: "a.png", 2: "c.png"}
    assert paired(["1", "2", "3"], ["2.png", "3.png", "4.png"]) == {1: "2.png", 2: "3.png"}
    assert paired(["cat", "dog"], ["sea.png", "sky.png"]) == {}
    assert paired(3, ["a.png", "b.png", "c.png"]) == {}
    assert paired(100, ["5.png", "10.png"]) == {5: "5.png", 10: "10.png"}
    assert paired(["10", "20", "30"], ["1.png", "2.png", "3.png"]) == {}


def test_what_is_left_over_is_counted_and_named() -> None:
    frames, files = [f"f{k}" for k in range(9)], [Path("masks", f"f{k}.png") for k in (1, 2, 20)]
    with pytest.raises(SourceError) as caught:
        check_paired(pair(frames, files), frames, files, "mask")
    assert str(caught.value) == (
        "7 of 9 frames have no mask: f0, f3, f4, f5, f6, ...; 1 of 3 files in masks have no frame: f20.png. "
        "Frame and mask must have the same name or number"
    )
    check_paired(pair(frames[1:3], files), frames[1:3], [], "mask")


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(SourceError, match=r"f\.png and f\.tif have the same name; take one of them out"):
        pair(["f"], [Path("labels/f.png"), Path("labels/f.tif")])


def test_frames_of_one_name_keep_their_suffix() -> None:
    assert frame_names([Path("a.jpg"), Path("a.png"), Path("b.png")]) == ["a.jpg", "a.png", "b"]
    assert frame_names([Path("a.jpg"), Path("a.png"), Path("a.jpg.png")]) == ["a.jpg", "a.png", "a.jpg.png"]
