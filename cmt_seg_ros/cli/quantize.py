"""cmt-seg quantize: turns an fp16 model package into an INT8 one and compares the two."""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cmt_seg_ros.cli.console import say
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ConfigError, ModelError
from cmt_seg_ros.outputs import OutputFolder
from cmt_seg_ros.runtime.model_package import RUNTIME_FILES, ModelPackage
from cmt_seg_ros.runtime.pipeline import Pipeline

EXAMPLES = """examples:
  cmt-seg quantize cmt-mchh-lite-camvid --data camvid
  cmt-seg quantize models/mine --data mine --out models/mine-int8 --subset 128

--data holds train/images (images for calibration) and val/ with images/*.png|jpg|webp and
labels/<same name>.png (class ids of the model). Both networks are scored on val. If INT8 costs more than
0.5 points of mIoU, quantization is repeated with accuracy control, which takes many minutes. If it still costs
more, or labels fewer than 98 % of pixels as fp16 does, no package is written.
"""
FILES = (*RUNTIME_FILES, "model.yaml", "README.md")
MAX_LOSS = 0.005  # mIoU that INT8 may cost
MIN_AGREEMENT = 0.98  # share of pixels that INT8 must label as fp16 does


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "quantize",
        help="make an INT8 model package from an fp16 one (needs the extra: pip install -e '.[quantize]')",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="name or folder of an fp16 model package")
    parser.add_argument("--data", type=Path, required=True, help="data set folder with train/ and val/")
    parser.add_argument("--out", type=Path, help="folder to create (default: NAME-int8 beside the fp16 package)")
    parser.add_argument("--subset", type=int, default=64, help="number of calibration images (%(default)s)")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    package = ModelPackage.load(args.model)
    out = args.out or package.folder.with_name(f"{package.folder.name}-int8")
    _check(package, out, args.subset)
    results = OutputFolder(out)
    results.check(FILES)
    from cmt_seg_ros.deploy.card import write_int8_readme
    from cmt_seg_ros.deploy.measure import agreement, measure
    from cmt_seg_ros.deploy.quantize import calibration_images, quantize, quantize_controlled, write_quantized
    from cmt_seg_ros.training.datasets import read_folder

    images = calibration_images(args.data / "train" / "images", args.subset)
    val = [(s.image, s.labels) for s in read_folder(args.data / "val", len(package.labels))]
    fp16 = _pipeline(package)
    fp16_scores = measure(fp16, tqdm(val, "fp16 on val", unit="image"))
    with tempfile.TemporaryDirectory() as folder:  # a model that fails a check never becomes a package
        for controlled in (False, True):
            # Half of the allowed loss: accuracy control measures in f32, the check measures as the node runs.
            model = quantize_controlled(package, images, val, MAX_LOSS / 2) if controlled else quantize(package, images)
            int8 = _pipeline(write_quantized(package, model, Path(folder, str(controlled), out.name), {}))
            scores = measure(int8, tqdm(val, "INT8 on val", unit="image"))
            loss = round(fp16_scores["miou"] - scores["miou"], 4)
            if loss <= MAX_LOSS:
                break
            print(f"INT8 costs {100 * loss:.2f} points of mIoU, {100 * MAX_LOSS:g} are allowed")
        alike = agreement(fp16, int8, tqdm([image for image, _ in val], "labels of both", unit="image"))
    if loss > MAX_LOSS or alike < MIN_AGREEMENT:
        raise ModelError(
            f"INT8 of {package.name} costs {100 * loss:.2f} points of mIoU ({100 * MAX_LOSS:g} are allowed) and labels "
            f"{alike:.2%} of pixels as fp16 does ({MIN_AGREEMENT:.0%} are needed); nothing was written. "
            "Calibrate on more images (--subset), or on images more like those of val"
        )
    card = _card(args, package, out, scores, fp16_scores["miou"], alike, controlled, len(images))
    write_int8_readme(write_quantized(package, model, out, card), fp16_scores)
    for name in FILES:
        results.note(name)
    say(f"{out}: val mIoU {scores['miou']}, fp16 {fp16_scores['miou']}; both label {alike:.2%} of pixels alike")
    return 0


def _check(package: ModelPackage, out: Path, subset: int) -> None:
    """Refuse invalid input before the work, which takes minutes."""
    if importlib.util.find_spec("nncf") is None:
        raise ConfigError("quantizing needs nncf; install it with: pip install -e '.[quantize]'")
    if package.precision != "fp16":
        raise ModelError(f"{package.folder} is {package.precision} already; quantize the fp16 package it was made from")
    if out.resolve() == package.folder.resolve():
        raise ConfigError(f"--out {out} is the fp16 package itself; give another folder")
    if not 1 <= subset <= 10_000:
        raise ConfigError(f"--subset is {subset}; allowed: 1 to 10000 images")


def _pipeline(package: ModelPackage) -> Pipeline:
    return Pipeline(SegmentationConfig(model=str(package.folder), device="CPU"))


def _card(
    args: argparse.Namespace, package: ModelPackage, out: Path, scores: dict[str, Any], fp16_miou: float,
    alike: float, controlled: bool, calibrated_on: int,
) -> dict[str, Any]:  # fmt: skip
    """Return the keys of model.yaml that differ from those of the fp16 package."""
    return {
        "measured_on": f"{args.data.name} val",
        "reproduce": f"cmt-seg quantize {package.name} --data {args.data.name} --out {out.name} --subset {args.subset}",
        "quantization": {
            "of": package.name,
            "of_sha256": package.description["sha256"]["model.bin"],
            "calibrated_on": f"{calibrated_on} images of {args.data.name} train",
            "accuracy_control": controlled,
            "fp16_miou": fp16_miou,
            "label_agreement": round(alike, 5),
        },
        "scores": scores,
    }
