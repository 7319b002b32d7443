"""cmt-seg predict: writes masks and overlays of images or a video, without ROS."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cmt_seg_ros.cli.console import say
from cmt_seg_ros.cli.terminal import DAMAGED, print_problems
from cmt_seg_ros.config import SegmentationConfig, SourceConfig
from cmt_seg_ros.errors import ConfigError, FrameError, SourceError
from cmt_seg_ros.images.drawing import draw_masks
from cmt_seg_ros.images.files import write_image
from cmt_seg_ros.images.pixels import to_bgr
from cmt_seg_ros.labels import LabelSet, write_classes
from cmt_seg_ros.outputs import OutputFolder
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.runtime.masks import default_masks
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.sources import open_source
from cmt_seg_ros.sources.images import frames_of
from cmt_seg_ros.structures import U8, Frame, Instance, Segmentation
from cmt_seg_ros.text import printable

EXAMPLES = """examples:
  cmt-seg predict --images photos --out masks
  cmt-seg predict --video drive.mp4 --out masks --model cmt-mchh-lite-camvid --device GPU,CPU
  cmt-seg predict --images photos --out masks --smoothing regions --smoothing-area-fraction 0.0003
  cmt-seg predict --images photos --out masks --top-k 3

writes for each image: <name>.png             class ids at the image's size (255 = unlabelled)
                       <name>_objectness.png  0 or 255
                       <name>_overlay.jpg     class colours over the image
and once:              classes.yaml           what the class ids mean, for cmt-seg track and evaluate
if the model finds instances:
                       <name>_instances.png   object of each pixel, 16 bits, 0 = none
                       <name>_instances.jsonl an object a line: id, class, score, box (left, top, width, height), area
with --top-k above 1:  <name>_top.npz         the k most probable classes, before threshold and smoothing:
                                              arrays class_ids and probabilities (0-255 for 0-1), both (k, H, W) uint8,
                                              most probable first; top = numpy.load("a_top.npz"); top["class_ids"][1]
An image that differs from another in its suffix only is called by its whole name: a.jpg.png, a.png.png, ...
Files that are there already are replaced only if cmt-seg wrote them.

exit status: 0 everything was predicted; 3 part of the input was damaged or refused, the rest was predicted; 1 nothing
could be predicted, or an option is wrong.
"""
ENDINGS = (".png", "_overlay.jpg", "_objectness.png", "_top.npz")
INSTANCE_ENDINGS = ("_instances.png", "_instances.jsonl")
# Settings of SegmentationConfig that are options by the same name.
SETTINGS = {
    "gate_labels": "what pixels that are no object become: none (they keep their class), unlabelled or background",
    "instance_threshold": "instances with a lower score are left out, 0-1",
    "top_k": "number of most probable classes per pixel to write",
    "score_threshold": "pixels with a lower probability become unlabelled, 0-1",
    "object_threshold": "pixels with a higher object probability are objects, 0-1",
    "mono16_range": "bits that the values of images of 16 bits use, 8-16 (12: 4095 is white), or auto",
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
    clip = SourceConfig(images=args.images, video=args.video)
    source = open_source(clip)
    pipeline = Pipeline(config)
    endings = (*ENDINGS[:3], *ENDINGS[3:] * (args.top_k > 1), *INSTANCE_ENDINGS * pipeline.package.has_instances)
    out = _open_folder(args, frames_of(clip, len(source)), endings)
    write_classes(args.out, pipeline.labels)
    what = printable(f"{pipeline.package.name} on {pipeline.engine.device}")
    with tqdm(total=len(source), unit="frame", desc=what) as bar, _telling(bar, args.out):
        written = 0
        for batch in _batches(iter(source), args.batch):
            frames = _checked(pipeline, batch, source.problems)
            results = (
                pipeline.segment(frames, [default_masks(pipeline.config, pipeline.package)] * len(frames))
                if frames
                else []
            )
            for frame, result in zip(frames, results, strict=True):
                _write(out, frame, result, pipeline, args.alpha)
            written += len(frames)
            bar.update(len(batch))
        count = bar.n + len(source.lost)
    if not written:
        raise SourceError(f"none of {count} frames can be segmented; the first: {source.problems.lines[0]}")
    lost = f" of {count}" if written < count else ""
    say(f"{written}{lost} frames: masks, objectness and overlays in {args.out}")
    print_problems(source.problems.lines, sum(source.problems.counts.values()))
    return DAMAGED if source.problems.counts else 0


def _open_folder(args: argparse.Namespace, frames: list[str] | int, endings: tuple[str, ...]) -> OutputFolder:
    """Open the folder for the results, once it is known that none of them replaces anything but older results."""
    if args.images and args.out.resolve() == Path(args.images).resolve():
        raise ConfigError(f"--out {args.out} is what --images reads; give another folder")
    names = [f"{number:06d}" for number in range(frames)] if isinstance(frames, int) else frames
    files = Counter(name + ending for name in names for ending in endings)
    twice = [name for name, count in files.items() if count > 1]
    if twice:
        raise ConfigError(f"{twice[0]} would be written for two of the images; rename one of them")
    out = OutputFolder(args.out)
    out.check(files)
    out.make()
    return out


@contextmanager
def _telling(bar: Any, out: Path) -> Iterator[None]:
    """Say how far it came when it is stopped."""
    try:
        yield
    except KeyboardInterrupt:
        bar.write(printable(f"stopped after {bar.n} of {bar.total} frames; their results are in {out}"))
        raise


def _checked(pipeline: Pipeline, frames: list[Frame], problems: Problems) -> list[Frame]:
    """Return the frames that can be inferred, as bright as they will be; the others are problems."""
    found = []
    for frame in frames:
        try:
            found.append(pipeline.check(frame))
        except FrameError as error:
            problems.add(error.reason, f"frame {frame.name} is lost: {error}")
    return found


def _batches(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    while batch := list(islice(frames, size)):
        yield batch


def _write(out: OutputFolder, frame: Frame, result: Segmentation, pipeline: Pipeline, alpha: float) -> None:
    mask, overlay, objectness, top = (frame.name + ending for ending in ENDINGS)
    write_image(out, mask, result.class_ids)
    image, ids = to_bgr(frame), result.instance_ids
    write_image(out, overlay, draw_masks(image, result.class_ids, result.objectness, pipeline.labels, alpha, ids))
    if result.objectness is not None:
        write_image(out, objectness, result.objectness)
    if result.top_ids is not None and result.top_scores is not None:
        _write_top(out, top, result.top_ids, result.top_scores)
    if ids is not None and result.instances is not None:
        write_image(out, frame.name + INSTANCE_ENDINGS[0], ids)
        _write_instances(out, frame.name + INSTANCE_ENDINGS[1], result.instances, pipeline.labels)


def _write_instances(out: OutputFolder, name: str, instances: Sequence[Instance], labels: LabelSet) -> None:
    """Write a line of JSON for each instance, in the words of COCO."""
    lines = []
    for one in instances:
        left, top, right, bottom = (round(v, 2) for v in one.box_px)
        row = {"id": one.instance_id, "category_id": one.class_id, "category": labels.name_of(one.class_id),
               "score": round(one.score, 4), "bbox": [left, top, round(right - left, 2), round(bottom - top, 2)],
               "area": one.area_px}  # fmt: skip
        lines.append(json.dumps(row) + "\n")
    with out.replace(name) as fresh:
        fresh.write_text("".join(lines), encoding="utf-8")


def _write_top(out: OutputFolder, name: str, class_ids: U8, probabilities: U8) -> None:
    try:
        with out.replace(name) as fresh, fresh.open("wb") as file:
            np.savez_compressed(file, class_ids=class_ids, probabilities=probabilities)
    except OSError as error:
        raise SourceError(
            f"cannot write {out.folder / name}: {error.strerror}; is the disk full or the folder read-only?"
        ) from error
