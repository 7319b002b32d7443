from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.foreign_models import CLASSES, write_ir

from cmt_seg_ros.cli.main import main

PLAIN = ["--mean", "0", "--scale", "1"]


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("road\nwall\ncar\nperson\nsky\n", encoding="utf-8")
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    Path("photos").mkdir()
    cv2.imwrite("photos/a.png", image)
    return str(write_ir(tmp_path / "net.xml", "fixed"))


def test_imported_tried_and_used(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["import", net, "--classes", "names.txt", *PLAIN, "--name", "mine", "--try", "photos/a.png"]
    assert main([*given, "--objects", "person"]) == 0
    said = capsys.readouterr().out
    assert "scores, to which a softmax was added" in said and "5 classes; objects: person" in said
    picture = cv2.imread("mine/try.jpg")
    assert picture.shape[1] == 2 * 96 and picture.shape[0] > 64
    assert "imported from `net.xml`" in Path("mine/README.md").read_text(encoding="utf-8")
    assert main(["predict", "--model", "mine", "--images", "photos", "--out", "masks"]) == 0
    assert cv2.imread("masks/a.png", cv2.IMREAD_UNCHANGED).max() < CLASSES
    assert main(["models", "mine"]) == 0
    assert main([*given, "--objects", "car"]) == 0, "it may be made anew"
    assert "objects: car" in capsys.readouterr().out


def test_files_of_somebody_else_stay(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("net").mkdir()
    Path("net/model.yaml").write_text("mine", encoding="utf-8")
    assert main(["import", net, "--classes", "names.txt", *PLAIN]) == 1
    assert "model.yaml" in capsys.readouterr().err and Path("net/model.yaml").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "96"], "--size is '96'; give width and height"),
        (["--mean", "1,2"], "--mean is '1,2'; give one number, or three"),
        (["--scale", "x"], "--scale is 'x'"),
        (["--output", "y=masks"], "--output is 'y=masks'; give NAME=ROLE"),
        (["--classes", "nothing"], "--classes 'nothing' is not known; give one of ade20k, camvid, cityscapes"),
        (["--name", "a", "--out", "b"], "--name a and --out b differ"),
        (["--try", "photos/b.png"], "b.png"),
    ],
)
def test_mistakes_are_explained(net: str, options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", net, *options]) == 1
    assert words in capsys.readouterr().err
    assert not Path("net").exists()
