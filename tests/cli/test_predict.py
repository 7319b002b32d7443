"""Options of cmt-seg predict that change what is written."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmt_seg_ros.cli import predict as command
from cmt_seg_ros.cli.main import main
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.images.files import list_files
from cmt_seg_ros.labels import read_classes
from cmt_seg_ros.outputs import LIST, OutputFolder
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.sources.masks import MaskFolder
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import Frame


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    cv2.imwrite(str(folder / "a.png"), StreetScene(480, 360, frames=30).frame(20).pixels)
    return folder


def predict(photos: Path, out: Path, *options: str) -> np.ndarray:
    """Run the command; (H, W) class ids that it wrote."""
    assert main(["predict", "--images", str(photos), "--out", str(out), "--device", "CPU", *options]) == 0
    return cv2.imread(str(out / "a.png"), cv2.IMREAD_UNCHANGED)


def test_top_k_are_written_beside_the_mask(photos: Path, tmp_path: Path) -> None:
    ids = predict(photos, tmp_path, "--top-k", "3")
    top = np.load(tmp_path / "a_top.npz")
    assert top["class_ids"].shape == top["probabilities"].shape == (3, 360, 480)
    assert top["class_ids"].dtype == top["probabilities"].dtype == np.uint8
    np.testing.assert_array_equal(top["class_ids"][0], ids)


def test_the_classes_are_written_beside_the_masks(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        predict(photos, tmp_path)
    assert read_classes(tmp_path) == MaskFolder(tmp_path, 10.0).labels == Pipeline(SegmentationConfig()).labels
    other = "classes: [{id: 0, name: mine, color: [0, 0, 0]}]"
    (tmp_path / "classes.yaml").write_text(other, encoding="utf-8")
    assert main(["predict", "--images", str(photos), "--out", str(tmp_path), "--device", "CPU"]) == 1
    assert "lists other classes than these masks have; give another folder" in capsys.readouterr().err
    assert (tmp_path / "classes.yaml").read_text(encoding="utf-8") == other


def test_thresholds_and_smoothing_are_those_of_the_pipeline(photos: Path, tmp_path: Path) -> None:
    settings = {
        "score_threshold": 0.6,
        "object_threshold": 0.9,
        "smoothing": "regions",
        "smoothing_area_fraction": 0.001,
    }
    options = [text for name, value in settings.items() for text in ("--" + name.replace("_", "-"), str(value))]
    ids = predict(photos, tmp_path, *options)
    pipeline = Pipeline(SegmentationConfig(device="CPU", **settings))  # type: ignore[arg-type]
    expected = pipeline.process([Frame("c", 0, cv2.imread(str(photos / "a.png")))])[0]
    np.testing.assert_array_equal(ids, expected.class_ids)
    objectness = cv2.imread(str(tmp_path / "a_objectness.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(objectness, expected.objectness)
    assert not (tmp_path / "a_top.npz").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top-k", "12"], "segmentation.top_k is 12; model cmt-mchh-lite-camvid has 11 classes"),
        (["--top-k", "0"], "segmentation.top_k is 0"),
        (["--smoothing", "blur"], "smoothing is 'blur'; allowed: 'none', 'regions', 'mode'"),
    ],
)
def test_wrong_settings_are_one_sentence(
    options: list[str], message: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--images", str(photos), "--out", str(tmp_path), *options]) == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def tiny(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((32, 48, 3), value, np.uint8))


def test_lost_images_are_counted_and_are_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png", "c.png"):
        tiny(tmp_path / "in" / name, 90)
    (tmp_path / "in" / "b.png").write_bytes((tmp_path / "in" / "b.png").read_bytes()[:20])
    assert main(["predict", "--images", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--device", "CPU"]) == 3
    out = capsys.readouterr().out
    assert "2 of 3 frames: masks" in out and "problem: " in out and "b.png cannot be decoded" in out


def test_images_that_cannot_be_inferred_are_counted_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for name, side in (("small", 8), ("good", 64)):
        assert cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), np.full((side, side, 3), 90, np.uint8))
    options = ["--images", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--device", "CPU"]
    assert main(["predict", *options, "--batch", "2"]) == 3
    said = capsys.readouterr().out
    assert "1 of 2 frames: masks" in said and "frame small is lost: image is 8x8; both sides must be 16" in said
    assert (tmp_path / "out" / "good.png").is_file() and not (tmp_path / "out" / "small.png").exists()
    (tmp_path / "in" / "good.png").unlink()
    assert main(["predict", *options]) == 1
    assert "none of 1 frames can be segmented; the first: frame small is lost" in capsys.readouterr().err


def test_two_images_of_one_name_give_two_results_and_hidden_files_none(tmp_path: Path) -> None:
    for name, value in (("a.jpg", 10), ("a.png", 200), ("9.png", 90), ("10.png", 90)):
        tiny(tmp_path / "in" / name, value)
    (tmp_path / "in" / "._9.png").write_bytes(b"Mac OS X")
    assert main(["predict", "--images", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--device", "CPU"]) == 0
    masks = [path.name for path in list_files(tmp_path / "out") if "_" not in path.name]
    assert masks == ["9.png", "10.png", "a.jpg.png", "a.png.png"]
    dark, bright = (cv2.imread(str(tmp_path / "out" / f"a.{kind}_overlay.jpg")).mean() for kind in ("jpg", "png"))
    assert dark < bright


def test_results_replace_nothing_but_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    tiny(photos / "a.jpg", 90)
    tiny(photos / "b.png", 90)
    options = ["predict", "--images", str(photos), "--device", "CPU", "--out"]
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    assert main([*options, str(photos)]) == 1
    assert "is what --images reads; give another folder" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before
    tiny(out / "b.png", 7)
    mine = (out / "b.png").read_bytes()
    assert main([*options, str(out)]) == 1
    assert "out has b.png, which cmt-seg did not write" in capsys.readouterr().err
    assert [path.read_bytes() for path in out.iterdir()] == [mine]
    (out / "b.png").rename(out / "mine.png")
    for _ in range(2):
        assert main([*options, str(out)]) == 0
    assert (out / "mine.png").read_bytes() == mine
    tiny(out / "b.png", 8)  # a result that somebody has worked on is his
    assert main([*options, str(out)]) == 1


def test_images_whose_results_would_have_one_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny(tmp_path / "in" / "a.png", 90)
    tiny(tmp_path / "in" / "a_objectness.png", 90)
    assert main(["predict", "--images", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    assert "a_objectness.png would be written for two of the images; rename one" in capsys.readouterr().err


def test_told_to_stop_it_ends_cleanly_and_says_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for k in range(5):
        cv2.imwrite(str(tmp_path / "in" / f"{k}.png"), np.full((64, 96, 3), 90, np.uint8))
    written, write = list[str](), command.write_image

    def terminated(folder: OutputFolder, name: str, image: np.ndarray) -> None:
        write(folder, name, image)
        written.append(name)
        if name == "2.png":
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(command, "write_image", terminated)
    before = signal.getsignal(signal.SIGTERM)
    out = tmp_path / "out"
    assert main(["predict", "--images", str(tmp_path / "in"), "--out", str(out), "--device", "CPU"]) == 130
    assert signal.getsignal(signal.SIGTERM) == before
    said = capsys.readouterr()
    assert "stopped after 2 of 5 frames; their results are in" in said.out + said.err
    assert "cmt-seg predict: stopped" in said.err and "Traceback" not in said.err
    assert sorted(path.name for path in out.iterdir()) == sorted([LIST, "classes.yaml", *written]), "no half files"
    assert all(cv2.imread(str(out / name)) is not None for name in written)
