"""cmt-seg import: makes a model package of a network of any origin."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.cli.console import say
from cmt_seg_ros.cli.terminal import class_list
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.images.drawing import draw_masks
from cmt_seg_ros.images.files import read_image, write_image
from cmt_seg_ros.labels import LabelSet, known_names
from cmt_seg_ros.outputs import OutputFolder
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.structures import U8, Frame

EXAMPLES = """examples:
  cmt-seg import segformer.onnx --try street.jpg         with config.json and preprocessor_config.json beside it
  cmt-seg import net.onnx --classes cityscapes --mean 123.675,116.28,103.53 --scale 58.395,57.12,57.375
  cmt-seg import road.xml --classes names.txt --color bgr --mean 0 --scale 1
  cmt-seg import net.tflite --classes voc --objects person,car,bicycle
  cmt-seg import net.onnx --classes cityscapes --size 1024x512 --output aux=ignore --out models/mine

reads ONNX, OpenVINO IR (.xml and .bin), TFLite, Paddle and frozen TensorFlow (.pb). What the file, or a file beside it,
does not say is asked for. The package is checked against the bare model before it is written; then use it like any
other:
  cmt-seg predict --model NAME --images photos --out masks
"""
CARD = "README.md"
FILES = ("model.xml", "model.bin", "model.yaml", CARD)
TRIED = "try.jpg"
RESIZE = {
    "stretch": "to the network's size, whatever the image's shape",
    "keep-aspect": "to the area of the network's size; needs a network that takes any size",
    "letterbox": "into the network's size, with grey beside it",
}


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "import",
        help="make a model package of a network of your own: ONNX, OpenVINO IR, TFLite, Paddle",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("file", metavar="FILE", type=Path, help="the network")
    add("--name", default="", help="of the model (default: that of the file)")
    add("--out", metavar="DIR", type=Path, help="folder to create; its name is the model's name (default: ./NAME)")
    add("--classes", metavar="NAME|FILE", default="", help=f"{', '.join(known_names())}, a "
        "model package, or a file: one name a line, or as classes.yaml")  # fmt: skip
    add("--objects", metavar="A,B", help="classes that are objects (default: those that usually are)")
    add("--size", metavar="WxH", help="of the network's input, pixels, where the file leaves it open")
    add("--mean", metavar="V[,V,V]", help="subtracted from values 0-255, in the network's order of colours")
    add("--scale", metavar="V[,V,V]", help="what they are divided by then")
    add("--color", choices=("rgb", "bgr"), default="", help="order of the network's colours (default: rgb)")
    add("--layout", choices=("nchw", "nhwc"), default="", help="of its input, where the shape does not tell")
    add("--resize", choices=RESIZE, default="", help="; ".join(f"{name}: {what}" for name, what in RESIZE.items()))
    add("--output", metavar="NAME=ROLE", action="append", default=[], help="what an output is: logits, probabilities, "
        "class_ids, object_probability, boxes, box_scores, box_labels, box_masks, ignore; may be repeated")  # fmt: skip
    add(
        "--try",
        dest="photo",
        metavar="IMAGE",
        type=Path,
        help=f"write {TRIED}: the image, and what the model sees in it",
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from cmt_seg_ros.deploy.card import write_imported_readme
    from cmt_seg_ros.deploy.importing.original import Wishes
    from cmt_seg_ros.deploy.importing.package import import_model

    name = args.name or (args.out.name if args.out else args.file.stem)
    folder = args.out or Path(name)
    if folder.name != name or name in ("", ".", ".."):
        raise ConfigError(
            f"--name {name} and --out {folder} differ; the folder's name is the model's name: leave one out"
        )
    out = OutputFolder(folder)
    names = (*FILES, TRIED) if args.photo else FILES
    out.check(names)
    wishes = Wishes(
        labels=_classes(args.classes),
        size=_size(args.size),
        mean=_values(args.mean, "--mean"),
        scale=_values(args.scale, "--scale"),
        color=args.color,
        layout=args.layout,
        resize=args.resize,
        outputs=dict(map(_role, args.output)),
        objects=None if args.objects is None else [name.strip() for name in args.objects.split(",") if name.strip()],
    )
    photo = read_image(args.photo) if args.photo else None
    with tempfile.TemporaryDirectory() as trial:  # a model that fails the check never becomes a package
        package, said = import_model(args.file, wishes, Path(trial) / name, [] if photo is None else [photo])
        write_imported_readme(package)
        out.make()
        for file in FILES:
            with out.replace(file) as fresh:
                fresh.write_bytes((package.folder / file).read_bytes())
    for line in said:
        say(line)
    if photo is not None:
        write_image(out, TRIED, _picture(ModelPackage.load(str(folder)), photo))
        say(f"{folder / TRIED}: the image, and what the model sees in it")
    say(
        f"{folder}: labels pixels as {args.file.name} does; terms are those of the original, write them into model.yaml"
    )
    return 0


def _classes(name: str) -> LabelSet | None:
    from cmt_seg_ros.deploy.importing.classes import read_class_file

    return read_class_file(Path(name)) if Path(name).is_file() else class_list(name, "--classes")


def _size(text: str | None) -> tuple[int, int] | None:
    """Return (height, width) of a text like 512x256."""
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ConfigError(f"--size is {text!r}; give width and height, such as 1024x512")
    return int(height), int(width)


def _values(text: str | None, option: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        found = tuple(float(value) for value in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in (1, 3):
        raise ConfigError(f"{option} is {text!r}; give one number, or three with commas: 123.675,116.28,103.53")
    return found


def _role(text: str) -> tuple[str, str]:
    from cmt_seg_ros.deploy.importing.roles import ROLES

    name, _, role = text.rpartition("=")
    if not name or role not in ROLES:
        raise ConfigError(f"--output is {text!r}; give NAME=ROLE, where ROLE is one of {', '.join(ROLES)}")
    return name, role


def _picture(package: ModelPackage, photo: U8) -> U8:
    """Put an image and its overlay side by side, with the classes that are in it below."""
    pipeline = Pipeline(SegmentationConfig(model=str(package.folder), device="CPU"))
    found = pipeline.process([Frame("try", 0, photo)])[0]
    overlay = draw_masks(photo, found.class_ids, found.objectness, pipeline.labels, 0.6, found.instance_ids)
    both = np.hstack([photo, overlay])
    present = [k for k in np.unique(found.class_ids).tolist() if k < len(pipeline.labels)]
    row, columns = 24, max(1, both.shape[1] // 200)
    key = np.full((row * (-(-len(present) // columns)), both.shape[1], 3), 255, np.uint8)
    for place, k in enumerate(present):
        left, top = place % columns * 200, place // columns * row
        color = tuple(map(int, pipeline.labels.bgr_lut[k]))
        cv2.rectangle(key, (left + 4, top + 4), (left + 20, top + 20), color, -1)
        cv2.putText(key, pipeline.labels.name_of(k), (left + 26, top + 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1,
                    cv2.LINE_AA)  # fmt: skip
    return np.vstack([both, key])
