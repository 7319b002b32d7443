"""cmt-seg evaluate: every frame of bags, images or videos through model and tracker; scores, report, annotated bag."""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cmt_seg_ros.cli.console import say
from cmt_seg_ros.cli.terminal import DAMAGED, MASK_CLASSES, class_list, frame_bar, print_results, with_settings
from cmt_seg_ros.config import SegmentationConfig, SourceConfig, TrackerConfig
from cmt_seg_ros.errors import CmtSegError, ConfigError
from cmt_seg_ros.evaluation import workers
from cmt_seg_ros.evaluation.combine import combine
from cmt_seg_ros.evaluation.folder import SEVERAL, claimed, clear
from cmt_seg_ros.evaluation.inputs import find_inputs
from cmt_seg_ros.evaluation.job import Job
from cmt_seg_ros.evaluation.scores.summary import Summary
from cmt_seg_ros.evaluation.workers import Outcome
from cmt_seg_ros.text import printable

EXAMPLES = """examples:
  cmt-seg evaluate drive.mcap --out out/drive                     all cameras of a bag; truth where it has some
  cmt-seg evaluate drive_bag --topic /front/image_raw --ground-truth /front/labels --out out/drive
  cmt-seg evaluate old.bag --ground-truth labels --tolerance-ms 20 --out out/old      ROS 1; label images by stamp
  cmt-seg evaluate images --out out/images                        a folder; truth from the folder labels beside it
  cmt-seg evaluate clip.avi --masks masks --mask-classes binary --ground-truth gt.txt --out out/clip     tracker alone
  cmt-seg evaluate images --masks mine --mask-classes camvid --out out/mine           masks of another program
  cmt-seg evaluate bags --workers 4 --out out/all                 every bag of a folder, in four processes
  cmt-seg evaluate bags --cluster tcp://host:8786 --out out/all   on a Dask cluster
  cmt-seg evaluate drive.mcap --live --out out/live               through the real nodes, at the bag's own pace
  cmt-seg evaluate scene --frames 300 --out out/scene             the synthetic street, with exact ground truth
  cmt-seg compare out/a out/b                                     is the one better than the other?

writes to --out: report.html, summary.json, frames.csv (a row a frame), frames.jsonl, tracks.txt (MOTChallenge),
examples/, annotated/ (a bag for Foxglove: annotated/annotated.mcap with the layout config/foxglove.json). Of several
sequences: a folder each, and report, summary and tables of all. A run that was stopped goes on where it was when it
is started again.

exit status: 0 everything was evaluated; 3 part of the input was damaged or refused (the report lists it), the rest was
evaluated; 1 nothing could be evaluated, or an option is wrong. Frames that live nodes drop are counted, no damage.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    defaults = SegmentationConfig()
    parser = commands.add_parser(
        "evaluate",
        help="score model and tracker on every frame of bags, images or videos",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="bag (MCAP, SQLite, ROS 1), folder of bags or of "
                        "images, video; or 'scene'")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder for the results")
    parser.add_argument("--topic", action="append", default=[], help="image topic; can be repeated (all cameras)")
    truth = parser.add_argument_group("ground truth")
    truth.add_argument("--ground-truth", default="", metavar="TRUTH",
                       help="topic or folder of label images, or MOTChallenge text; {name} in it stands for the name "
                       "of the sequence, {camera} for the namespace of its topic (default: what lies in or beside the "
                       "input by its usual name)")  # fmt: skip
    truth.add_argument("--instances", default="", metavar="TRUTH", help="topic or folder of instance-id images")
    truth.add_argument("--legend", default="", metavar="NAME", help="what the true class ids mean: camvid, a model, a "
                       "folder with classes.yaml (classes.yaml of the labels' data set, else the same as the "
                       "predicted ones)")  # fmt: skip
    truth.add_argument("--truth-classes", default="", metavar="NAME,...", help="only tracks and true objects of these "
                       "classes count, such as pedestrian,person (all; of true boxes as TrackEval)")  # fmt: skip
    truth.add_argument("--tolerance-ms", type=float, default=0.0, help="stamps of image and truth may differ by it (0)")
    what = parser.add_argument_group("what is evaluated")
    what.add_argument("--model", default=defaults.model, help="name or folder of a model package (%(default)s)")
    what.add_argument("--device", default=defaults.device, help="devices in order of preference (%(default)s)")
    what.add_argument("--masks", default="", metavar="FOLDER", help="masks, one a frame, instead of a model's")
    what.add_argument(MASK_CLASSES, default="", metavar="NAME", help="what the values of --masks mean: binary (not 0 "
                      "is an object), camvid, a model, a folder with classes.yaml (classes.yaml of the masks' data "
                      "set, else the true classes; without those, 255 is an object and 0 is none)")  # fmt: skip
    what.add_argument("--use-images", action="store_true", help="the tracker gets the images, too")
    what.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE",
                      help="a parameter of config/segmentation.yaml or tracker.yaml; can be repeated")  # fmt: skip
    what.add_argument(
        "--fps", type=float, default=0.0, help="rate of images without stamps; of others a new rate (own)"
    )
    what.add_argument("--frames", type=int, default=0, help="stop after that many of each sequence (all)")
    what.add_argument("--seed", type=int, default=0, help="of 'scene' (0)")
    how = parser.add_argument_group("how it runs")
    how.add_argument("--live", action="store_true", help="through the real nodes at the clip's pace: latency and drops")
    how.add_argument("--workers", type=int, default=1, help="processes, a sequence each at a time (%(default)s)")
    how.add_argument("--cluster", default="", metavar="ADDRESS", help="scheduler of a Dask cluster, tcp://host:port")
    how.add_argument("--no-annotate", action="store_true", help="write no annotated bag: faster, smaller")
    how.add_argument("--fresh", action="store_true", help="delete earlier results in --out; do not go on with them")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if importlib.util.find_spec("jinja2") is None or importlib.util.find_spec("matplotlib") is None:
        raise ConfigError("the report needs jinja2 and matplotlib; pip install 'cmt_seg_ros[demo]'")
    jobs, failed = _jobs(args)
    if len(jobs) + len(failed) > 1:
        with claimed(args.out, SEVERAL):
            pass  # better refused now than after hours
    outcomes = list(_evaluate_live(jobs) if args.live else _evaluate(args, jobs))
    outcomes += [Outcome(job, None, error) for job, error in failed]
    order = {job.name: number for number, job in enumerate([*jobs, *(job for job, _ in failed)])}
    outcomes.sort(key=lambda outcome: order[outcome.job.name])
    return _tell(args.out, outcomes)


def _jobs(args: argparse.Namespace) -> tuple[list[Job], list[tuple[Job, str]]]:
    """Return what can be evaluated, and what cannot with the reason."""
    if args.workers < 1:
        raise ConfigError(f"--workers is {args.workers}; it must be 1 or more")
    if args.mask_classes and not args.masks:
        raise ConfigError(f"{MASK_CLASSES} says what --masks are; give --masks, too. What true ids mean says --legend")
    if args.live and (args.workers > 1 or args.cluster or args.masks):
        raise ConfigError("--live plays one clip after the other, through the model: no --workers, --cluster, --masks")
    clip = {"fps": args.fps, "frames": args.frames, "scene_seed": args.seed}
    truth = {"ground_truth": args.ground_truth, "instances": args.instances}
    source = SourceConfig(**clip, **truth, tolerance_ms=args.tolerance_ms)
    base = SegmentationConfig(model=args.model, device=args.device, drop_policy="oldest" if args.live else "none")
    segmentation, tracker = with_settings([base, TrackerConfig()], args.settings)
    if args.workers > 1 and not segmentation.num_threads:
        threads = max(1, len(os.sched_getaffinity(0)) // args.workers)
        segmentation = replace(segmentation, num_threads=threads)
    inputs = find_inputs(args.inputs, args.topic, source)
    jobs, failed = [], []
    for one in inputs:
        job = Job(
            name=one.name,
            out=str(args.out.resolve() if len(inputs) == 1 else args.out.resolve() / one.name),
            source=one.source,
            segmentation=segmentation,
            tracker=tracker,
            use_images=args.use_images,
            masks=args.masks and str(Path(args.masks.replace("{name}", one.name)).expanduser().resolve()),
            mask_labels=class_list(args.mask_classes, MASK_CLASSES),
            truth_labels=class_list(args.legend),
            truth_classes=tuple(name.strip().casefold() for name in args.truth_classes.split(",") if name.strip()),
            annotate=not args.no_annotate,
        )
        if job.folder.is_symlink() and len(inputs) > 1:
            raise ConfigError(f"{job.folder} is a link; results are written to folders only. Remove it")
        if one.error:
            failed.append((job, one.error))
        else:
            jobs.append(job)
    if args.fresh:
        clear(*dict.fromkeys([*(job.folder for job in jobs), *(job.folder for job, _ in failed), args.out.resolve()]))
    return jobs, failed


def _evaluate(args: argparse.Namespace, jobs: list[Job]) -> Iterator[Outcome]:
    """Evaluate with a progress bar over all frames; prints a line for each sequence of several."""
    done: dict[str, int] = {}
    totals: dict[str, int] = {}
    with frame_bar(None, "evaluating") as bar:

        def progress(job: Job, frames: int, total: int) -> None:
            done[job.name], totals[job.name] = frames, total
            # What has not begun yet is guessed to be as long as the others.
            bar.total = round(sum(totals.values()) * len(jobs) / len(totals))
            bar.update(sum(done.values()) - bar.n)

        if args.cluster:
            outcomes = workers.on_cluster(jobs, args.cluster, progress)
        elif args.workers > 1:
            outcomes = workers.in_processes(jobs, args.workers, progress)
        else:
            outcomes = workers.in_turn(jobs, progress)
        for number, outcome in enumerate(outcomes, start=1):
            if len(jobs) > 1:
                result = outcome.error or _headline(outcome.summary)
                bar.write(printable(f"[{number}/{len(jobs)}] {outcome.job.name}: {result}"))
            if outcome.summary is not None and outcome.job.name not in done:
                bar.write(printable(f"{outcome.job.name} was evaluated before; --fresh does it again"))
            yield outcome


def _evaluate_live(jobs: list[Job]) -> Iterator[Outcome]:
    """Play one clip after the other; one that cannot be played does not stop the others."""
    from cmt_seg_ros.evaluation.live.play import evaluate_live

    for job in jobs:
        if len(jobs) > 1:
            say(job.name, flush=True)
        try:
            yield Outcome(job, evaluate_live(job, frame_bar))
        except CmtSegError as error:
            yield Outcome(job, None, str(error))


def _headline(summary: Summary | None) -> str:
    if summary is None:
        return "nothing"
    frames, masks, tracks = summary["frames"], summary["masks"], summary["tracks"]
    words = [f"{frames['evaluated']} of {frames['in']} frames"]
    scores = {"mIoU": masks and masks["mean_iou"], "HOTA": tracks and tracks["hota"]}
    return ", ".join([*words, *(f"{name} {100 * v:.2f} %" for name, v in scores.items() if v is not None)])


def _tell(out: Path, outcomes: list[Outcome]) -> int:
    """Print the results; returns the exit status."""
    summaries = [outcome.summary for outcome in outcomes if outcome.summary is not None]
    errors = [f"{outcome.job.name}: {outcome.error}" for outcome in outcomes if outcome.summary is None]
    if not summaries:
        raise ConfigError("nothing was evaluated: " + "; ".join(errors))
    summary = summaries[0] if len(outcomes) == 1 else combine(out, outcomes)
    print_results(summary, out / "report.html")
    return DAMAGED if summary["problems"]["counts"] else 0
