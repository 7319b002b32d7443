"""The commands, as a user types them."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmt_seg_ros.cli.main import build_parser, main
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.runtime.model_package import find
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.structures import Frame

COMMANDS = ("demo", "predict", "models", "scene", "train", "export", "quantize", "doctor", "top")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0 and "examples:" in capsys.readouterr().out


def test_help_lists_every_command() -> None:
    assert all(command in build_parser().format_help() for command in COMMANDS)


def test_scene_then_predict_gives_masks_at_the_images_size(tmp_path: Path) -> None:
    assert main(["scene", "--out", str(tmp_path / "s"), "--frames", "3", "--width", "161", "--height", "97"]) == 0
    assert main(["predict", "--images", str(tmp_path / "s/images"), "--out", str(tmp_path / "p"), "--batch", "2"]) == 0
    pipeline = Pipeline(SegmentationConfig())
    for name in ("000000", "000001", "000002"):
        image = cv2.imread(str(tmp_path / "s/images" / f"{name}.png"))
        ids = cv2.imread(str(tmp_path / "p" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        objectness = cv2.imread(str(tmp_path / "p" / f"{name}_objectness.png"), cv2.IMREAD_UNCHANGED)
        overlay = cv2.imread(str(tmp_path / "p" / f"{name}_overlay.jpg"))
        assert ids.shape == objectness.shape == (97, 161) and overlay.shape == (97, 161, 3)
        expected = pipeline.process([Frame("c", 0, image)])[0]
        assert np.mean(ids == expected.class_ids) > 0.999 and set(np.unique(objectness)) <= {0, 255}


def test_predict_reads_a_video(tmp_path: Path) -> None:
    path = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 96))
    for k in range(4):
        writer.write(np.full((96, 160, 3), 40 * k, np.uint8))
    writer.release()
    assert main(["predict", "--video", path, "--out", str(tmp_path / "p")]) == 0
    assert len(list((tmp_path / "p").glob("*_objectness.png"))) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--images", "{tmp}/none", "--out", "{tmp}/o"], "none"),
        (["predict", "--images", "{tmp}", "--out", "{tmp}/o"], "image"),
        (["predict", "--video", "{tmp}/none.mp4", "--out", "{tmp}/o"], "none.mp4"),
        (["predict", "--images", "{tmp}/pictures", "--out", "{tmp}/o", "--model", "nope"], "nope"),
        (["scene", "--out", "{tmp}", "--width", "7"], "7"),
        (["demo", "--video", "{tmp}/none.mp4", "--out", "{tmp}/o"], "none.mp4"),
        (["demo", "--model", "nope", "--out", "{tmp}/o"], "nope"),
    ],
)
def test_errors_are_one_sentence_and_status_1(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "a.png"), np.zeros((32, 32, 3), np.uint8))
    assert main([a.format(tmp=tmp_path) for a in arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error and f"cmt-seg {arguments[0]}: " in error


def test_models_lists_scores_and_finds_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["models"]) == 0
    assert "cmt-mchh-lite-camvid" in (out := capsys.readouterr().out) and "miou 0.7" in out
    root = tmp_path / "share" / "cmt_seg_ros" / "models"
    shutil.copytree(find("cmt-mchh-lite-camvid"), root / "broken")
    (root / "broken" / "model.bin").write_bytes(b"x")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert main(["models"]) == 1
    assert "damaged" in capsys.readouterr().out
