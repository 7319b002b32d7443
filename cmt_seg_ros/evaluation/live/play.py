"""Live evaluation: a clip is played through the real nodes at its own pace, recorded, and scored."""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cmt_seg_ros.config.fields import changed
from cmt_seg_ros.errors import ConfigError, SourceError
from cmt_seg_ros.evaluation import checkpoint
from cmt_seg_ros.evaluation.checkpoint import RunState
from cmt_seg_ros.evaluation.folder import LIVE, claimed, clear
from cmt_seg_ros.evaluation.inputs import absolute
from cmt_seg_ros.evaluation.job import Job
from cmt_seg_ros.evaluation.live.join import ARRIVALS, BAG, LIVE_TIMES, LOGS, SENT, joined, played_s
from cmt_seg_ros.evaluation.live.recording import Header, Recording
from cmt_seg_ros.evaluation.results import run_info
from cmt_seg_ros.evaluation.scores.summary import RunInfo, Summary
from cmt_seg_ros.evaluation.sequence import ResultStream, open_clip, score
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.node_processes import NodeGroup, NodeProcess, domain_id, wait_until
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.sources.clip import Clip

RECORDED = (
    *("segmentation/mask", "segmentation/objectness", "segmentation/confidence", "segmentation/label_info"),
    *("tracking/tracks", "tracking/instances", "/diagnostics"),
)
DRAIN_S, QUIET_S = 20.0, 1.0

Bar = Callable[[int, str], Any]
"""Called as ``bar(total, what)``: a progress bar as tqdm's, to be used in a ``with`` block."""


def evaluate_live(job: Job, bar: Bar, video: bool = False) -> Summary:
    """Play a clip through the nodes, record what they publish, and score it.

    Args:
        job: what to play; live, the model runs as its ``drop_policy`` says.
        bar: makes a progress bar.
        video: whether to film the overlay.

    Returns:
        The content of summary.json.

    Raises:
        CmtSegError: ROS or the clip is missing, a node failed, nothing came out.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise ConfigError("playing live needs ROS 2 (rclpy); run `make setup`, or source your ROS distribution")
    with claimed(job.folder, job.fingerprint(live=True)):
        if summary := checkpoint.finished(job.folder, job.fingerprint(live=True)):
            return summary
        problems, labels = Problems(), ModelPackage.load(job.segmentation.model).labels
        clip = open_clip(job, labels, problems)  # what cannot be opened fails here, not in a node
        clear(job.folder, claimed=True)
        (job.folder / LIVE / LOGS).mkdir(parents=True)
        used = _play(job, len(clip), bar, video)
        state = checkpoint.resume(job.folder, job.fingerprint(live=True))
        state.problems = problems
        with bar(len(clip), "scoring") as shown:
            return score(job, state, _recorded(job, clip, labels, used), lambda done, total: shown.update())


def _recorded(job: Job, clip: Clip, labels: LabelSet, used: dict[str, dict[str, float]]) -> ResultStream:
    """Read back what the nodes made of the clip.

    Args:
        job: as of :func:`evaluate_live`.
        clip: what was played.
        labels: of the model.
        used: CPU time and memory of each node.

    Raises:
        SourceError: the recording is missing, or of another model.
    """
    folder = job.folder / LIVE
    header = Recording(folder / BAG, problems=clip.problems).header
    if header.labels is not None and header.labels != labels:
        raise SourceError("the recorded masks are of other classes than the model's; were other nodes running?")
    device = next((status["device"] for status in header.diagnostics.values() if "device" in status), "")

    def info(state: RunState) -> RunInfo:
        return replace(
            run_info(job, state, clip, header.model, device),
            mode="live",
            wall_s=played_s(folder),
            cpu_s=math.nan,
            dropped=_dropped(header),
            nodes=used,
            diagnostics=header.diagnostics,
        )

    return ResultStream(
        clip,
        labels,
        header.model,
        results=joined(clip, folder),
        again=lambda wanted: (result for result in joined(clip, folder) if result.index in wanted),
        info=info,
        times=LIVE_TIMES,  # those of this process say nothing of the nodes
    )


def _dropped(header: Header) -> dict[str, int]:
    """Read how many frames segmentation_node says it has dropped, by reason."""
    start = "dropped."
    found: dict[str, int] = {}
    for name, values in header.diagnostics.items():
        if "segmentation_node" in name:
            found |= {k[len(start) :]: int(v) for k, v in values.items() if k.startswith(start) and v.isdigit()}
    return found


def _play(job: Job, total: int, bar: Bar, video: bool) -> dict[str, dict[str, float]]:
    """Run the nodes until the clip is over; return what each of them used, see ChildProcess.usage."""
    print(f"starting the nodes (ROS domain {domain_id()}, this machine only)", flush=True)
    lossless, folder = job.segmentation.drop_policy == "none", job.folder.resolve() / LIVE
    source = replace(job.source, drop_policy=job.segmentation.drop_policy, sent_file=str(folder / SENT))
    with NodeGroup(folder / LOGS) as nodes:
        first = [
            nodes.start("segmentation_node", changed(job.segmentation)),
            nodes.start("tracker_node", {**changed(job.tracker), "use_images": job.use_images}),
            nodes.start("recorder_node", {"out": str(folder), "topics": list(RECORDED), "video": video}),
        ]
        nodes.wait_ready(first)
        # Live, a stamp is the time of sending; if the source waits, the clip's own stamps keep its speed.
        player = nodes.start("source_node", {**changed(absolute(source)), "keep_stamps": lossless})
        nodes.wait_ready([player])
        _watch(nodes, player, folder / ARRIVALS, total, bar)
        used = {node.name: node.usage() for node in first}
        if player.status != 0:
            raise player.failure(f"ended with status {player.status}")
        for node in nodes.stop():
            raise node.failure(f"ended with status {node.status}")
    return used


def _watch(nodes: NodeGroup, player: NodeProcess, arrivals: Path, total: int, bar: Bar) -> None:
    """Show masks coming in until the source has ended and nothing more comes.

    Raises:
        CmtSegError: a node ended before.
    """
    counter = _Counter(arrivals)
    with bar(total, "masks") as shown:

        def step() -> bool:
            nodes.check(but=player)
            if new := counter.masks() - shown.n:
                shown.update(new)
            return player.status is not None

        while not step():
            time.sleep(0.1)
        # The last results may still be under way.
        wait_until(lambda: step() and counter.quiet_s() > QUIET_S, DRAIN_S)


class _Counter:
    """Reader of arrivals.csv while it is written."""

    def __init__(self, path: Path) -> None:
        self._path, self._read, self._masks, self._changed = path, 0, 0, time.monotonic()

    def masks(self) -> int:
        """Return how many masks were recorded so far."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        if new:
            self._read += len(new)
            self._masks += new.count(b"/segmentation/mask,")
            self._changed = time.monotonic()
        return self._masks

    def quiet_s(self) -> float:
        """Return the seconds since the last row."""
        return time.monotonic() - self._changed
