"""A model package is refused, with a sentence that helps, unless it is exactly what model.yaml says."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import yaml

from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.runtime.model_package import RUNTIME_FILES, ModelPackage, available, find

MODEL = "cmt-mchh-lite-camvid"
INPUT = {"height": 360, "width": 480, "color": "rgb", "mean": 0, "scale": 1}


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
    with pytest.raises(ModelError, match=r"output probabilities is .*11.*; 10 classes are listed in model\.yaml"):
        ModelPackage.load(str(package)).read_ir()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format is 99; this version reads format 1"),
        ({"classes": [{"id": 5, "name": "x", "color": [0, 0, 0]}]}, "class ids are"),
        ({"classes": [{"id": 0, "nam": "x"}]}, "must have id, name, color"),
        ({"input": {**INPUT, "height": 0}}, "input.height is 0; it must be a whole number from 32 to 4096"),
        ({"input": {**INPUT, "width": 480.5}}, "input.width is 480.5"),
        ({"input": {**INPUT, "width": 10**9}}, "input.width is 1000000000"),
        ({"input": {**INPUT, "mean": float("nan")}}, "input.mean is nan; it must be a number from"),
        ({"input": {**INPUT, "mean": True}}, "input.mean is True"),
        ({"input": {**INPUT, "scale": float("inf")}}, "input.scale is inf"),
        ({"input": {**INPUT, "scale": 0}}, "input.scale is 0"),
        ({"input": {**INPUT, "color": "hsv"}}, "input.color is 'hsv'; allowed: rgb, bgr"),
        ({"input": {**INPUT, "mean": [1.0, 2.0]}}, r"input.mean is \[1.0, 2.0\]; it must be a number, or three"),
        ({"input": {**INPUT, "scale": [1.0, 2.0, 0.0]}}, "input.scale is 0.0; it must be a number from 1e-06"),
        ({"input": {**INPUT, "resize": "crop"}}, "input.resize is 'crop'; allowed: keep-aspect, stretch, letterbox"),
        ({"input": {**INPUT, "multiple": 0}}, "input.multiple is 0; it must be a whole number from 1 to 256"),
        ({"input": {**INPUT, "max_batch": -1}}, "input.max_batch is -1; it must be a whole number from 0"),
        (
            {"outputs": ["masks"]},
            r"outputs is \['masks'\]; it must be a list of some of probabilities, object_probability",
        ),
        ({"outputs": ["object_probability"]}, "it must have either probabilities or class_ids"),
        ({"outputs": ["probabilities", "class_ids"]}, "it must have either probabilities or class_ids"),
        ({"input": {"color": "rgb"}}, "input.height is None"),
        ({"input": [1]}, r"input is \[1\]; it must be a mapping"),
        ({"sha256": {}}, "has no checksum"),
        ({"sha256": {"model.xml": 5, "model.bin": 6}}, "has no checksum"),
        ({"format": True}, "format is True"),
        ({"name": None}, "name is None"),
        ({"name": "x" * 101}, "must be a text of 1 to 100 characters"),
        ({"precision": ["int8"]}, r"precision is \['int8'\]; allowed: fp16, int8"),
    ],
)
def test_wrong_description_is_refused(package: Path, changes: dict[str, object], message: str) -> None:
    edit(package, **changes)
    with pytest.raises(ModelError, match=message):
        ModelPackage.load(str(package))


def test_description_that_is_not_yaml_is_refused(package: Path) -> None:
    (package / "model.yaml").write_text("a: [")
    with pytest.raises(ModelError, match=r"model\.yaml is not YAML: .*; restore the package"):
        ModelPackage.load(str(package))


def test_a_name_with_control_characters_is_shown_as_people_write_it(package: Path) -> None:
    edit(package, name="\x1b[2J\nx", classes=[{**c, "name": f"[/b]\x1b{c['id']}"} for c in CAMVID.to_list()])
    loaded = ModelPackage.load(str(package))
    assert loaded.name == r"\x1b[2J\nx" and loaded.labels.names[3] == r"[/b]\x1b3"


def rehashed(package: Path) -> None:
    sums = {name: hashlib.sha256((package / name).read_bytes()).hexdigest() for name in RUNTIME_FILES}
    edit(package, sha256=sums)


def test_a_network_that_is_cut_or_forged_is_a_sentence(package: Path) -> None:
    """With checksums that fit: who made the file made them, too."""
    xml, weights = ((package / name).read_bytes() for name in RUNTIME_FILES)
    for name, data in (
        ("model.bin", weights[:1000]),
        ("model.bin", b""),
        ("model.xml", xml[: len(xml) // 2]),
        ("model.xml", b"\0\1rubbish"),
        ("model.xml", xml.replace(b"Convolution", b"Convolutiox", 1)),
        ("model.xml", re.sub(rb'offset="\d+"', b'offset="99999999999"', xml, count=3)),
    ):
        before = (package / name).read_bytes()
        (package / name).write_bytes(data)
        rehashed(package)
        with pytest.raises(ModelError, match=r"model\.xml cannot be read: .*; export the model again") as told:
            ModelPackage.load(str(package)).read_ir()
        assert "\n" not in str(told.value)
        (package / name).write_bytes(before)


def test_a_card_that_is_no_text_is_a_sentence(package: Path) -> None:
    (package / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match=r"README\.md is not text in UTF-8"):
        ModelPackage.load(str(package)).read_card()
