"""cmt-seg train: run a recipe; stop it at any time, the same command goes on."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.labels import CAMVID

EXAMPLES = """examples:
  cmt-seg train --data camvid --out runs/lite
  cmt-seg export --run runs/lite --data camvid --out models/cmt-mchh-lite-camvid --card camvid

--data holds train/ and val/, each with images/*.png|jpg|webp and labels/<same name>.png (class ids).
Every 100 batches are kept in checkpoint.pt: the same command goes on from there, with the same result.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "train",
        help="train a network (needs the extra: pip install -e '.[train]')",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="data set folder with train/ and val/")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, scores and curves")
    parser.add_argument("--recipe", default="cmt-mchh-lite-camvid", help="which recipe (%(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads (%(default)s)")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    try:
        import torch
    except ImportError as error:
        raise ConfigError("training needs torch; install it with: pip install -e '.[train]'") from error
    from cmt_seg_ros.networks.cmt_mchh import CmtMchh, CmtMchhConfig
    from cmt_seg_ros.training.curriculum import RECIPES
    from cmt_seg_ros.training.curves import draw_curves
    from cmt_seg_ros.training.datasets import read_folder
    from cmt_seg_ros.training.trainer import Trainer

    if args.recipe not in RECIPES:
        raise ConfigError(f"--recipe is {args.recipe!r}; known: {', '.join(RECIPES)}")
    recipe = RECIPES[args.recipe]
    train, val = read_folder(args.data / "train"), read_folder(args.data / "val")
    torch.set_num_threads(args.threads)
    torch.manual_seed(recipe.seed)
    network = CmtMchh(CmtMchhConfig(len(CAMVID), CAMVID.object_ids))
    network.encoder.load_imagenet()
    scores = Trainer(network, recipe, train, val, CAMVID, args.out).run()
    draw_curves(args.out)
    print(f"val mIoU {scores['miou']:.4f}, objectness IoU {scores['objectness_iou']:.4f}; all in {args.out}")
    return 0
