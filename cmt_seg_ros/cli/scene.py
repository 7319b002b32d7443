"""cmt-seg scene: renders the synthetic street and its ground truth to files."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from cmt_seg_ros.cli.console import say
from cmt_seg_ros.images.files import write_image
from cmt_seg_ros.outputs import OutputFolder
from cmt_seg_ros.street import StreetScene

EXAMPLES = """examples:
  cmt-seg scene --out street --frames 60 --seed 3
  cmt-seg predict --images street/images --out street/predicted

writes images/<k>.png, labels/<k>.png (class ids), instances/<k>.png (16 bit, object ids)
"""


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "scene",
        help="render the synthetic street with its ground truth",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the frames")
    parser.add_argument("--frames", type=int, default=150, help="number of frames (%(default)s)")
    parser.add_argument("--fps", type=float, default=15.0, help="frames per second (%(default)s)")
    parser.add_argument("--width", type=int, default=640, help="image width, pixels (%(default)s)")
    parser.add_argument("--height", type=int, default=360, help="image height, pixels (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the street (%(default)s)")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    scene = StreetScene(args.width, args.height, args.fps, args.frames, args.seed)
    out = {name: OutputFolder(args.out / name) for name in ("images", "labels", "instances")}
    for folder in out.values():
        folder.check(f"{index:06d}.png" for index in range(len(scene)))
        folder.make()
    for frame in tqdm(scene, total=len(scene), unit="frame", desc=f"street {args.seed}"):
        assert frame.truth is not None  # a synthetic scene has complete ground truth
        assert frame.truth.class_ids is not None and frame.truth.instance_ids is not None
        pictures = {"images": frame.pixels, "labels": frame.truth.class_ids, "instances": frame.truth.instance_ids}
        for name, picture in pictures.items():
            write_image(out[name], f"{frame.name}.png", picture)
    say(f"{len(scene)} frames with ground truth in {args.out}")
    return 0
