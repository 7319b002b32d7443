"""Speed of networks: how many frames a second does every shipped model make, against a plain U-Net at the same input?

Each through the pipeline of the node: u8 image in, masks out, on the CPU with all cores, at the precision
that the device chooses (bf16 where the CPU has it, else f32; INT8 layers stay INT8). The U-Net has the
widths of its paper and random weights: speed does not depend on them. Rounds alternate between the models, so
that what else the machine does meets all of them; medians count. Prints a table and writes
out/bench/networks.json.

    python benchmarks/networks.py [--rounds 10] [--size 480x360]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import openvino as ov
from rich.console import Console
from rich.table import Table

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.runtime.model_package import ModelPackage, available
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import Frame

UNET = "unet"
FRAMES_A_ROUND = {UNET: 1}  # it takes as long as many frames of the others
OTHERS_A_ROUND = 10


def write_unet(folder: Path, height: int, width: int) -> None:
    """Write a U-Net with random weights as a model package."""
    import torch

    from cmt_seg_ros.deploy.export import write_package
    from cmt_seg_ros.networks.zoo import build

    torch.manual_seed(0)
    write_package(build(UNET, len(CAMVID), CAMVID.object_ids), CAMVID, folder, (height, width), {})


def gmacs(package: ModelPackage, height: int, width: int) -> float:
    """Multiplications of all convolutions for one image, 1e9."""
    model = package.read_ir()
    model.reshape([1, 3, height, width])
    total = 0.0
    for op in model.get_ops():
        kind = op.get_type_name()
        if kind in ("Convolution", "GroupConvolution"):  # weights: (O, I, k, k) and (G, O / G, I / G, k, k)
            shape = op.get_output_shape(0)
        elif kind == "ConvolutionBackpropData":  # weights: (I, O, k, k)
            shape = op.get_input_shape(0)
        else:
            continue
        total += math.prod(shape) / shape[1] * math.prod(op.get_input_shape(1))
    return total / 1e9


def frame_times_s(pipelines: dict[str, Pipeline], frame: Frame, rounds: int) -> dict[str, list[float]]:
    """Seconds of each frame of each model; a round before the first warms up."""
    times: dict[str, list[float]] = {name: [] for name in pipelines}
    for number in range(rounds + 1):
        for name, pipeline in pipelines.items():
            for _ in range(FRAMES_A_ROUND.get(name, OTHERS_A_ROUND)):
                began = time.perf_counter()
                pipeline.process([frame])
                if number:
                    times[name].append(time.perf_counter() - began)
    return times


def measure(width: int, height: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each model."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # the U-Net need not stay in the user's cache of compiled networks
        write_unet(Path(folder), height, width)
        pipelines = {
            name: Pipeline(SegmentationConfig(model=str(path), device="CPU"))
            for name, path in {**available(), UNET: Path(folder)}.items()
        }
        times = frame_times_s(pipelines, StreetScene(width, height, frames=100).frame(10), rounds)
        seconds = {name: statistics.median(values) for name, values in times.items()}
        return [
            {
                "model": name,
                "type": pipeline.package.precision,
                "gmacs": gmacs(pipeline.package, height, width),
                "ms": seconds[name] * 1e3,
                "fps": 1 / seconds[name],
                "times_unet": seconds[UNET] / seconds[name],
            }
            for name, pipeline in pipelines.items()
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="rounds over all models (%(default)s)")
    parser.add_argument("--size", default="480x360", help="image size (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder of the JSON (%(default)s)")
    args = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed, so there is no U-Net to compare; install it with: pip install -e '.[train]'")
        return
    width, height = map(int, args.size.split("x"))
    rows = measure(width, height, args.rounds)
    hint = ov.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
    cores = len(os.sched_getaffinity(0))
    table = Table("model", "type", "GMACs", "ms", "FPS", "times U-Net", title=f"{args.size}, {cores} cores, {hint}")
    for r in rows:
        figures = (f"{r['gmacs']:.2f}", f"{r['ms']:.1f}", f"{r['fps']:.2f}", f"{r['times_unet']:.1f}")
        table.add_row(r["model"], r["type"], *figures)
    Console().print(table)
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"size": args.size, "cores": cores, "precision": hint, "models": rows}
    (args.out / "networks.json").write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
