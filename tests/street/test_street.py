"""The synthetic street: same bytes from the same seed, and ground truth that fits the picture."""

from __future__ import annotations

import ast
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmt_seg_ros import street as scene_package
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import Frame

SIZE = (160, 97)


@pytest.fixture(scope="module")
def scene() -> StreetScene:
    return StreetScene(320, 180, seed=0)


@pytest.fixture(scope="module")
def frames(scene: StreetScene) -> list[Frame]:
    return [scene.frame(i) for i in (0, 1, 2, 15, 30, 31)]


def same(a: Frame, b: Frame) -> bool:
    assert a.truth is not None and b.truth is not None
    pairs = [(a.pixels, b.pixels)] + [
        (getattr(a.truth, name), getattr(b.truth, name))
        for name in ("class_ids", "objectness", "instance_ids", "camera_pose", "intrinsics")
    ]
    return a.stamp_ns == b.stamp_ns and all(np.array_equal(x, y) for x, y in pairs)


def test_two_scenes_of_one_seed_are_the_same_bytes_in_any_order() -> None:
    first, second = (StreetScene(*SIZE, seed=5) for _ in range(2))
    forwards = {i: first.frame(i) for i in (0, 1, 2, 45)}
    for i in (45, 2, 0, 1):
        assert same(forwards[i], second.frame(i))


def test_another_seed_is_another_street(frames: list[Frame]) -> None:
    a, b = frames[0], StreetScene(320, 180, seed=2).frame(0)
    assert np.abs(a.pixels.astype(int) - b.pixels).mean() > 10


def test_iteration_gives_every_frame_once() -> None:
    scene = StreetScene(*SIZE, frames=3, fps=7.0)
    names = [frame.name for frame in scene]
    assert len(scene) == 3 and names == ["000000", "000001", "000002"]


@pytest.mark.parametrize(("width", "height"), [SIZE, (90, 201)])
def test_shapes_and_types(width: int, height: int) -> None:
    frame = StreetScene(width, height, fps=30.0, camera="front").frame(1)
    assert frame.pixels.shape == (height, width, 3) and frame.pixels.dtype == np.uint8
    assert frame.pixels.flags.c_contiguous and frame.encoding == "bgr8"
    assert (frame.camera, frame.frame_id, frame.name) == ("front", "front_optical_frame", "000001")
    assert frame.stamp_ns == round(1e9 / 30)
    truth = frame.truth
    assert truth is not None and truth.instance_ids is not None
    assert truth.camera_pose is not None and truth.intrinsics is not None
    for mask, dtype in ((truth.class_ids, np.uint8), (truth.objectness, np.uint8), (truth.instance_ids, np.uint16)):
        assert mask.shape == (height, width) and mask.dtype == dtype
    assert truth.camera_pose.shape == (4, 4) and truth.intrinsics.shape == (3, 3)
    assert np.allclose(truth.camera_pose[:3, :3] @ truth.camera_pose[:3, :3].T, np.eye(3))


def test_all_classes_occur_and_every_pixel_is_labelled(frames: list[Frame]) -> None:
    seen = np.unique(np.stack([f.truth.class_ids for f in frames if f.truth is not None]))
    assert seen.tolist() == list(range(len(CAMVID)))


def test_objectness_and_instances_follow_the_classes(frames: list[Frame]) -> None:
    for frame in frames:
        truth = frame.truth
        assert truth is not None and truth.instance_ids is not None
        assert np.array_equal(truth.objectness, CAMVID.is_object_lut[truth.class_ids])
        assert np.array_equal(truth.instance_ids > 0, truth.objectness == 255)


def test_an_instance_keeps_its_id_and_class(frames: list[Frame]) -> None:
    classes: dict[int, set[int]] = {}
    for frame in frames:
        assert frame.truth is not None and frame.truth.instance_ids is not None
        pairs = np.stack([frame.truth.instance_ids, frame.truth.class_ids.astype(np.uint16)], -1)
        for instance, class_id in np.unique(pairs[frame.truth.objectness > 0], axis=0).tolist():
            classes.setdefault(instance, set()).add(class_id)
    assert all(len(kinds) == 1 for kinds in classes.values())
    ids = [set(np.unique(f.truth.instance_ids).tolist()) - {0} for f in frames if f.truth is not None]
    assert len(ids[0] & ids[1] & ids[2]) >= 8 and len(ids[4] & ids[5]) >= 8


def test_instances_move_continuously(scene: StreetScene) -> None:
    before: dict[int, np.ndarray] = {}
    for index in range(20, 28):
        truth = scene.frame(index).truth
        assert truth is not None and truth.instance_ids is not None
        now = {}
        for instance in np.unique(truth.instance_ids)[1:].tolist():
            y, x = np.nonzero(truth.instance_ids == instance)
            if len(y) > 150 and x.min() > 0 and x.max() < 319:
                now[instance] = np.array([x.mean(), y.mean()])
        jumps = [float(np.abs(now[i] - before[i]).max()) for i in now if i in before]
        assert max(jumps, default=0.0) < 20
        before = now


def test_ground_points_reproject(scene: StreetScene) -> None:
    """The lowest pixel of a mask is where the pose and intrinsics put the object's foot on the ground."""
    errors = []
    for index in range(0, 60, 6):
        t = index / scene.fps
        truth = scene.frame(index).truth
        assert truth is not None and truth.camera_pose is not None and truth.intrinsics is not None
        camera_from_world = np.linalg.inv(truth.camera_pose)
        for actor in scene._traffic.at(t):
            x, y = actor.at(t)
            # A walker stands below the hips; of a bicycle the nearer wheel is the lowest in the picture.
            nearest = x - (0.52 if actor.kind == "bicyclist" else 0.0)
            point = camera_from_world @ (nearest, y, 0.0, 1.0)
            if actor.kind == "car" or not 6.0 < point[2] < 30.0:
                continue
            u, v, w = truth.intrinsics @ point[:3]
            rows, columns = np.nonzero(truth.instance_ids == actor.instance_id)
            if len(rows) > 60 and columns.min() > 0 and columns.max() < scene.width - 1:
                errors.append((rows.max() - v / w, columns.mean() - u / w))
    assert len(errors) >= 10
    # A stride is under 0.5 m; a hidden foot only ever raises the mask's lowest pixel.
    off = np.abs(np.array(errors))
    assert np.median(off[:, 0]) < 3.0 and np.median(off[:, 1]) < 3.0


def test_edges_of_labels_are_edges_of_the_picture(frames: list[Frame]) -> None:
    """Along the outline of the sky the picture changes more than elsewhere."""
    frame = frames[4]
    assert frame.truth is not None
    sky = (frame.truth.class_ids == CAMVID.names.index("Sky")).astype(np.uint8)
    edge = cv2.morphologyEx(sky, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    gray = cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2GRAY).astype(np.float32)
    slope = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    assert slope[edge].mean() > 2.0 * slope[~edge].mean()


@pytest.mark.parametrize(
    ("name", "value"),
    [("width", 63), ("width", 4097), ("height", 63), ("height", 4097), ("fps", 0.0), ("frames", 0), ("seed", -1)],
)
def test_arguments_out_of_range(name: str, value: float) -> None:
    with pytest.raises(SourceError, match=name):
        StreetScene(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("index", [-1, 300])
def test_index_out_of_range(scene: StreetScene, index: int) -> None:
    with pytest.raises(IndexError, match="0 to 299"):
        scene.frame(index)


def test_scene_needs_no_framework() -> None:
    for path in Path(scene_package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & {"torch", "openvino", "rclpy"}
