"""cmt-seg predict: writes masks and overlays of images or a video, without ROS."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cmt_seg_ros.config import SegmentationConfig, SourceConfig
from cmt_seg_ros.errors import ConfigError, SourceError
from cmt_seg_ros.files import replace_with
from cmt_seg_ros.images.drawing import draw_masks
from cmt_seg_ros.images.files import write_image
from cmt_seg_ros.images.pixels import to_bgr
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.sources import open_source
from cmt_seg_ros.structures import U8, Frame, Segmentation

EXAMPLES = """examples:
  cmt-seg predict --images photos --out masks
  cmt-seg predict --video drive.mp4 --out masks --model cmt-mchh-lite-camvid --device GPU,CPU
  cmt-seg predict --images photos --out masks --smoothing regions --smoothing-area-fraction 0.0003
  cmt-seg predict --images photos --out masks --top-k 3

writes for each image: <name>.png             class ids at the image's size (255 = unlabelled)
                       <name>_objectness.png  0 or 255
                       <name>_overlay.jpg     class colours over the image
with --top-k above 1:  <name>_top.npz         the k most probable classes, before threshold and smoothing:
                                              arrays class_ids and probabilities (0-255 for 0-1), both (k, H, W) uint8,
                                              most probable first; top = numpy.load("a_top.npz"); top["class_ids"][1]
"""
# Settings of SegmentationConfig that are options by the same name.
SETTINGS = {
    "top_k": "number of most probable classes per pixel to write",
    "score_threshold": "pixels with a lower probability become unlabelled, 0-1",
    "object_threshold": "pixels with a higher object probability are objects, 0-1",
    "smoothing": "none, regions (small regions take the class around them) or mode (majority in a window)",
    "smoothing_area_fraction": "regions: largest area of a small region, as a share of the image, 0-1",
    "smoothing_window_px": "mode: side of the window, pixels, odd, 3-31",
}


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    defaults = SegmentationConfig()
    parser = commands.add_parser(
        "predict",
        help="write masks and overlays of images or a video, without ROS",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", default="", help="folder of images")
    source.add_argument("--video", default="", help="video file")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", default=defaults.model, help="name or folder of a model package (%(default)s)")
    parser.add_argument("--device", default=defaults.device, help="devices in order of preference (%(default)s)")
    parser.add_argument("--batch", type=int, default=1, help="frames inferred together (%(default)s)")
    for name, what in SETTINGS.items():
        default = getattr(defaults, name)
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=type(default), default=default, help=f"{what} (%(default)s)")
    parser.add_argument("--alpha", type=float, default=defaults.overlay_alpha,
                        help="weight of the class colours in the overlay, 0-1 (%(default)s)")  # fmt: skip
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if not 1 <= args.batch <= 64:
        raise ConfigError(f"--batch is {args.batch}; allowed: 1 to 64")
    settings = {name: getattr(args, name) for name in SETTINGS}
    config = SegmentationConfig(model=args.model, device=args.device, overlay_alpha=args.alpha, **settings)
    source = open_source(SourceConfig(images=args.images, video=args.video))
    pipeline = Pipeline(config)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {args.out} cannot be created: {error.strerror}") from error
    with (
        tqdm(total=len(source), unit="frame", desc=f"{pipeline.package.name} on {pipeline.engine.device}") as bar,
        _telling(bar, args.out),
    ):
        for batch in _batches(iter(source), args.batch):
            for frame, result in zip(batch, pipeline.process(batch), strict=True):
                _write(args.out, frame, result, pipeline, args.alpha)
            bar.update(len(batch))
        written = bar.n
    print(f"{written} frames: masks, objectness and overlays in {args.out}")
    return 0


@contextmanager
def _telling(bar: Any, out: Path) -> Iterator[None]:
    """Say how far it came when it is stopped."""
    try:
        yield
    except KeyboardInterrupt:
        bar.write(f"stopped after {bar.n} of {bar.total} frames; their results are in {out}")
        raise


def _batches(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    while batch := list(islice(frames, size)):
        yield batch


def _write(out: Path, frame: Frame, result: Segmentation, pipeline: Pipeline, alpha: float) -> None:
    overlay = draw_masks(to_bgr(frame), result.class_ids, result.objectness, pipeline.labels, alpha)
    files: dict[str, U8] = {f"{frame.name}.png": result.class_ids, f"{frame.name}_overlay.jpg": overlay}
    if result.objectness is not None:
        files[f"{frame.name}_objectness.png"] = result.objectness
    for name, image in files.items():
        write_image(out / name, image)
    if result.top_ids is not None and result.top_scores is not None:
        _write_top(out / f"{frame.name}_top.npz", result.top_ids, result.top_scores)


def _write_top(path: Path, class_ids: U8, probabilities: U8) -> None:
    try:
        with replace_with(path) as fresh, fresh.open("wb") as file:
            np.savez_compressed(file, class_ids=class_ids, probabilities=probabilities)
    except OSError as error:
        raise SourceError(
            f"cannot write {path}: {error.strerror}; is the disk full or the folder read-only?"
        ) from error
