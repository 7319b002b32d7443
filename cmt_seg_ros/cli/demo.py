"""cmt-seg demo: the real nodes on a clip, then a report with pictures."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path

from cmt_seg_ros.cli.terminal import frame_bar, print_results
from cmt_seg_ros.config import SegmentationConfig, SourceConfig
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.folder import RESULTS_MARK, clear
from cmt_seg_ros.evaluation.job import Job

EXAMPLES = """examples:
  cmt-seg demo                         the synthetic street: 300 frames, exact ground truth
  cmt-seg demo --seed 7                another street
  cmt-seg demo --video drive.mp4       your video
  cmt-seg demo --images data/images    a folder of images; ground truth from data/labels, if there
  cmt-seg demo --bag my_bag            the first image topic of a rosbag2 folder, .mcap or ROS 1 .bag
  cmt-seg demo --device NPU,GPU,CPU    the first of these that works
  cmt-seg demo --every-frame           quality alone, on a slow machine
"""


MARK = ".cmt-seg-demo"  # in a folder that the demo may empty


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="run the real nodes on a clip and write a report with pictures",
        description="Starts segmentation, tracker, recorder and source as ROS 2 nodes on this machine, plays a clip "
        "through them and writes report.html, summary.json, overlay.mp4 and a bag.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    clip = parser.add_mutually_exclusive_group()
    clip.add_argument("--video", metavar="FILE", default="", help="a video file")
    clip.add_argument("--images", metavar="FOLDER", default="", help="a folder of images")
    clip.add_argument("--bag", metavar="BAG", default="", help="a rosbag2 folder, .mcap file or ROS 1 .bag")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("out/demo"), help="default: %(default)s")
    parser.add_argument("--frames", metavar="N", type=int, default=0, help="stop after N; default: all (scene: 300)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="which street the scene shows; default: 0")
    parser.add_argument("--model", default=SegmentationConfig.model, help="name or folder; default: %(default)s")
    parser.add_argument("--device", default=SegmentationConfig.device, help="OpenVINO devices; default: %(default)s")
    parser.add_argument(
        "--every-frame",
        action="store_true",
        help="drop nothing: the source waits for each mask, however slow the machine; latency is not measured then",
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        CmtSegError: ROS or the clip is missing, a node failed, nothing came out.
    """
    from cmt_seg_ros.evaluation.live.play import evaluate_live

    source = SourceConfig(video=args.video, images=args.images, bag=args.bag, frames=args.frames, scene_seed=args.seed)
    drop_policy = "none" if args.every_frame else SegmentationConfig.drop_policy
    segmentation = SegmentationConfig(model=args.model, device=args.device, drop_policy=drop_policy)
    if (args.out / RESULTS_MARK).exists() and not (args.out / MARK).exists():
        raise ConfigError(f"{args.out} has results that are not a demo's; give another folder with --out")
    clear(args.out)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            (args.out / MARK).open("x").close()
    except OSError as error:
        raise ConfigError(f"{args.out} cannot be written: {error}; give another folder with --out") from error
    summary = evaluate_live(Job("demo", str(args.out.resolve()), source, segmentation), frame_bar, video=True)
    print_results(summary, args.out / "report.html")
    return 0
