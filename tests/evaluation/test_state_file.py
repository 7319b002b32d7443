"""State file: what goes on from frame to frame is the same after it was written and read; no pickle, no bomb."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.small_scenes import CAR, masks, plain

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.evaluation.scores.frame_records import RecordBuilder
from cmt_seg_ros.evaluation.state_file import read_state, write_state
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.structures import Segmentation
from cmt_seg_ros.tracking.session import TrackingSession


def again(tmp_path: Path, value: Any) -> Any:
    write_state(tmp_path / "state.npz", value)
    return read_state(tmp_path / "state.npz")


def car(number: int) -> Segmentation:
    return masks([(CAR, 20 + 2 * number, 50, 30, 20)], 1 + number / 10)


def test_plain_values_keep_value_and_type(tmp_path: Path) -> None:
    value = {
        "none": None, "numbers": [True, 2**70, 0.1 + 0.2, float("inf"), -0.0], "text": "a\ud800\n", 5: (1, [2], ()),
        "set": {"x", (1, 2)}, "votes": Counter({8: 3}), "half": np.float32(1 / 3), "flag": np.bool_(True),
    }  # fmt: skip
    found = again(tmp_path, value)
    assert found == value and repr(found["numbers"]) == repr(value["numbers"])
    assert [type(found[name]) for name in ("votes", "half", "flag")] == [Counter, np.float32, np.bool_]
    assert np.isnan(again(tmp_path, float("nan")))


@pytest.mark.parametrize("array", [np.eye(3, dtype=np.float32).T, np.zeros((0, 2), bool), np.arange(12)[::2]])
def test_arrays_keep_shape_type_and_every_bit(tmp_path: Path, array: np.ndarray) -> None:
    (found,) = again(tmp_path, [array])
    assert found.dtype == array.dtype and np.array_equal(found, array) and found.flags.writeable


def test_a_session_goes_on_as_the_undisturbed_one(tmp_path: Path) -> None:
    session = TrackingSession(CAMVID, TrackerConfig(), 7)
    picture = np.random.default_rng(0).integers(0, 255, (*car(0).class_ids.shape, 3), np.uint8)
    for k in range(4):
        session.track(car(k), picture)
    other = again(tmp_path, session)
    for k in range(4, 8):
        rows = [plain(one.track(car(k), picture).tracks) for one in (session, other)]
        assert rows[0] == rows[1] and rows[0]
    assert other.next_id == session.next_id and other.labels == CAMVID


def test_records_and_problems_go_on(tmp_path: Path) -> None:
    problems = Problems()
    problems.add("bad_label", "a")
    found = again(tmp_path, {"problems": problems, "records": RecordBuilder("s", CAMVID, CAMVID, ["age_ms"])})
    found["problems"].add("bad_label", "a")
    assert found["problems"].counts == {"bad_label": 1} and isinstance(found["records"], RecordBuilder)


def test_other_objects_are_not_written(tmp_path: Path) -> None:
    for value in (Path("x"), np.array([None]), lambda: 0, object()):
        with pytest.raises(TypeError, match="not among the classes"):
            write_state(tmp_path / "state.npz", [value])
    assert list(tmp_path.iterdir()) == []


class Intruder:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_no_code_is_run_and_nothing_grows(tmp_path: Path) -> None:
    path, made = tmp_path / "state.npz", tmp_path / "made"
    objects = np.array([Intruder(made)], object)

    def forge(tree: Any, *arrays: np.ndarray, compressed: bool = False) -> None:
        members = {"tree": np.frombuffer(json.dumps(tree).encode(), np.uint8)}
        members |= {str(k): array for k, array in enumerate(arrays)}
        (np.savez_compressed if compressed else np.savez)(path, **members)  # type: ignore[arg-type]

    forged = [
        lambda: path.write_bytes(pickle.dumps(Intruder(made))),
        lambda: forge(["array", 0], objects),
        lambda: forge(["array", 0], np.zeros(10**7), compressed=True),
        lambda: forge(["Popen", ["args", "true"]]),
        lambda: forge(["LabelClass", ["id", 0]]),
        lambda: path.write_bytes(b""),
        lambda: zipfile.ZipFile(path, "w").close(),
    ]
    for forging in forged:
        forging()
        with pytest.raises(Exception):  # noqa: B017 - of a forged file any; what reads states begins anew
            read_state(path)
    assert not made.exists()
