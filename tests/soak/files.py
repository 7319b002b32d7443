"""Files: damaged bags and model packages are read as far as they go, or refused in a sentence."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
from support.bag_writing import ROS2, image, storage_file, write_bag
from support.tiny_package import write_package

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.bag import BagSource
from soak.fuzz import Progress
from soak.malformed import damaged, jpeg
from soak.measures import Row

FRAMES = 12
MODEL_FILES = ("model.yaml", "model.xml", "model.bin")


def damaged_bags(folder: Path, seed: int, count: int, progress: Progress = lambda done: None) -> Row:
    """Read ``count`` damaged copies of a bag: each gives frames, or an error or a line that says what is wrong."""
    random, row = np.random.default_rng(seed), Row("damaged bags")
    pictures = [image(ROS2, i, random.integers(0, 256, (24, 32, 3), np.uint8)) for i in range(FRAMES)]
    sound = storage_file(write_bag(folder / "sound", {"/camera/image_raw": pictures})).read_bytes()
    path = folder / "damaged.mcap"
    for number in range(count):
        row.sent += 1
        path.write_bytes(damaged(random, sound))
        problems = Problems()
        try:
            source = BagSource(path, problems=problems)
            frames = sum(1 for _ in source)
            whole = frames == FRAMES and not source.lost
            row.answered += whole
            row.counted += not whole and bool(problems.lines)
        except SourceError:
            row.counted += 1
        except Exception as error:
            row.crashes += 1
            row.faults.append(f"bag {number} of seed {seed}: {type(error).__name__}: {error}")
        progress(number + 1)
    return row.judge()


def damaged_models(folder: Path, seed: int, count: int, progress: Progress = lambda done: None) -> Row:
    """Infer an image with ``count`` damaged model packages, whose checksums are right, each in a process."""
    random, row = np.random.default_rng(seed), Row("damaged models")
    package = write_package(folder / "package").folder
    (folder / "images").mkdir()
    (folder / "images" / "0.jpg").write_bytes(jpeg(random))
    sound = {name: (package / name).read_bytes() for name in MODEL_FILES}
    for number in range(count):
        name = MODEL_FILES[int(random.integers(len(MODEL_FILES)))]
        spoilt = damaged(random, sound[name])
        card = sound["model.yaml"].decode()
        if name != "model.yaml":
            card = card.replace(hashlib.sha256(sound[name]).hexdigest(), hashlib.sha256(spoilt).hexdigest())
        (package / "model.yaml").write_text(card, encoding="utf-8")
        (package / name).write_bytes(spoilt)
        words = [
            "--images",
            folder / "images",
            "--model",
            package,
            "--device",
            "CPU",
            "--out",
            folder / f"out_{number}",
        ]
        command = [sys.executable, "-m", "cmt_seg_ros.cli.main", "predict", *map(str, words)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        row.sent += 1
        if done.returncode < 0 or "Traceback" in done.stderr:
            row.crashes += 1
            row.faults.append(f"model {number} of seed {seed}, {name}: status {done.returncode}: {done.stderr[-300:]}")
        else:
            row.answered += done.returncode == 0
            row.counted += done.returncode > 0 and bool(done.stderr.strip())
        for kept, data in sound.items():
            (package / kept).write_bytes(data)
        progress(number + 1)
    return row.judge()
