"""`cmt-seg models`: the list, one card, and what every shipped package promises."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cmt_seg_ros.cli.main import main
from cmt_seg_ros.cli.quantize import MAX_LOSS, MIN_AGREEMENT
from cmt_seg_ros.runtime.model_package import ModelPackage, available, find

MODEL = "cmt-mchh-lite-camvid"


def test_list_fits_a_terminal_of_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in available()) and "verified" in out and "fp16" in out


def test_card_of_one_model(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["models", MODEL]) == 0
    out = capsys.readouterr().out
    assert MODEL in out and "Data and terms" in out and "Pedestrian" in out
    assert "files verified" in out


def test_unknown_model_names_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "nope"]) == 1
    assert f"'nope' not found; installed: {', '.join(available())}" in capsys.readouterr().err


def test_damage_and_a_missing_card_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(find(MODEL), tmp_path / "copy", ignore=shutil.ignore_patterns("weights*")))
    (copy / "README.md").unlink()
    assert main(["models", str(copy)]) == 1
    assert "this package has no card" in capsys.readouterr().err
    (copy / "model.bin").write_bytes(b"x")
    assert main(["models", str(copy)]) == 1
    assert "model.bin is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("name", available())
def test_shipped_int8_is_as_good_as_the_fp16_it_was_made_of(name: str) -> None:
    package = ModelPackage.load(name)
    if package.precision == "fp16":
        assert (package.folder / "weights.safetensors").is_file()
        return
    made = package.description["quantization"]
    fp16 = ModelPackage.load(made["of"])
    assert made["of_sha256"] == fp16.description["sha256"]["model.bin"], "quantize again: the fp16 model has changed"
    assert made["fp16_miou"] - package.description["scores"]["miou"] <= MAX_LOSS + 1e-9
    assert made["label_agreement"] >= MIN_AGREEMENT
