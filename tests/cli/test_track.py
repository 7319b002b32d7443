"""cmt-seg track: files in, a results file out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support import videos

from cmt_seg_ros.cli.main import main
from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.labels import CAMVID, LabelClass, LabelSet, write_classes
from cmt_seg_ros.outputs import OutputFolder
from cmt_seg_ros.sources import VideoSource
from cmt_seg_ros.structures import Track
from cmt_seg_ros.tracking.tracker import Tracker

FRAMES, WIDTH, HEIGHT = 12, 160, 96
# Two objects that walk side by side, far apart: (left, top) in frame k is START + k * STEP.
START, STEP = ((10, 10), (20, 60)), ((4, 0), (3, 1))
SIZE = (16, 24)


def place(index: int, who: int) -> tuple[int, int]:
    return START[who][0] + index * STEP[who][0], START[who][1] + index * STEP[who][1]


def box_file(path: Path, frames: int = FRAMES) -> Path:
    rows = [
        f"{k + 1},-1,{place(k, who)[0]},{place(k, who)[1]},{SIZE[0]},{SIZE[1]},0.9,-1,-1,-1\n"
        for k in range(frames)
        for who in (0, 1)
    ]
    path.write_text("".join(rows), encoding="utf-8")
    return path


def images(path: Path, values: tuple[int, int], channels: int = 1) -> Path:
    """A folder of images; ``values``: of the two objects; the rest is 0."""
    path.mkdir()
    for k in range(FRAMES):
        image = np.zeros((HEIGHT, WIDTH, channels), np.uint8)
        for who, value in enumerate(values):
            left, top = place(k, who)
            image[top : top + SIZE[1], left : left + SIZE[0]] = value
        assert cv2.imwrite(str(path / f"{k:03d}.png"), image)
    return path


def rows_of(path: Path) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", ndmin=2)


def assert_followed(rows: np.ndarray) -> None:
    """Each object has one id from its confirmation to the end, and the boxes are right."""
    assert set(rows[:, 1]) == {1, 2}
    assert rows[:, 0].max() == FRAMES
    for track_id in (1, 2):
        mine = rows[rows[:, 1] == track_id]
        assert len(mine) >= FRAMES - TrackerConfig().min_hits
        who = int(np.argmin([abs(mine[0, 3] - place(int(mine[0, 0]) - 1, w)[1]) for w in (0, 1)]))
        expected = [(*place(int(frame) - 1, who), *SIZE) for frame in mine[:, 0]]
        np.testing.assert_allclose(mine[:, 2:6], expected, atol=1.0)
    assert rows.shape[1] == 10 and (rows[:, 7:] == -1).all()


def test_boxes_are_tracked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "result.txt"
    options = ["--detections", str(box_file(tmp_path / "det.txt")), "--size", f"{WIDTH}x{HEIGHT}", "--fps", "10"]
    assert main(["track", *options, "--out", str(out)]) == 0
    rows = rows_of(out)
    assert_followed(rows)
    said = capsys.readouterr().out
    assert f"{FRAMES} frames, 2 tracks, {len(rows)} rows in {out}" in said and "ms per frame" in said


def test_binary_masks_are_tracked_and_drawn_in_a_folder(tmp_path: Path) -> None:
    masks = images(tmp_path / "masks", (1, 1))
    out, overlay = tmp_path / "result.txt", tmp_path / "overlay"
    options = ["--masks", str(masks), "--mask-classes", "binary", "--fps", "10", "--overlay", str(overlay)]
    assert main(["track", *options, "--out", str(out)]) == 0
    assert_followed(rows_of(out))
    drawn = [cv2.imread(str(p)) for p in sorted(overlay.glob("*.jpg"))]
    assert len(drawn) == FRAMES and drawn[0].shape == (HEIGHT, WIDTH, 3)
    assert np.ptp(drawn[-1].astype(int), axis=2).max() > 50  # a colour: a track


def test_class_ids_images_and_a_video_of_the_tracks(tmp_path: Path) -> None:
    car, person = CAMVID.names.index("Car"), CAMVID.names.index("Pedestrian")
    masks, pictures = images(tmp_path / "masks", (car, person)), images(tmp_path / "images", (90, 200), channels=3)
    out, video = tmp_path / "result.txt", tmp_path / "tracks.mp4"
    options = ["--masks", str(masks), "--images", str(pictures), "--fps", "10", "--overlay", str(video)]
    assert main(["track", *options, "--legend", "camvid", "--out", str(out)]) == 0
    assert_followed(rows_of(out))
    drawn = VideoSource(video)
    assert (len(drawn), drawn.fps) == (FRAMES, 10) and next(iter(drawn)).size == (HEIGHT, WIDTH)


PHONE_MS = [*range(0, 198, 33), *range(600, 3600, 500)]


@pytest.mark.parametrize("fps", [[], ["--fps", "10"]], ids=["own times", "another rate"])
def test_masks_and_boxes_of_a_video_have_its_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fps: list[str]
) -> None:
    stamps: list[int] = []
    update = Tracker._update

    def noted(tracker: Tracker, segments: object, stamp_ns: int, *rest: Any) -> list[Track]:
        stamps.append(stamp_ns)
        return update(tracker, segments, stamp_ns, *rest)

    monkeypatch.setattr(Tracker, "_update", noted)
    (tmp_path / "masks").mkdir()
    for k in range(FRAMES):
        cv2.imwrite(str(tmp_path / "masks" / f"{k:03d}.png"), np.full(videos.SIZE, 255, np.uint8))
    video, options = videos.write_timed(tmp_path / "phone.mp4", PHONE_MS), ["--masks", str(tmp_path / "masks"), *fps]
    assert main(["track", *options, "--video", str(video), "--out", str(tmp_path / "result.txt")]) == 0
    assert [stamp / 1e6 for stamp in stamps] == pytest.approx([100 * k for k in range(FRAMES)] if fps else PHONE_MS)
    expected, stamps[:] = list(stamps), []
    options = [
        "--detections",
        str(box_file(tmp_path / "det.txt")),
        "--size",
        f"{videos.SIZE[1]}x{videos.SIZE[0]}",
        *fps,
    ]
    assert main(["track", *options, "--video", str(video), "--out", str(tmp_path / "boxes.txt")]) == 0
    assert stamps == expected


def test_frames_end_early_or_go_on_without_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    box_file(tmp_path / "det.txt")
    options = ["--detections", str(tmp_path / "det.txt"), "--size", f"{WIDTH}x{HEIGHT}", "--fps", "10"]
    for frames, last in ((6, 6), (FRAMES + 5, FRAMES)):
        out = tmp_path / f"{frames}.txt"
        assert main(["track", *options, "--frames", str(frames), "--out", str(out)]) == 0
        assert rows_of(out)[:, 0].max() == last
        assert f"{frames} frames" in capsys.readouterr().out


def test_bad_lines_are_named_and_skipped(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, out = box_file(tmp_path / "det.txt"), tmp_path / "result.txt"
    path.write_text(
        "5,-1,10,10,0,24,0.9\n" + path.read_text(encoding="utf-8") + "5,-1,x,10,2,24,0.9\n", encoding="utf-8"
    )
    options = ["--detections", str(path), "--size", f"{WIDTH}x{HEIGHT}", "--fps", "10", "--out", str(out)]
    assert main(["track", *options]) == 3
    assert_followed(rows_of(out))
    assert f"problems with {path}: 2" in capfd.readouterr().out


def test_no_object_in_the_whole_clip_is_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "det.txt").touch()
    options = ["--detections", str(tmp_path / "det.txt"), "--size", "160x96", "--fps", "10"]
    pictures = images(tmp_path / "images", (90, 200), channels=3)
    for more, frames in (([], 0), (["--frames", "7"], 7), (["--images", str(pictures)], FRAMES)):
        out = tmp_path / f"{frames}.txt"
        assert main(["track", *options, *more, "--out", str(out)]) == 0
        assert out.read_text(encoding="utf-8") == "" and f"{frames} frames, 0 tracks" in capsys.readouterr().out


def test_what_mask_values_mean_is_told_or_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks, out = images(tmp_path / "masks", (1, 1)), tmp_path / "result.txt"
    assert main(["track", "--masks", str(masks), "--fps", "10", "--out", str(out)]) == 1
    assert "nothing says what its values mean" in (said := capsys.readouterr().err) and "--mask-classes binary" in said
    write_classes(tmp_path, LabelSet((LabelClass(0, "ground", (0, 0, 0)), LabelClass(1, "duck", (9, 9, 9), True))))
    assert main(["track", "--masks", str(masks), "--fps", "10", "--out", str(out)]) == 0
    assert f"masks: ids of 2 classes of the data set {tmp_path.name}" in capsys.readouterr().out
    assert_followed(rows_of(out))


def test_parameters_of_the_tracker_are_set_and_nothing_found_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--detections", str(box_file(tmp_path / "det.txt")), "--size", f"{WIDTH}x{HEIGHT}", "--fps", "10"]
    out = tmp_path / "result.txt"
    for hits, tracks in ((FRAMES, 2), (FRAMES + 1, 0)):
        assert main(["track", *options, "--set", f"min_hits={hits}", "--out", str(out)]) == 0
        said = capsys.readouterr().out
        assert f"{tracks} tracks" in said and ("no object was tracked" in said) == (tracks == 0)
    assert out.read_text(encoding="utf-8") == ""


def test_an_old_name_of_a_parameter_is_taken_and_the_new_one_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--detections", str(box_file(tmp_path / "det.txt")), "--size", f"{WIDTH}x{HEIGHT}", "--fps", "10"]
    assert main(["track", *options, "--set", "max_odd=0.5", "--out", str(tmp_path / "result.txt")]) == 0
    assert capsys.readouterr().err.count("parameter max_odd is called max_aspect_deviation since version 0.2") == 1
    both = ["--set", "max_aspect_deviation=0.5", "--set", "max_odd=0.6"]
    assert main(["track", *options, *both, "--out", str(tmp_path / "result.txt")]) == 1
    assert "max_aspect_deviation is set by both its names" in capsys.readouterr().err
    assert main(["track", *options, "--set", "waist=2", "--out", str(tmp_path / "result.txt")]) == 1
    assert "tracker.max_constriction_ratio is 2.0; it must be a number from 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--detections", "DET"], "--size is missing"),
        (
            ["--detections", "DET", "--size", "9x9", "--labels", "MASKS"],
            "--labels and --mask-classes belong to --masks",
        ),
        (["--detections", "DET", "--size", "160x96", "--images", "MASKS", "--frames", "99"], "99 are needed"),
        (["--detections", "none", "--size", "160x96"], "none cannot be read"),
        (["--masks", "MASKS", "--size", "160x96"], "--size belongs to --detections"),
        (["--masks", "MASKS", "--fps", "0"], "--fps is 0; it must be over 0"),
        (["--masks", "MASKS", "--fps", "nan"], "--fps is nan; it must be over 0"),
        (["--masks", "MASKS", "--frames", "-1"], "--frames is -1"),
        (["--masks", "MASKS", "--legend", "nonsense"], "--mask-classes 'nonsense' is not known; give one of binary, a"),
        (["--masks", "MASKS", "--labels", "MASKS"], "nothing says what the class ids in"),
        (["--masks", "MASKS", "--labels", "MASKS", "--mask-classes", "binary"], "class ids, which are not binary"),
        (["--masks", "MASKS", "--set", "speed=1"], "there is no parameter 'speed'; there are min_area_fraction"),
        (["--masks", "MASKS", "--set", "max_lost_s=long"], "max_lost_s is 'long'; it must be of type float"),
        (["--masks", "MASKS", "--set", "max_lost_s=-1"], "tracker.max_lost_s is -1"),
        (["--masks", "MASKS", "--out", "DET/result.txt"], "cannot be written"),
        (["--detections", "DET", "--size", "64x48", "--out", "DET"], "is what --detections reads"),
        (["--masks", "MASKS", "--overlay", "MASKS"], "is what --masks reads"),
        (["--masks", "MASKS", "--overlay", "DET/tracks"], "cannot be written"),
    ],
)
def test_wrong_options_are_one_sentence(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {"DET": str(box_file(tmp_path / "det.txt")), "MASKS": str(images(tmp_path / "masks", (255, 255)))}
    for name, path in paths.items():
        options = [option.replace(name, path) for option in options]
    assert main(["track", "--fps", "10", "--out", str(tmp_path / "result.txt"), *options]) == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_without_a_video_the_rate_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = images(tmp_path / "masks", (255, 255))
    assert main(["track", "--masks", str(masks), "--out", str(tmp_path / "result.txt")]) == 1
    assert "--fps is missing; only a video has times of its own" in capsys.readouterr().err


def test_a_run_that_fails_leaves_what_was_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks, out = images(tmp_path / "masks", (255, 255)), tmp_path / "result.txt"
    (masks / f"{FRAMES - 1:03d}.png").write_bytes(b"no picture")
    video = tmp_path / "tracks.mp4"
    earlier = OutputFolder(tmp_path)
    for path in (out, video):
        path.write_text("of an earlier run\n")
        earlier.note(path.name)
    assert main(["track", "--masks", str(masks), "--fps", "10", "--out", str(out)]) == 1
    assert f"{FRAMES - 1:03d}.png" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "of an earlier run\n" and len(list(tmp_path.iterdir())) == 4
    options = ["--masks", str(masks), "--fps", "10", "--out", str(out), "--overlay", str(video)]
    assert main(["track", *options]) == 1
    assert video.read_bytes() == b"of an earlier run\n" and len(list(tmp_path.iterdir())) == 4


def test_what_somebody_else_put_there_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks, out, drawn = images(tmp_path / "masks", (255, 255)), tmp_path / "result.txt", tmp_path / "drawn"
    options = ["--masks", str(masks), "--fps", "10"]
    drawn.mkdir()
    for name in ("003.jpg", "unrelated.jpg"):
        (drawn / name).write_bytes(b"a photo")
    assert main(["track", *options, "--out", str(out), "--overlay", str(drawn)]) == 1
    assert "--overlay" in (error := capsys.readouterr().err) and "has 003.jpg, which cmt-seg did not write" in error
    assert sorted(path.name for path in drawn.iterdir()) == ["003.jpg", "unrelated.jpg"] and not out.exists()
    (drawn / "003.jpg").unlink()
    for _ in range(2):  # what it wrote itself is replaced
        assert main(["track", *options, "--out", str(out), "--overlay", str(drawn)]) == 0
    assert (drawn / "unrelated.jpg").read_bytes() == b"a photo"
    out.write_text("my own notes\n")
    assert main(["track", *options, "--out", str(out)]) == 1
    assert "result.txt, which cmt-seg did not write or which changed since" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "my own notes\n"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--masks", "m", "--detections", "d"],
        ["--detections", "d", "--size", "640"],
        ["--masks", "m", "--images", "i", "--video", "v"],
    ],
)
def test_wrong_usage_is_status_2(options: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["track", "--fps", "10", "--out", str(tmp_path / "result.txt"), *options])
    assert ended.value.code == 2


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["track", "--help"])
    assert "cmt-seg track --detections det.txt --fps 30 --size 1920x1080" in capsys.readouterr().out
