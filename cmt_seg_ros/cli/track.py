"""cmt-seg track: boxes or masks of files in, MOTChallenge results out."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from cmt_seg_ros.cli.console import say
from cmt_seg_ros.cli.terminal import DAMAGED, MASK_CLASSES, with_settings
from cmt_seg_ros.cli.track_input import open_boxes, open_masks
from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.outputs import OutputFolder
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.motchallenge import TrackRows
from cmt_seg_ros.tracking.overlay_file import Overlay
from cmt_seg_ros.tracking.tracker import Tracker

EXAMPLES = """examples:
  cmt-seg track --detections det.txt --fps 30 --size 1920x1080 --out result.txt
  cmt-seg track --masks masks --mask-classes binary --fps 7 --out result.txt
  cmt-seg track --masks masks --video drive.mp4 --out result.txt --overlay tracks.mp4
  cmt-seg track --masks masks --mask-classes camvid --fps 15 --out result.txt     also: a model, a data set
  cmt-seg track --masks masks --fps 15 --out result.txt --set max_lost_s=2 --set min_hits=2

after cmt-seg predict --images photos --out predicted:
  cmt-seg track --masks predicted --labels predicted --images photos --fps 15 --out result.txt

--detections: a line a box: frame (from 1), id (not used), left, top, width, height, score (0-1); also frames without
boxes count, up to the last one with a box or to --frames. Lines that cannot be used are named and skipped (exit status
3 then). --masks: one-channel images in the order of the numbers in their names, of two values (objects and the rest)
or with class ids (255 = unlabelled); which, says --mask-classes or a classes.yaml beside them, as cmt-seg predict
writes it. --labels, --images and --video belong to the masks of the same name or number.
writes a line for each track that was confirmed, in each frame that shows it, also in those before it was:
  frame,id,left,top,width,height,score,-1,-1,-1
"""


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "track",
        help="track objects through masks or boxes of files, without ROS",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--detections", type=Path, metavar="FILE", help="boxes of a detector, MOTChallenge rows")
    source.add_argument("--masks", type=Path, metavar="FOLDER", help="masks, binary or with class ids")
    parser.add_argument("--fps", type=float, help="frames per second; with --video: another rate than its own times")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="results, MOTChallenge rows")
    parser.add_argument("--size", type=_size, metavar="WxH", help="with --detections: size of the images, pixels")
    parser.add_argument("--labels", type=Path, metavar="FOLDER", help="masks with class ids beside binary --masks")
    parser.add_argument(MASK_CLASSES, "--legend", default="", metavar="NAME", help="what the values of --masks, or of "
                        "--labels, mean: binary (not 0 is an object), camvid, a model, or the folder of a model or of "
                        "a data set (classes.yaml of the masks' data set; without one, 255 is an object and 0 is "
                        "none)")  # fmt: skip
    pictures = parser.add_mutually_exclusive_group()
    pictures.add_argument(
        "--images", type=Path, metavar="FOLDER", help="the images: with --masks of the same names or numbers"
    )
    pictures.add_argument("--video", type=Path, metavar="FILE", help="the same as a video, with its times")
    parser.add_argument("--frames", type=int, default=0, help="stop after that many; of boxes: there are that many")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE",
                        help="a parameter of the tracker, as in config/tracker.yaml; can be repeated")  # fmt: skip
    parser.add_argument("--overlay", type=Path, metavar="FILE.mp4|FOLDER", help="draw the tracks, with ids and trails")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.fps is None and args.video is None:
        raise ConfigError("--fps is missing; only a video has times of its own. Give the frames per second")
    args.fps = 0.0 if args.fps is None else _positive(args.fps)
    if args.frames < 0:
        raise ConfigError(f"--frames is {args.frames}; it must be 1 or more, or 0 for all")
    (config,) = with_settings([TrackerConfig()], args.settings)
    _check_outputs(args)
    problems = Problems()
    labels, names, steps = open_boxes(args, problems) if args.detections else open_masks(args)
    tracker = Tracker(labels, config)
    results, seconds = TrackRows(), 0.0
    overlay = Overlay(args.overlay, labels, names) if args.overlay else None
    with _open_results(args.out) as file, overlay or nullcontext():
        for step in tqdm(steps, total=len(names), unit="frame", desc="tracking"):
            begun = time.perf_counter()
            tracks = step.track(tracker)
            seconds += time.perf_counter() - begun
            results.add(tracks)
            if overlay is not None:
                overlay.draw(step.name, step.stamp_ns, step.picture(), tracks)
        rows = results.rows()
        file.writelines(rows)
    per_frame = f"{1e3 * seconds / max(results.frames, 1):.2f} ms per frame"
    say(f"{results.frames} frames, {len(results.ids)} tracks, {len(rows)} rows in {args.out}; {per_frame}")
    if problems.counts:
        say(f"problems with {args.detections}: {sum(problems.counts.values())}, see above")
    if not results.frames:
        say(f"{args.detections} has no boxes: no frame shows an object, so there are no tracks")
    elif not results.ids:
        print(
            f"no object was tracked. A box begins a track with a score of {config.start_score:g} or more (--set "
            "start_score=...). Masks: are their values those of the classes (--mask-classes)?"
            f" An object must be seen in {config.min_hits} frames in a row (--set min_hits=...)"
        )
    return DAMAGED if problems.counts else 0


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse to write over what is read, and over what somebody else wrote."""
    names = ("detections", "masks", "labels", "images", "video")
    inputs = {path.resolve(): name for name in names if (path := getattr(args, name)) is not None}
    for option in ("out", "overlay"):
        path = getattr(args, option)
        if path is not None and path.resolve() in inputs:
            name = inputs[path.resolve()]
            raise ConfigError(f"--{option} {path} is what --{name} reads; give another one")
    OutputFolder(args.out.parent).check([args.out.name])


@contextmanager
def _open_results(path: Path) -> Iterator[TextIO]:
    """Open the results file, which is replaced at the end; a run that fails leaves what was there."""
    with ExitStack() as opened:
        try:
            fresh = opened.enter_context(OutputFolder(path.parent).replace(path.name))
            file = opened.enter_context(fresh.open("w", encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"--out {path} cannot be written: {error.strerror}; give another file") from error
        yield file


def _positive(fps: float) -> float:
    if not 0 < fps < 1e6:
        raise ConfigError(f"--fps is {fps:g}; it must be over 0 and under 1e6")
    return fps


def _size(text: str) -> tuple[int, int]:
    """(height, width) in pixels from text like 640x480."""
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError:
        width = height = 0
    if min(width, height) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no image size; give WIDTHxHEIGHT in pixels, e.g. 640x480")
    return height, width
