"""Kills: every process of the system is killed in turn and started again, while the others go on."""

from __future__ import annotations

import contextlib
from pathlib import Path

from cmt_seg_ros.msg import TrackArray
from support.ros_harness import Bench, Process, bench, free_domain
from support.tiny_package import write_package

from cmt_seg_ros.bags.storage import bag_messages, bag_topics
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.ros.common.shared_memory import clean_stale
from soak.fuzz import Progress
from soak.measures import Row

ANSWERS = 5
"""Track arrays that show that the whole chain runs again."""
HEADER_BYTES = 1024
"""More than a bag has before its first chunk."""


class Chain:
    """A source, both nodes and a recorder, each in a process of its own."""

    def __init__(self, folder: Path, ros: Bench, domain: int) -> None:
        self._folder, self._ros, self._domain = folder, ros, domain
        self._parameters: dict[str, dict[str, object]] = {
            "source_node": {"scene_width": 160, "scene_height": 96, "fps": 10.0, "loop": True},
            "segmentation_node": {
                "model": str(write_package(folder / "model").folder),
                "device": "CPU",
                "cache_dir": str(folder / "cache"),
            },
            "tracker_node": {},
            "recorder_node": {},
        }
        self._stack = contextlib.ExitStack()
        self._started = 0
        self.running: dict[str, Process] = {}
        self.bags: list[Path] = []

    def __enter__(self) -> Chain:
        for name in self._parameters:
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        clean_stale()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the nodes."""
        return tuple(self._parameters)

    def start(self, name: str) -> None:
        """Start a node, and wait until it is ready."""
        self._started += 1
        parameters = dict(self._parameters[name])
        if name == "recorder_node":
            self.bags.append(self._folder / f"recording_{self._started}")
            parameters["out"] = str(self.bags[-1])
        process = Process(name, self._folder / f"{name}_{self._started}.log", self._domain, parameters)
        self.running[name] = self._stack.enter_context(process)
        process.wait_for("ready")

    def kill(self, name: str) -> None:
        """Kill a node, as the kernel does when memory is short."""
        self.running[name].popen.kill()
        self.running[name].popen.wait()

    def recorded(self) -> bool:
        """Whether the recorder that runs has put a part of the bag on the disk, as it does every second."""
        return any(file.stat().st_size > HEADER_BYTES for file in self.bags[-1].glob("bag/*.mcap"))

    def crashed(self) -> list[str]:
        """Return the nodes that have ended by themselves."""
        return [name for name, process in self.running.items() if process.popen.poll() is not None]


def kills(folder: Path, seed: int, rounds: int, progress: Progress = lambda done: None) -> Row:
    """Kill every node in turn, ``rounds`` times; ``seed`` is not used."""
    row, domain = Row("kill -9 of each process"), free_domain()
    with bench(domain) as ros, Chain(folder, ros, domain) as chain:
        tracks = ros.listen(TrackArray, "/tracking/tracks")

        def runs_again() -> bool:
            return bool(chain.crashed()) or (len(tracks) >= ANSWERS and chain.recorded())

        for number in range(rounds):
            for name in chain.names:
                tracks.clear()
                ros.until(runs_again, "tracks")
                row.sent += 1
                chain.kill(name)
                row.crashes += len(chain.crashed()) - 1
                chain.start(name)
                tracks.clear()
                ros.until(runs_again, f"tracks after {name} was killed and started again")
                row.answered += not chain.crashed()
            progress(number + 1)
        row.crashes += sum("Traceback" in process.output for process in chain.running.values())
    for bag in chain.bags:
        problems = Problems()
        topics = [topic for topic in bag_topics(bag / "bag", problems) if topic.count]
        read = sum(1 for _ in bag_messages(bag / "bag", [topic.name for topic in topics], problems))
        if not read:
            row.faults.append(f"nothing can be read in the bag of {bag.name}")
    return row.judge()
