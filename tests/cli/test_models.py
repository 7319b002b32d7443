"""`cmt-seg models`: the list, one card, and what every shipped package promises."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

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


def test_bad_packages_are_named_beside_the_good_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Installed from elsewhere: a bomb, a directory by that name, scores that are none, hostile names."""
    root = tmp_path / "share" / "cmt_seg_ros" / "models"
    for name in ("bomb", "[b]sound", "binary"):
        shutil.copytree(find(MODEL), root / name, ignore=shutil.ignore_patterns("weights*"))
    references = "".join(f"a{k}: &a{k} [{','.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 9))
    (root / "bomb" / "model.yaml").write_text(f"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n{references}format: *a8\n")
    (root / "binary" / "model.yaml").write_bytes(bytes(range(256)))
    (root / "folder" / "model.yaml").mkdir(parents=True)
    path = root / "[b]sound" / "model.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text(encoding="utf-8")), "scores": "\x1b[2J"}))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["models"]) == 1
    out = capsys.readouterr().out
    lines = {line.split()[1]: line for line in out.splitlines() if line.startswith("│")}
    assert "verified" in lines[MODEL] and "verified" in lines["[b]sound"] and "\x1b" not in out
    assert "*a0 refers to another place" in lines["bomb"] and "is not text in UTF-8" in lines["binary"]
    assert "not found" in lines["folder"]


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
