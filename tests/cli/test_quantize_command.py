"""`cmt-seg quantize`, as a user types it, on a tiny package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("nncf", reason="nncf is not installed: make test installs it")

from support.tiny_package import write_data, write_package

from cmt_seg_ros.cli import quantize
from cmt_seg_ros.cli.main import main
from cmt_seg_ros.runtime.model_package import ModelPackage


@pytest.fixture
def package(tmp_path: Path) -> ModelPackage:
    return write_package(tmp_path / "tiny")


@pytest.fixture
def data(package: ModelPackage, tmp_path: Path) -> Path:
    return write_data(package, tmp_path / "street")


def test_quantized_package_is_whole_and_says_what_it_costs(
    package: ModelPackage, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Of a random network, INT8 changes more labels than of a trained one.
    monkeypatch.setattr(quantize, "MAX_LOSS", 0.5)
    monkeypatch.setattr(quantize, "MIN_AGREEMENT", 0.9)
    assert main(["quantize", str(package.folder), "--data", str(data), "--subset", "2"]) == 0
    captured = capsys.readouterr()
    assert "tiny-int8: val mIoU 0." in captured.out and "INT8 on val" in captured.err
    int8 = ModelPackage.load(str(package.folder.with_name("tiny-int8")))
    made = int8.description["quantization"]
    assert int8.precision == "int8" and made["of"] == "tiny" and not made["accuracy_control"]
    assert made["fp16_miou"] == 1.0 and 0.9 < made["label_agreement"] < 1.0
    assert int8.description["scores"]["images"] == 2
    assert not (int8.folder / "weights.safetensors").exists()
    assert main(["models", str(int8.folder)]) == 0
    assert "2 images of street train" in capsys.readouterr().out
    # What is INT8 already cannot be made INT8.
    assert main(["quantize", str(int8.folder), "--data", str(data)]) == 1
    assert "is int8 already" in capsys.readouterr().err


def test_accuracy_control_comes_when_the_plain_way_costs_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # One layer costs far more than the others, on every processor: accuracy control puts it back to float.
    package = write_package(tmp_path / "tiny", outlier=30.0)
    data = write_data(package, tmp_path / "street")
    monkeypatch.setattr(quantize, "MAX_LOSS", 0.2)
    monkeypatch.setattr(quantize, "MIN_AGREEMENT", 0.8)
    arguments = ["quantize", str(package.folder), "--data", str(data), "--out", str(tmp_path / "mine")]
    assert main(arguments) == 0
    assert "points of mIoU, 20 are allowed" in capsys.readouterr().out
    assert ModelPackage.load(str(tmp_path / "mine")).description["quantization"]["accuracy_control"]


def test_what_is_not_good_enough_is_not_written(
    package: ModelPackage, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(quantize, "MAX_LOSS", 0.5)
    monkeypatch.setattr(quantize, "MIN_AGREEMENT", 1.0)
    out = tmp_path / "mine"
    assert main(["quantize", str(package.folder), "--data", str(data), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert "points of mIoU (50 are allowed)" in error and "(100% are needed)" in error and not out.exists()
    out.mkdir()
    (out / "model.yaml").write_text("mine")
    assert main(["quantize", str(package.folder), "--data", str(data), "--out", str(out)]) == 1
    assert "has model.yaml, which cmt-seg did not write" in capsys.readouterr().err
    assert [path.read_text(encoding="utf-8") for path in out.iterdir()] == ["mine"]


def test_mistakes_are_explained(
    package: ModelPackage, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    tiny = str(package.folder)
    for arguments, message in (
        (["nope", "--data", str(data)], "model 'nope' not found"),
        ([tiny, "--data", str(data), "--out", tiny], "is the fp16 package itself"),
        ([tiny, "--data", str(data), "--subset", "0"], "--subset is 0; allowed: 1 to 10000"),
        ([tiny, "--data", str(tmp_path / "none")], "INT8 is calibrated on"),
    ):
        assert main(["quantize", *arguments]) == 1
        assert message in capsys.readouterr().err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["quantize", tiny, "--data", str(data)]) == 1
    assert "pip install -e '.[quantize]'" in capsys.readouterr().err
