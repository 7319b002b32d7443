"""cmt-seg record: records input and results of the running nodes into a bag."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import re
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.live import Live
from rich.table import Table

from cmt_seg_ros.cli.console import new_console
from cmt_seg_ros.config import RECORDABLE, RECORDING_FILES, RecorderConfig
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.node_processes import ChildProcess, NodeGroup

EXAMPLES = f"""examples:
  cmt-seg record                                          camera /camera: image_raw and all usual results, until Ctrl-C
  cmt-seg record --transport compressed --duration 60     one minute, with the camera's jpegs: far smaller
  cmt-seg record --namespace /front --namespace /rear --out drive_1    two cameras, a folder each
  cmt-seg record --no-input --topics tracking/tracks segmentation/label_info    only the tracks
  cmt-seg record --all --video                            all topics, including overlays, and a video of the overlay
  cmt-seg evaluate drive_1/front/bag --out out/front      later: score what was recorded

{textwrap.fill("topics: " + ", ".join(RECORDABLE), 116, subsequent_indent="  ")}
Recording subscribes: a mask or overlay without other subscribers is computed for the recording.

writes to --out (one folder per camera if there are several): bag/ (rosbag2, MCAP), arrivals.csv (arrival time of
each image, mask and list of tracks), recording.json (messages received and lost, by topic), overlay.mp4 with
--video, and recorder_node.log.

exit status: 0 recorded; 1 nothing was recorded, messages were lost (a full disk ends the recording), or an option is
wrong.
"""
LOOK_S, HINT_S, LINE_S = 0.2, 5.0, 5.0
_NAMESPACE = re.compile(r"/?|/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*")


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "record",
        help="record input and output of the running nodes as MCAP",
        description="Records input and output of the running nodes, in this shell's ROS domain. Stop it with Ctrl-C.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--namespace", action="append", metavar="NAME",
                        help="namespace of a camera; can be repeated (/camera)")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: recording_<date>_<time>")
    parser.add_argument("--input", default=RecorderConfig.image_topic, metavar="TOPIC",
                        help="topic of the camera's images; its camera_info is recorded too (%(default)s)")  # fmt: skip
    parser.add_argument("--transport", choices=("raw", "compressed"), default="raw",
                        help="compressed: record TOPIC/compressed instead (%(default)s)")  # fmt: skip
    parser.add_argument("--no-input", action="store_true", help="do not record the camera's images")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--topics", nargs="+", metavar="TOPIC", help=f"default: {' '.join(RecorderConfig.topics)}")
    which.add_argument("--all", action="store_true", help="all topics listed below")
    parser.add_argument("--video", action="store_true", help="also write the overlay as a video, overlay.mp4")
    parser.add_argument("--duration", type=float, default=0.0, metavar="S", help="stop after this many seconds")
    parser.add_argument("--use-sim-time", action="store_true", help="take the time from /clock, as the nodes do")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        CmtSegError: ROS is missing, an option is wrong, there is a recording already, or a recorder failed.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise ConfigError("record needs ROS 2 (rclpy); run `make setup`, or source your ROS distribution")
    if not 0 <= args.duration < 1e9:
        raise ConfigError(f"--duration is {args.duration:g}; it must be a number of seconds, or 0 for no end")
    config = RecorderConfig(
        topics=RECORDABLE if args.all else tuple(args.topics or RecorderConfig.topics),
        input=not args.no_input,
        image_topic=args.input,
        transport=args.transport,
        video=args.video,
    )
    out = args.out or Path(time.strftime("recording_%Y-%m-%d_%H-%M-%S"))
    cameras = _cameras(args.namespace or ["/camera"], out.resolve())
    # The shell's own ROS domain: that is where the nodes are.
    environment = {**os.environ, "RCUTILS_COLORIZED_OUTPUT": "0"}
    with NodeGroup(out, environment) as nodes:
        recorders = []
        for camera in cameras:
            values = {**dataclasses.asdict(config), "out": str(camera.folder), "use_sim_time": args.use_sim_time}
            recorders.append(nodes.start("recorder_node", values, camera.namespace, camera.folder))
        try:
            nodes.wait_ready(recorders)
            _watch(nodes, cameras, args.duration)
        except KeyboardInterrupt:
            pass  # the usual way to stop it
        stopped = nodes.stop()
    return _tell(cameras, stopped)


def _cameras(namespaces: Sequence[str], out: Path) -> list[Camera]:
    """Return the cameras; one records into the folder itself, several into a folder each, made here.

    Raises:
        ConfigError: a name is not allowed or occurs twice, or there is a recording already.
    """
    names = [name.strip("/") for name in namespaces]
    wrong = [name for name in namespaces if not _NAMESPACE.fullmatch(name.rstrip("/"))]
    if wrong or len(set(names)) != len(names):
        raise ConfigError(f"--namespace is {', '.join(namespaces)}; give names such as /camera, each once")
    cameras = []
    for name in names:
        folder = out / (name.replace("/", "_") or "root") if len(names) > 1 else out
        there = [file for file in RECORDING_FILES if (folder / file).exists()]
        if there:
            raise ConfigError(f"{folder} has {there[0]} already, which is not replaced; give another folder with --out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be made: {error.strerror}; give another folder with --out") from error
        cameras.append(Camera(f"/{name}", folder))
    return cameras


def _watch(nodes: NodeGroup, cameras: Sequence[Camera], duration_s: float) -> None:
    """Show how much is recorded until the time is over, or a recorder has a full disk.

    Raises:
        CmtSegError: a recorder has ended.
    """
    console, begun, told, hinted = new_console(), time.monotonic(), 0.0, False
    console.print(f"recording ROS domain {os.environ.get('ROS_DOMAIN_ID') or '0'}; Ctrl-C ends it")
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not duration_s or time.monotonic() - begun < duration_s:
            if any(camera.read().error for camera in cameras):
                return
            nodes.check()
            past_s = time.monotonic() - begun
            if console.is_terminal:
                live.update(overview(cameras, past_s), refresh=True)
            elif past_s - told > LINE_S:  # in a file or a CI log a line now and then is enough
                told = past_s
                console.print(overview(cameras, past_s), soft_wrap=True)
            if not hinted and past_s > HINT_S:
                hinted = True
                for camera in cameras:
                    if not camera.read().came:
                        console.print(_hint(camera), soft_wrap=True)
            time.sleep(LOOK_S)


def _hint(camera: Camera) -> str:
    return f"nothing comes from {camera.namespace}; is the namespace right (`cmt-seg top` shows the running nodes)?"


def _tell(cameras: Sequence[Camera], stopped: Sequence[ChildProcess]) -> int:
    """Print what was recorded; return the exit status.

    Raises:
        CmtSegError: a recorder failed.
    """
    told = {camera.folder for camera in cameras if camera.read().error}
    for node in stopped:
        if node.log.parent not in told:
            raise node.failure(f"ended with status {node.status}")
    console, status = new_console(), 0
    for camera in cameras:
        state = camera.read()
        console.print(summary(camera, state))
        issue = _issue(camera, state)
        if issue:
            status = 1
            console.print(issue, soft_wrap=True)
    return status


def _issue(camera: Camera, state: State) -> str:
    """Return what is wrong with a recording, or an empty string."""
    log = camera.folder / "recorder_node.log"
    if state.error:
        return f"{camera.namespace}: the recording ended early, {state.lost} messages are lost: {state.error}"
    if not state.finished:
        return f"{camera.namespace}: the recording is incomplete; see {log}"
    if state.lost:
        return f"{camera.namespace}: {state.lost} messages were lost; see {log}, and record fewer topics"
    return "" if state.came else f"{camera.namespace}: nothing was recorded; {_hint(camera)}"


NOBODYS = ("/diagnostics", "/clock")  # published by all nodes, so they say nothing about one camera


@dataclass(frozen=True)
class State:
    """Recording state, read from the recorder's ``recording.json``.

    Attributes:
        finished: all files are complete.
        topics: counts ``messages``, ``bytes``, ``lost`` and ``failed`` of each topic, by its name.
        error: why it ended early; empty: it did not.
    """

    finished: bool = False
    topics: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    error: str = ""

    def total(self, key: str) -> int:
        """Return the sum over all topics."""
        return sum(row[key] for row in self.topics.values())

    @property
    def came(self) -> int:
        """Messages of the camera itself."""
        return sum(row["messages"] for name, row in self.topics.items() if name not in NOBODYS)

    @property
    def lost(self) -> int:
        """Messages that were sent and are not in the recording."""
        return self.total("lost") + self.total("failed")


@dataclass(frozen=True)
class Camera:
    """A camera that is recorded.

    Attributes:
        namespace: namespace of its topics, with a leading slash.
        folder: folder of its recording.
    """

    namespace: str
    folder: Path

    def read(self) -> State:
        """Read what was recorded so far."""
        try:
            status = json.loads((self.folder / "recording.json").read_text(encoding="utf-8"))
        except FileNotFoundError:  # the recorder is just starting
            return State()
        return State(status["finished"], status["topics"], status.get("error", ""))


def overview(cameras: Sequence[Camera], past_s: float) -> str:
    """Return one line for each camera."""
    return "\n".join(f"{past_s:.0f} s  {camera.namespace}: {_sizes(camera.read())}" for camera in cameras)


def summary(camera: Camera, state: State) -> Table:
    """Return a table of the topics of a camera."""
    table = Table(title=f"{camera.namespace}: {_sizes(state)} in {camera.folder}")
    table.add_column("topic")
    for name in ("messages", "MB", "lost"):
        table.add_column(name, justify="right")
    for name, row in state.topics.items():
        table.add_row(name, str(row["messages"]), f"{row['bytes'] / 1e6:.1f}", str(row["lost"] + row["failed"]))
    return table


def _sizes(state: State) -> str:
    return f"{state.total('messages')} messages, {state.total('bytes') / 1e6:.1f} MB, {state.lost} lost"
