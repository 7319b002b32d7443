"""A model package is refused, with a sentence that helps, unless it is exactly what model.yaml says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.runtime.model_package import ModelPackage, available, find

MODEL = "cmt-mchh-lite-camvid"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(find(MODEL), tmp_path / "copy", ignore=shutil.ignore_patterns("weights*")))


def edit(package: Path, **changes: object) -> None:
    path = package / "model.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text(encoding="utf-8")), **changes}))


def test_shipped_model_is_found_by_name_and_whole() -> None:
    loaded = ModelPackage.load(MODEL)
    assert (loaded.name, loaded.labels, loaded.height, loaded.width) == (MODEL, CAMVID, 360, 480)
    assert MODEL in available()
    loaded.read_ir()


def test_a_hidden_folder_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine", ".trash"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.yaml").touch()
    monkeypatch.setattr("cmt_seg_ros.runtime.model_package.search_path", lambda: [tmp_path])
    assert list(available()) == ["mine"]


def test_shipped_model_states_data_terms_and_scores() -> None:
    card = ModelPackage.load(MODEL).description
    assert card["data"] and all(d["terms"] for d in card["data"]) and card["reproduce"]
    assert card["scores"]["miou"] >= 0.72
    assert set(card["scores"]["iou"]) == set(CAMVID.names)


def test_unknown_name_lists_what_is_there() -> None:
    with pytest.raises(ModelError, match=f"'no-such-model' not found; installed: .*{MODEL}"):
        ModelPackage.load("no-such-model")


@pytest.mark.parametrize("name", ["model.xml", "model.bin"])
def test_missing_file_is_named(package: Path, name: str) -> None:
    (package / name).unlink()
    with pytest.raises(ModelError, match=rf"{name} is missing; restore the package"):
        ModelPackage.load(str(package))


def test_one_changed_byte_is_noticed(package: Path) -> None:
    data = bytearray((package / "model.bin").read_bytes())
    data[1000] ^= 1
    (package / "model.bin").write_bytes(data)
    with pytest.raises(ModelError, match=r"model.bin is damaged: its sha256 is .*restore the package"):
        ModelPackage.load(str(package))


def test_other_number_of_classes_is_noticed(package: Path) -> None:
    edit(package, classes=CAMVID.to_list()[:-1])
    with pytest.raises(ModelError, match=r"network has 11 classes but model\.yaml lists 10"):
        ModelPackage.load(str(package)).read_ir()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format is 99; this version reads format 1"),
        ({"classes": [{"id": 5, "name": "x", "color": [0, 0, 0]}]}, "class ids are"),
        ({"classes": [{"id": 0, "nam": "x"}]}, "must have id, name, color"),
        ({"input": {"height": 0, "width": 480, "color": "rgb", "mean": 0, "scale": 1}}, "sides >= 32"),
        ({"input": {}}, "height"),
        ({"sha256": {}}, "has no checksum"),
    ],
)
def test_wrong_description_is_refused(package: Path, changes: dict[str, object], message: str) -> None:
    edit(package, **changes)
    with pytest.raises(ModelError, match=message):
        ModelPackage.load(str(package))


def test_description_that_is_not_yaml_is_refused(package: Path) -> None:
    (package / "model.yaml").write_text("a: [")
    with pytest.raises(ModelError, match="cannot be read"):
        ModelPackage.load(str(package))
