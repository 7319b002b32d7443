"""Combined result of several sequences: their records in a row, and a summary and a report of all."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TextIO, cast

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.checkpoint import read_records
from cmt_seg_ros.evaluation.folder import RECORDS, SEVERAL, TABLE, claimed
from cmt_seg_ros.evaluation.report.history import HistoryBuilder
from cmt_seg_ros.evaluation.results import write_summary
from cmt_seg_ros.evaluation.scores.frame_records import Record
from cmt_seg_ros.evaluation.scores.frame_scores import FrameTable
from cmt_seg_ros.evaluation.scores.summary import RunInfo, SequenceRow, Summary, all_matched, summarise
from cmt_seg_ros.evaluation.workers import Outcome
from cmt_seg_ros.labels import LabelSet

MAIN_SCORES = ("frames", "image_size_px", "masks", "objectness", "tracks", "panoptic", "temporal", "problems")


def combine(out: Path, outcomes: Sequence[Outcome]) -> Summary:
    """Write summary.json, frames.jsonl, frames.csv and report.html of all sequences together.

    Args:
        out: folder for them.
        outcomes: of the sequences, at least one with a summary, in the order they shall have.

    Returns:
        The content of summary.json; "sequences" has a row for each outcome.

    Raises:
        ConfigError: models with different classes; the folder has other files, or cannot be written.
    """
    from cmt_seg_ros.evaluation.report.report import write_report  # needs an extra

    done = [(outcome.job, outcome.summary) for outcome in outcomes if outcome.summary is not None]
    labels = [LabelSet.from_list(summary["classes"]) for _, summary in done]
    if any(other != labels[0] for other in labels):
        raise ConfigError("the sequences were evaluated with models of different classes; they have no common scores")
    with claimed(out, SEVERAL):
        history, info = HistoryBuilder(), _info([summary for _, summary in done], outcomes)
        with (out / RECORDS).open("w", encoding="utf-8") as file, closing(FrameTable(out / TABLE, labels[0])) as table:
            records = _copied([job.folder for job, _ in done], file)
            summary = summarise(records, labels[0], info, (history, table))
        summary["sequences"] = [_row(outcome) for outcome in outcomes]
        write_report(out, summary, history.history())
        write_summary(out, summary)
    return summary


def _copied(folders: Sequence[Path], file: TextIO) -> Iterator[Record]:
    """Yield the records of the folders, each written to the file."""
    for folder in folders:
        for record in read_records(folder):
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
            yield record


def _info(summaries: Sequence[Summary], outcomes: Sequence[Outcome]) -> RunInfo:
    first = summaries[0]
    counts: Counter[str] = Counter()
    lines: list[str] = []
    truth = all_matched()
    for summary in summaries:
        counts += Counter(summary["problems"]["counts"])
        lines += summary["problems"]["lines"]
        frames = summary["frames"]
        truth["without_truth"] += frames["without_truth"]
        truth["first_without_truth"] += frames["first_without_truth"]
        truth["truth_without_frame"] += frames["truth_without_frame"]
        truth["first_truth_without_frame"] += frames["first_truth_without_frame"]
    failed = sum(outcome.summary is None for outcome in outcomes)
    if failed:
        counts["not_evaluated"] = failed
        lines += [f"{o.job.name} was not evaluated: {o.error}" for o in outcomes if o.summary is None]
    timing = [summary["timing"] for summary in summaries]
    return RunInfo(
        clip=_names([outcome.job.name for outcome in outcomes]),
        mode=first["mode"],
        model=first["model"],
        settings={k: v for k, v in first["settings"].items() if k != "source"},
        problems={"counts": dict(counts), "lines": lines},
        truth=truth,
        device=first["timing"]["device"],
        wall_s=sum(t["wall_s"] or math.nan for t in timing),
        cpu_s=sum(t["cpu_s"] or math.nan for t in timing),
    )


def _names(names: Sequence[str]) -> str:
    """Return what to call all sequences together."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} sequences: {', '.join(names[:3])}{more}"


def _row(outcome: Outcome) -> SequenceRow:
    """Return a sequence's row in the summary of all: its main scores without tables of classes, or why it has none."""
    row: dict[str, object] = {"name": outcome.job.name, "error": outcome.error}
    whole: Mapping[str, object] = outcome.summary or {}
    for name in MAIN_SCORES:
        scores = whole.get(name)
        if isinstance(scores, dict):
            scores = {k: v for k, v in scores.items() if not isinstance(v, list) and not k.startswith("class_")}
        row[name] = scores
    return cast(SequenceRow, row)
