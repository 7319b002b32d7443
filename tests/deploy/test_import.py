"""Networks of other people become packages that label pixels as the bare model does, run by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from support.foreign_models import CLASSES, write_ir, write_onnx

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.deploy.importing.classes import named, read_class_file
from cmt_seg_ros.deploy.importing.original import Wishes
from cmt_seg_ros.deploy.importing.package import import_model
from cmt_seg_ros.errors import CmtSegError, ConfigError, ModelError
from cmt_seg_ros.labels import known_names, read_classes
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import Frame, Segmentation

FIVE = named([f"class {k}" for k in range(CLASSES)])
BYTES = Wishes(labels=FIVE, mean=(0.0,), scale=(1.0,))
SIZED = replace(BYTES, size=(64, 96))
IMAGE = cv2.resize(StreetScene(320, 180, frames=1, seed=5).frame(0).pixels, (96, 64))


def segment(package: ModelPackage, image: np.ndarray) -> Segmentation:
    config = SegmentationConfig(model=str(package.folder), device="CPU", precision="f32")
    return Pipeline(config).process([Frame("c", 1, image)])[0]


def bare(path: Path, values: np.ndarray) -> list[np.ndarray]:
    """What the file itself gives."""
    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled([np.ascontiguousarray(values)])
    return [found[port] for port in compiled.outputs]


def nchw(image: np.ndarray, mean: object = 0, scale: object = 1) -> np.ndarray:
    rgb = (image[:, :, ::-1].astype(np.float32) - np.float32(mean)) / np.float32(scale)  # type: ignore[arg-type]
    return rgb.transpose(2, 0, 1)[None]


def equal(found: np.ndarray, expected: np.ndarray) -> bool:
    assert len(np.unique(expected)) > 1, "the test would show nothing"
    return bool(np.mean(found == expected) >= 0.999)


@pytest.mark.parametrize("kind", ["fixed", "dynamic", "auxiliary"])
def test_logits_get_a_softmax_and_confidence_is_right(tmp_path: Path, kind: str) -> None:
    path = write_ir(tmp_path / "net.xml", kind)
    package, _ = import_model(path, BYTES if kind == "fixed" else SIZED, tmp_path / "net")
    logits = bare(path, nchw(IMAGE))[0][0]
    grown = np.exp(logits - logits.max(axis=0))
    probabilities = grown / grown.sum(axis=0)
    found = segment(package, IMAGE)
    assert equal(found.class_ids, logits.argmax(axis=0))
    assert found.confidence is not None
    assert np.abs(found.confidence - 255 * probabilities.max(axis=0)).max() <= 1
    assert (package.resize, package.multiple) == (("stretch", 1) if kind == "fixed" else ("keep-aspect", 32))


def test_any_size_keeps_the_shape_of_the_image(tmp_path: Path) -> None:
    path = write_ir(tmp_path / "net.xml", "dynamic")
    package, said = import_model(path, SIZED, tmp_path / "net")
    assert any("input 96x64 or any other size" in line for line in said)
    wide = cv2.resize(IMAGE, (192, 32))
    assert equal(segment(package, wide).class_ids, bare(path, nchw(wide))[0][0].argmax(axis=0))
    frames = [Frame("a", 1, IMAGE), Frame("b", 1, cv2.resize(IMAGE, (192, 128)))]
    config = SegmentationConfig(model=str(package.folder), device="CPU", precision="f32", max_batch_size=2)
    assert [r.class_ids.shape for r in Pipeline(config).process(frames)] == [(64, 96), (128, 192)]


def test_a_network_of_one_image_at_a_time_gets_no_batches(tmp_path: Path) -> None:
    package, _ = import_model(write_ir(tmp_path / "net.xml", "fixed"), BYTES, tmp_path / "net")
    assert package.max_batch == 1
    frames = [Frame(name, 1, IMAGE) for name in "abc"]
    results = Pipeline(SegmentationConfig(model=str(package.folder), device="CPU")).process(frames)
    assert all(np.array_equal(result.class_ids, results[0].class_ids) for result in results)


def test_channels_last_and_probabilities(tmp_path: Path) -> None:
    path = write_ir(tmp_path / "net.xml", "nhwc")
    wishes = replace(BYTES, mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375), color="rgb")
    package, said = import_model(path, wishes, tmp_path / "net")
    x = nchw(IMAGE, np.reshape(wishes.mean, (1, 1, 3)), np.reshape(wishes.scale, (1, 1, 3))).transpose(0, 2, 3, 1)
    expected = bare(path, x)[0][0]
    found = segment(package, IMAGE)
    assert equal(found.class_ids, expected.argmax(axis=2)) and "has probabilities" in said[0]
    assert found.confidence is not None and np.abs(found.confidence - 255 * expected.max(axis=2)).max() <= 1


def test_bytes_in_need_no_normalisation(tmp_path: Path) -> None:
    path = write_ir(tmp_path / "net.xml", "u8")
    package, _ = import_model(path, Wishes(labels=FIVE, color="bgr"), tmp_path / "net")
    expected = bare(path, IMAGE[None])[0][0].argmax(axis=0)
    assert equal(segment(package, IMAGE).class_ids, expected)
    grey = cv2.cvtColor(IMAGE, cv2.COLOR_BGR2GRAY)
    config = SegmentationConfig(model=str(package.folder), device="CPU", precision="f32")
    found = Pipeline(config).process([Frame("c", 1, grey, "mono8")])[0].class_ids
    assert equal(found, bare(path, np.dstack([grey] * 3)[None])[0][0].argmax(axis=0))


def test_scores_at_a_quarter_as_of_a_transformer(tmp_path: Path) -> None:
    path = write_ir(tmp_path / "net.xml", "quarter")
    files = {
        "config.json": {"id2label": {str(k): name for k, name in enumerate(read_classes(Path("cityscapes")).names)}},
        "preprocessor_config.json": {
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "do_normalize": True,
            "size": {"height": 64, "width": 96},
        },
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    package, said = import_model(path, Wishes(), tmp_path / "net")
    assert "read from config.json, preprocessor_config.json" in said[0]
    mean, std = (255 * np.array(values) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    logits = bare(path, nchw(IMAGE, mean, std))[0][0]
    grown = np.exp(logits - logits.max(axis=0))
    probabilities = np.stack([cv2.resize(plane, (96, 64)) for plane in grown / grown.sum(axis=0)])
    assert equal(segment(package, IMAGE).class_ids, probabilities.argmax(axis=0))
    assert package.labels.names[11:13] == ("person", "rider") and set(package.labels.object_ids) == set(range(11, 19))


def test_ids_in_the_graph_have_no_confidence(tmp_path: Path) -> None:
    path = write_ir(tmp_path / "net.xml", "ids")
    package, said = import_model(path, replace(BYTES, objects=["class 1", "Class 3"]), tmp_path / "net")
    expected = bare(path, nchw(IMAGE))[0][0]
    found = segment(package, IMAGE)
    assert equal(found.class_ids, expected) and found.confidence is None
    assert found.objectness is not None
    np.testing.assert_array_equal(found.objectness == 255, np.isin(found.class_ids, (1, 3)))
    assert "there is no confidence" in said[-1]


@pytest.mark.parametrize("ids", [False, True])
def test_onnx(tmp_path: Path, ids: bool) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed: make test installs it")
    path = write_onnx(tmp_path / "net.onnx", ids)
    package, _ = import_model(path, SIZED, tmp_path / "net")
    found = bare(path, nchw(IMAGE))[0][0]
    assert equal(segment(package, IMAGE).class_ids, found if ids else found.argmax(axis=0))


@pytest.mark.parametrize("kind", ["sigmoid", "one-logit"])
def test_one_channel_is_background_and_foreground(tmp_path: Path, kind: str) -> None:
    path = write_ir(tmp_path / "net.xml", kind)
    package, said = import_model(path, replace(BYTES, labels=None), tmp_path / "net")
    value = bare(path, nchw(IMAGE))[0][0, 0]
    probability = value if kind == "sigmoid" else 1 / (1 + np.exp(-value))
    found = segment(package, IMAGE)
    assert equal(found.class_ids, probability > 0.5)
    assert package.labels.names == ("background", "foreground") and package.labels.object_ids == (1,)
    assert found.objectness is not None and equal(found.objectness == 255, probability > 0.5)
    assert "--classes FILE gives them other names" in said[2]


def test_objectness_of_its_own_is_kept(tmp_path: Path) -> None:
    path = write_ir(tmp_path / "net.xml", "objects")
    package, _ = import_model(path, replace(BYTES, outputs={"object": "object_probability"}), tmp_path / "net")
    classes, objects = bare(path, nchw(IMAGE))
    found = segment(package, IMAGE)
    assert package.outputs == ("probabilities", "object_probability")
    assert equal(found.class_ids, classes[0].argmax(axis=0))
    assert found.objectness is not None and equal(found.objectness == 255, objects[0, 0] > 0.5)


def test_letterboxed_image_is_seen_in_its_shape(tmp_path: Path) -> None:
    path = write_ir(tmp_path / "net.xml", "fixed")
    package, _ = import_model(path, replace(BYTES, resize="letterbox"), tmp_path / "net")
    wide = cv2.resize(IMAGE, (96, 32))
    boxed = np.full((64, 96, 3), 114, np.uint8)
    boxed[:32] = wide
    expected = bare(path, nchw(boxed))[0][0].argmax(axis=0)[:32]
    assert equal(segment(package, wide).class_ids, expected)
    assert segment(package, cv2.resize(IMAGE, (200, 70))).class_ids.shape == (70, 200)


def test_what_model_api_and_ultralytics_write_is_read(tmp_path: Path) -> None:
    info = {"model_info": {"labels": "road wide_car sky tree person", "mean_values": "10 20 30", "scale_values": "2",
                           "reverse_input_channels": "YES", "resize_type": "fit_to_window"}}  # fmt: skip
    model = ov.Core().read_model(write_ir(tmp_path / "plain.xml", "fixed"))
    for key, value in info["model_info"].items():
        model.set_rt_info(value, ["model_info", key])
    ov.save_model(model, tmp_path / "net.xml", compress_to_fp16=False)
    package, _ = import_model(tmp_path / "net.xml", Wishes(), tmp_path / "net")
    assert package.labels.names == ("road", "wide car", "sky", "tree", "person")
    assert package.mean.ravel().tolist() == [10, 20, 30] and package.scale.ravel().tolist() == [2, 2, 2]
    assert package.color == "rgb" and package.resize == "letterbox" and package.labels.object_ids == (4,)
    pytest.importorskip("onnx", reason="onnx is not installed: make test installs it")
    names = {k: f"kind {k}" for k in range(CLASSES)}
    metadata = {"task": "semantic", "names": str(names), "stride": "16", "imgsz": "[64, 96]"}
    package, _ = import_model(write_onnx(tmp_path / "u.onnx", False, metadata), Wishes(), tmp_path / "u")
    assert package.labels.names == tuple(names.values()) and package.scale.ravel().tolist() == [255, 255, 255]
    assert (package.height, package.width, package.resize, package.multiple) == (64, 96, "letterbox", 1)


@pytest.mark.parametrize(
    ("kind", "wishes", "words"),
    [
        ("fixed", Wishes(labels=FIVE), "does not say how its input is normalised; say it: --mean 123.675"),
        ("fixed", replace(BYTES, labels=None), "output `y` has 5 classes; say their names: --classes"),
        (
            "fixed",
            replace(BYTES, labels=named("abc")),
            r"`y` is \(1, 5, 64, 96\), 5 classes; 3 classes were given",
        ),
        ("ids", replace(BYTES, labels=named("ab")), r"output `ids` has the class id [234]; 2 classes were given"),
        ("ids", replace(BYTES, labels=None), "output `ids` has class ids; say their names: --classes"),
        ("fixed", replace(BYTES, size=(32, 32)), "--size 32x32: .* takes 96x64 only; leave it out"),
        ("fixed", replace(BYTES, resize="keep-aspect"), "takes 96x64 only; use stretch or letterbox"),
        ("dynamic", BYTES, "takes images of any size; say for which it was trained: --size"),
        ("fixed", replace(BYTES, layout="nhwc"), "--layout nhwc: the input of"),
        ("fixed", replace(BYTES, scale=(0.0,)), "scales above 0"),
        ("fixed", replace(BYTES, objects=["tiger"]), "there is no class 'tiger'; there are class 0"),
        ("fixed", replace(BYTES, outputs={"z": "logits"}), "--output z=logits: the model has no such output; .*`y`"),
        ("fixed", replace(BYTES, outputs={"y": "class_ids"}), "--output y=class_ids: it is .*ids are"),
        ("fixed", replace(BYTES, outputs={"y": "object_probability"}), "one channel is needed"),
        ("objects", BYTES, "several outputs might be meant: .*--output NAME=ignore"),
        ("fixed", replace(BYTES, scale=(-1.0,)), "scales above 0"),
        ("sigmoids", BYTES, r"do not add up to 1 over the classes; .* --output y=probabilities .* or y=logits"),
        ("flat", BYTES, r"no output is understood; the model gives `y` \(1, 5, 6144\) float32"),
        ("not-finite", BYTES, "output `y` of .* is not finite on ordinary images"),
    ],
)
def test_what_is_missing_or_wrong_is_one_sentence(tmp_path: Path, kind: str, wishes: Wishes, words: str) -> None:
    if kind == "objects":  # both have as many channels
        wishes = replace(wishes, labels=None)
    with pytest.raises(CmtSegError, match=words) as caught:
        import_model(write_ir(tmp_path / "net.xml", kind), wishes, tmp_path / "net")
    assert isinstance(caught.value, ConfigError | ModelError) and "\n" not in str(caught.value)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"no model")
    (tmp_path / "a.xml").write_text("<net/>")
    for name, words in (("a.onnx", "cannot be read"), ("a.xml", "is missing: an OpenVINO IR is two files"),
                        ("b.onnx", "does not exist"), ("a.bin", "does not exist")):  # fmt: skip
        with pytest.raises(ModelError, match=words):
            import_model(tmp_path / name, BYTES, tmp_path / "net")
    (tmp_path / "a.pt").write_bytes(b"")
    with pytest.raises(ModelError, match=r"ends in '\.pt'; can be read: \.onnx"):
        import_model(tmp_path / "a.pt", BYTES, tmp_path / "net")


def test_class_lists_and_files(tmp_path: Path) -> None:
    sizes = {name: len(read_classes(Path(name))) for name in known_names()}
    assert sizes == {"ade20k": 150, "camvid": 11, "cityscapes": 19, "coco": 80, "coco-stuff": 171, "mapillary": 65,
                     "voc": 21}  # fmt: skip
    (tmp_path / "names.txt").write_text("road\n\n Car \n")
    found = read_class_file(tmp_path / "names.txt")
    assert found.names == ("road", "Car") and found.object_ids == (1,)
    assert len({c.color for c in named([str(k) for k in range(255)]).classes}) == 255
    (tmp_path / "list.yaml").write_text("classes:\n- {id: 0, name: x, color: [1, 2, 3]}\n")
    assert read_class_file(tmp_path / "list.yaml").names == ("x",)
