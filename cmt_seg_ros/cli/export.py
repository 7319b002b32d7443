"""cmt-seg export: a trained run becomes a model package, with parity and scores measured."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tqdm import tqdm

from cmt_seg_ros.errors import ConfigError, ModelError

EXAMPLES = """examples:
  cmt-seg export --run runs/lite --data camvid --out models/cmt-mchh-lite-camvid --card camvid
  cmt-seg export --run runs/mine --data mine --out models/mine
  cmt-seg export --run runs/mine/03_504_both_tasks_large_crops --data mine --out models/mine-504
"""
PARITY = 0.999  # share of pixels that the IR must label as torch does


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help="make a model package of a training run (needs the extra: pip install -e '.[train]')",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--run", dest="run_folder", type=Path, required=True, help="folder of cmt-seg train, or of one of its stages"
    )
    parser.add_argument("--data", type=Path, required=True, help="data set folder; its val/ is measured")
    parser.add_argument("--out", type=Path, required=True, help="folder that becomes the package")
    parser.add_argument(
        "--card", default="", choices=("", "camvid"), help="data and terms known by name; else not stated"
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
    from cmt_seg_ros.deploy.export import label_agreement, load_stage, write_package
    from cmt_seg_ros.deploy.measure import measure
    from cmt_seg_ros.runtime.pipeline import Pipeline
    from cmt_seg_ros.training.datasets import read_folder

    network, labels = load_stage(args.run_folder)
    val = read_folder(args.data / "val", len(labels))
    size = (val[0].labels.shape[0], val[0].labels.shape[1])
    card = card_for(args.card, args.data, args.out)
    with tempfile.TemporaryDirectory() as folder:  # what fails a check never becomes a package
        trial = write_package(network, labels, Path(folder) / args.out.name, size, card)
        agreement = label_agreement(trial, network, [s.image for s in val[:: max(1, len(val) // 10)]])
        if agreement < PARITY:
            raise ModelError(f"the IR labels {agreement:.4%} of pixels as torch does; {PARITY:.1%} are needed")
        pipeline = Pipeline(SegmentationConfig(model=str(trial.folder), device="CPU"))
        scores = measure(pipeline, ((s.image, s.labels) for s in tqdm(val, desc="scoring", unit="image")))
    scores["torch_parity"] = round(agreement, 5)
    package = write_package(network, labels, args.out, size, {**card, "scores": scores})
    write_readme(package)
    print(f"{args.out}: val mIoU {scores['miou']}, labels equal to torch on {agreement:.3%} of pixels")
    return 0
