"""cmt-seg train: runs a recipe; it can be stopped at any time and resumed with the same command."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from cmt_seg_ros.cli.console import new_console, say
from cmt_seg_ros.errors import ConfigError

EXAMPLES = """examples:
  cmt-seg train --data camvid --partial idd_lite --out runs/lite
  cmt-seg train --data mine --recipe end-to-end --out runs/mine
  cmt-seg train --data mine --network unet --out runs/unet
  cmt-seg train --data mine --recipe mine.yaml --from models/cmt-mchh-lite-camvid --out runs/mine
  cmt-seg train --list
  torchrun --nproc-per-node 4 -m cmt_seg_ros.cli.main train --data mine --out runs/mine

--data holds train/ and val/, each with images/*.png|jpg|webp and labels/<same name or number>.png (class ids), and
classes.yaml (not needed in folders named camvid or idd_lite). --partial holds the same, but its classes.yaml
lists which of the network's classes each id may stand for:
  unions:
  - {id: 0, name: living things, is: [Pedestrian, Bicyclist]}
The shares of the classes are printed first. A class without a pixel, or much that is no class, ends the command with
the likely cause; see --allow.
--recipe may be a YAML file: a base and the changes to it (keys: Recipe and Stage in training/recipe.py):
  base: end-to-end
  batch: 32
  network: {fusion: probabilities, semantic: {summing_steps: 1}}
  stages:
  - {name: "507 end to end", iterations: 2000, crop: [256, 320], weights: [0.5, 0.5]}
Every stage writes weights.safetensors and meta.yaml to its folder, and a checkpoint every 100 batches. After an
interruption, run the same command again: it resumes from the checkpoint, with the same result.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "train",
        help="train a network (needs the extra: pip install -e '.[train]')",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="data set folder with train/ and val/")
    parser.add_argument("--partial", type=Path, help="data set folder whose labels are unions of the classes of --data")
    parser.add_argument("--out", type=Path, help="folder for checkpoints, weights, scores and curves")
    parser.add_argument("--network", metavar="ROW", help="network of the zoo, trained by its own recipe")
    parser.add_argument("--recipe", help="name or YAML file (default: that of --network, else cmt-mchh-lite-camvid)")
    parser.add_argument("--from", dest="start", type=Path, metavar="FOLDER", help="start from the weights of this "
                        "model package or stage (default: the lite encoder starts from ImageNet)")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list the recipes and their stages, then exit")
    parser.add_argument(
        "--hold-out",
        default="",
        metavar="PREFIX",
        help="score on the frames of --data (train and val) whose names begin with PREFIX and train on all others: "
        "for video, a drive that training never saw",
    )
    parser.add_argument(
        "--allow",
        default="",
        metavar="WHAT,...",
        help="train on labels that are likely wrong: absent-class (a class without a pixel), foreign-ids (over 20 %% "
        "of the pixels have ids that are no class)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(%(default)s)")
    # torchrun says how many processes share the machine.
    threads = max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    parser.add_argument("--threads", type=int, default=threads, help="CPU threads of each process (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="threads that prepare batches (%(default)s)")
    parser.add_argument("--val-every", type=int, default=500, help="batches between scores on val (%(default)s)")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    try:
        import torch
    except ImportError as error:
        raise ConfigError("training needs torch; install it with: pip install -e '.[train]'") from error
    if args.list:
        return _list_recipes()
    for name in ("data", "out"):
        if getattr(args, name) is None:
            raise ConfigError(f"--{name} is missing; see cmt-seg train --help for examples")
    for name in ("threads", "workers", "val_every"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name.replace('_', '-')} is {getattr(args, name)}; it must be 1 or more")
    if args.start is not None and not (args.start / "weights.safetensors").is_file():
        raise ConfigError(f"--from {args.start} holds no weights.safetensors; give a model package (fp16) or a stage")
    torch.set_num_threads(args.threads)
    return _train(args)


def _train(args: argparse.Namespace) -> int:
    from cmt_seg_ros.training.curriculum import read_recipe, recipe_of
    from cmt_seg_ros.training.distributed import is_first
    from cmt_seg_ros.training.label_check import allowed
    from cmt_seg_ros.training.prepare import load_data
    from cmt_seg_ros.training.recipe import DEFAULT_ROW
    from cmt_seg_ros.training.trainer import Run

    name = args.recipe or recipe_of(args.network or DEFAULT_ROW)
    recipe = read_recipe(name)
    if args.network not in (None, recipe.row):
        raise ConfigError(f"--recipe {name} trains {recipe.row}, not --network {args.network}; give one of the two")
    first, allow = is_first(), allowed(args.allow)
    # Stage 501: load data.
    labels, space, data, val = load_data(args.data, args.partial, recipe, args.hold_out, allow)
    if first:
        say(f"501 data: {len(data.main)} labelled, {len(data.partial)} partly labelled, {len(data.synthetic)} "
              f"synthetic images for training, {len(val)} for validation")  # fmt: skip
    about = {
        "name": name,
        "data": args.data.resolve().name,
        "partial": args.partial.resolve().name if args.partial else "",
        "hold_out": args.hold_out,
        "start": str(args.start or ""),
    }
    scores = Run(recipe, labels, space, data, val, args.out, about, args.start, args.val_every, device=args.device,
                 workers=args.workers).run()  # fmt: skip
    if first:
        say(f"mIoU {scores['miou']:.4f}, objectness IoU {scores['objectness_iou']:.4f}; see {args.out}/curves.png")
    return 0


def _list_recipes() -> int:
    from rich.table import Table

    from cmt_seg_ros.training.curriculum import RECIPES

    for name, recipe in RECIPES.items():
        table = Table(
            "stage", "batches", "crop", "weights", "partial + synthetic", "frozen", title=f"{name} ({recipe.row})"
        )
        for s in recipe.stages:
            weights = ", ".join(f"{task} {weight:.2f}" for task, weight in s.task_weights.items() if weight)
            shares = f"{s.partial} + {s.synthetic} of {recipe.batch}"
            crop = f"{s.crop[1]}x{s.crop[0]}"
            table.add_row(s.name, str(s.iterations), crop, weights, shares, " ".join(s.frozen) or "nothing")
        new_console().print(table)
    return 0
