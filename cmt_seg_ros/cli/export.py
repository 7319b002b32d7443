"""cmt-seg export: turns a trained run into a model package and measures its parity and scores."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from cmt_seg_ros.cli.console import say
from cmt_seg_ros.errors import ConfigError, ModelError
from cmt_seg_ros.outputs import OutputFolder

if TYPE_CHECKING:
    from cmt_seg_ros.training.datasets import Sample

EXAMPLES = """examples:
  cmt-seg export --run runs/lite --data camvid --out models/cmt-mchh-lite-camvid --card camvid
  cmt-seg export --run runs/mine --data mine --out models/mine
  cmt-seg export --run runs/mine/03_504_both_tasks_large_crops --data mine --out models/mine-504
"""
FILES = ("model.xml", "model.bin", "weights.safetensors", "model.yaml", "README.md")
PARITY = 0.999  # share of pixels that the IR must label as torch does


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help="make a model package from a training run (needs the extra: pip install -e '.[train]')",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--run", dest="run_folder", type=Path, required=True, help="run folder of cmt-seg train, or one of its stages"
    )
    parser.add_argument("--data", type=Path, required=True, help="data set folder; the model is scored on its val/")
    parser.add_argument("--out", type=Path, required=True, help="folder to create; its name is the model's name")
    parser.add_argument(
        "--card", default="", choices=("", "camvid"), help="data and terms to put on the card (default: not stated)"
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ConfigError("exporting needs torch; install it with: pip install -e '.[train]'") from error
    from cmt_seg_ros.config import SegmentationConfig
    from cmt_seg_ros.deploy.card import card_for, write_readme
    from cmt_seg_ros.deploy.export import add_to_description, label_agreement, load_stage, write_package
    from cmt_seg_ros.deploy.measure import measure
    from cmt_seg_ros.runtime.pipeline import Pipeline

    out = OutputFolder(args.out)
    out.check(FILES)
    stage = load_stage(args.run_folder)
    card = card_for(args.card, stage.run, args.run_folder, args.out)
    val = _scored_on(args.data, stage.run["hold_out"], len(stage.labels))
    with tempfile.TemporaryDirectory() as folder:  # a model that fails a check never becomes a package
        trial = write_package(stage.network, stage.labels, Path(folder) / args.out.name, stage.input_size, card)
        agreement = label_agreement(trial, stage.network, [s.image for s in val[:: max(1, len(val) // 10)]])
        if agreement < PARITY:
            raise ModelError(f"the IR labels {agreement:.4%} of pixels as torch does; {PARITY:.1%} are needed")
        pipeline = Pipeline(SegmentationConfig(model=str(trial.folder), device="CPU"))
        scores = measure(pipeline, ((s.image, s.labels) for s in tqdm(val, desc="scoring", unit="image")))
        scores["torch_parity"] = round(agreement, 5)
        write_readme(add_to_description(trial, {"scores": scores}, args.out))
    for name in FILES:
        out.note(name)
    say(f"{args.out}: mIoU {scores['miou']}, labels equal to torch on {agreement:.3%} of pixels")
    return 0


def _scored_on(data: Path, hold_out: str, num_classes: int) -> list[Sample]:
    """Return the frames that training did not see: val, or those the run held out."""
    from cmt_seg_ros.training.datasets import read_folder

    val = read_folder(data / "val", num_classes)
    if not hold_out:
        return val
    return [s for s in read_folder(data / "train", num_classes) + val if s.name.startswith(hold_out)]
