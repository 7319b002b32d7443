"""Identity links: does an object keep its id from frame to frame, on masks as the network makes them in real traffic?

CamVid val: a drive, 101 frames at 15 Hz, 480x360, with labels for every frame but no identities. These are made here:
the components (8-connected, 0.03 % of the image and more) of car, pedestrian and bicyclist in the true labels are
carried to the next frame by dense optical flow (DIS, preset medium, from that frame back to this). Component a of a
frame and b of the next are the same object if carried a and b are of one class, overlap by an IoU of 0.3 or more, and
neither overlaps another component more. For 5 and 3 Hz these links are chained over 3 and 5 frames, so that what is
true does not get harder to know at a low rate. Every third (fifth) frame then is a stream of its own, from each of the
first three (five) frames on, and all of its links count.

A link is kept by a method if what overlaps a best in the predicted masks and what overlaps b best, both of the same
class with an IoU of 0.3 or more, have the same id, whether the track is confirmed yet or not. It is visible if the
components of the predicted masks do overlap a and b that well: without that no method can know. The share is that of
the visible links; "of all" is that of all links. "wrong" is how often an id went from one object to another, one of
which has a link: giving all the same id keeps every link, too.

  plain overlap    predicted components of successive frames, paired so that the sum of their IoU is greatest
  carried by flow  the same after optical flow between the two frames has carried the first (the flow that the truth
                   was made with, too)
  ours             our tracker at its defaults

Prints a table for each rate and writes out/bench/camvid_links.json.

    python benchmarks/camvid_links.py --data FOLDER      FOLDER holds camvid/val/{images,labels}
    python benchmarks/camvid_links.py --data FOLDER --truth
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.links import (
    F32,
    LINKS,
    VISIBLE,
    Counts,
    Links,
    Objects,
    chained,
    components,
    count,
    flow,
    followed,
    mutual,
    tracked,
)
from support.report import DATA_VARIABLE, add_data, parser, run, save

from cmt_seg_ros.config import SegmentationConfig, SourceConfig, TrackerConfig
from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.sources import open_source
from cmt_seg_ros.structures import U8, Frame, Segmentation
from cmt_seg_ros.tracking.tracker import Tracker

FPS = 15.0
STEPS = (1, 3, 5)  # every so many-th frame: 15, 5 and 3 Hz
MIN_AREA_FRACTION = 0.0003


@dataclass(frozen=True, eq=False)
class Stream:
    """Frames that follow each other.

    Attributes:
        segmentations: their masks, predicted or true.
        images: (H, W, 3) uint8, blue, green, red.
    """

    segmentations: Sequence[Segmentation]
    images: Sequence[U8]

    @cached_property
    def components(self) -> list[Objects]:
        """Of the masks."""
        return [components(s.class_ids, CAMVID, MIN_AREA_FRACTION) for s in self.segmentations]

    @cached_property
    def flows(self) -> list[F32]:
        """From each frame but the first back to the one before it."""
        return [flow(now, before) for before, now in zip(self.images[:-1], self.images[1:], strict=True)]

    def every(self, step: int, phase: int) -> Stream:
        """Every so many-th frame of it."""
        return Stream(self.segmentations[phase::step], self.images[phase::step])


def ours(stream: Stream, with_images: bool = False) -> list[Objects]:
    """Track with our tracker."""
    tracker, found = Tracker(CAMVID, TrackerConfig()), []
    for masks, image in zip(stream.segmentations, stream.images, strict=True):
        height, width = masks.class_ids.shape
        found.append(tracked(tracker.update(masks, image if with_images else None), (height, width)))
    return found


METHODS: dict[str, Callable[[Stream], list[Objects]]] = {
    "plain overlap": lambda stream: followed(stream.components),
    "carried by flow": lambda stream: followed(stream.components, stream.flows),
    "ours": ours,
    "ours, with images": lambda stream: ours(stream, with_images=True),
}


def true_masks(frame: Frame) -> Segmentation:
    """The labels of a frame as its segmentation.

    Raises:
        CmtSegError: it has none.
    """
    if frame.truth is None:
        raise CmtSegError(f"frame {frame.name} has no labels; images/{frame.name}.* needs labels/{frame.name}.png")
    truth = frame.truth
    return Segmentation(frame.camera, frame.stamp_ns, truth.class_ids, truth.objectness, name=frame.name)


def true_links(truth: Stream) -> list[Links]:
    """From each frame but the last to the next."""
    pairs = zip(truth.components[:-1], truth.components[1:], truth.flows, strict=True)
    return [mutual(first.carried(back), second) for first, second, back in pairs]


def count_all(truth: Stream, whole: Stream, links: Sequence[Links], step: int) -> Counts:
    """Count over every ``step``-th frame, all phases together."""
    counts = Counts.none(list(METHODS))
    for phase in track(range(step), f"{FPS / step:g} Hz", transient=True):
        begins = range(phase, len(truth.images) - step, step)
        of_stream = [chained(links[begin : begin + step]) for begin in begins]
        stream = whole.every(step, phase)
        results = {name: follow(stream) for name, follow in METHODS.items()}
        counts.add(count(truth.components[phase::step], of_stream, stream.components, results))
    return counts


def table(title: str, counts: Counts) -> Table:
    """Share of links that each method kept, %, all classes and each."""
    links, visible = counts.links, counts.links[VISIBLE]
    classes = [c for c in CAMVID.object_ids if visible[c]]
    shares = Table("", "kept", *(CAMVID.name_of(c) for c in classes), "of all", "wrong", title=title)
    for name in METHODS:
        kept = links[name]
        parts = [(kept.total(), visible.total()), *((kept[c], visible[c]) for c in classes)]
        parts.append((kept.total(), links[LINKS].total()))
        shares.add_row(
            name, *(f"{100 * part / max(whole, 1):.1f}" for part, whole in parts), str(counts.wrong[name].total())
        )
    for name in (VISIBLE, LINKS):
        shares.add_row(name, str(links[name].total()), *(str(links[name][c]) for c in classes), style="dim")
    return shares


def measure(console: Console, args: Namespace) -> dict[str, Any]:
    """Run everything; prints a table each."""
    folder = args.data / "camvid" / "val" / "images"
    frames = list(open_source(SourceConfig(images=str(folder), fps=FPS)))
    images = [frame.pixels for frame in frames]
    truth = Stream([true_masks(frame) for frame in frames], images)
    whole = truth if args.truth else Stream(predicted(frames, args.model), images)
    masks = "true masks" if args.truth else f"masks of {args.model}"
    links, rates = true_links(truth), {}
    for step in STEPS:
        counts = count_all(truth, whole, links, step)
        rate = f"{FPS / step:g} Hz"
        console.print(table(f"% of the links kept at {rate}, {masks}", counts))
        rates[rate] = counts.as_dict(CAMVID)
    return {"masks": masks, "frames": len(frames), "rates": rates}


def predicted(frames: Sequence[Frame], model: str) -> list[Segmentation]:
    """Masks of a shipped model, on the CPU."""
    pipeline = Pipeline(SegmentationConfig(model=model, device="CPU"))
    if pipeline.labels.names != CAMVID.names:
        raise CmtSegError(f"the classes of {model} are {pipeline.labels.names}; they must be those of CamVid")
    return [pipeline.process([frame])[0] for frame in track(frames, model, transient=True)]


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--model", default="cmt-mchh-lite-camvid", help="that makes the masks (%(default)s)")
    arguments.add_argument("--truth", action="store_true", help="true masks instead of predicted ones")
    args = arguments.parse_args()
    if not args.data:
        print(f"no data: give --data, or set {DATA_VARIABLE}; see --help. There is nothing to measure without it")
    elif not (args.data / "camvid" / "val" / "images").is_dir():
        print(f"{args.data} has no camvid/val/images; see --help. There is nothing to measure without it")
    else:
        save(args.out, "camvid_links", measure(Console(), args))


if __name__ == "__main__":
    run(main)
