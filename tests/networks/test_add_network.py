"""docs/add_network.md, run as it is written: a network is added, trained, exported, quantized, and segments a frame."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

import yaml  # noqa: E402

from cmt_seg_ros.cli.main import main  # noqa: E402
from cmt_seg_ros.labels import LabelClass, LabelSet  # noqa: E402
from cmt_seg_ros.networks import zoo  # noqa: E402
from cmt_seg_ros.training import curriculum  # noqa: E402
from cmt_seg_ros.training.stage_network import network_description  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "add_network.md"
LABELS = LabelSet((LabelClass(0, "ground", (0, 90, 0)), LabelClass(1, "box", (200, 0, 0), True)))


def write_data(folder: Path) -> Path:
    """Bright boxes on dark ground, and where they are."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 1)):
        for name in ("images", "labels"):
            (folder / split / name).mkdir(parents=True)
        for k in range(count):
            labels = np.zeros((64, 96), np.uint8)
            y, x = rng.integers(0, (30, 50))
            labels[y : y + 30, x : x + 40] = 1
            image = np.where(labels[..., None] == 1, 210, 40) + rng.integers(-20, 20, (64, 96, 3))
            cv2.imwrite(str(folder / split / "images" / f"{k}.png"), image.astype(np.uint8))
            cv2.imwrite(str(folder / split / "labels" / f"{k}.png"), labels)
    (folder / "classes.yaml").write_text(yaml.safe_dump({"classes": LABELS.to_list()}))
    return folder


@pytest.mark.usefixtures("quick_training", "quick_export")
def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, row, small, recipe = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 40
    module = ModuleType("cmt_seg_ros.networks.dilated")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    for table, name in ((zoo.FAMILIES, "dilated"), (zoo.ZOO, "dilated"), (curriculum.RECIPES, "dilated-small")):
        monkeypatch.setitem(table, name, None)  # type: ignore[misc]  # what the page adds is taken out again
    names: dict[str, Any] = {**vars(zoo), "SMALL": {}}
    exec(row + small, names)
    exec(recipe, dict(vars(curriculum)))
    network_description(curriculum.RECIPES["dilated-small"], curriculum.RECIPES["dilated-small"].stages[0], LABELS)
    made = zoo.rebuild(zoo.merged(zoo.described_row("dilated", 2, (1,)), names["SMALL"]["dilated"]))
    assert made.eval().deployed(torch.zeros(1, 3, 45, 71)).objectness.shape == (1, 2, 6, 9)  # type: ignore[operator]

    data, run, model = write_data(tmp_path / "data"), tmp_path / "run", tmp_path / "dilated"
    shorter = tmp_path / "short.yaml"
    shorter.write_text(
        "base: dilated-small\nbatch: 2\nimage_scale: 1\nnetwork: {width: 8, rates: [1, 2]}\nlr: 0.02\nwarmup: 2\n"
        "stages: [{name: end, iterations: 30, crop: [64, 96], weights: {semantic: 1.0}}]\n"
    )
    assert main(["train", "--data", str(data), "--recipe", str(shorter), "--out", str(run), "--threads", "1"]) == 0
    assert main(["export", "--run", str(run), "--data", str(data), "--out", str(model)]) == 0
    out = tmp_path / "masks"
    assert main(["predict", "--model", str(model), "--images", str(data / "val" / "images"), "--out", str(out)]) == 0
    truth, found = (
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED) == 1 for path in (data / "val" / "labels" / "0.png", out / "0.png")
    )
    assert (truth & found).sum() / (truth | found).sum() > 0.7
