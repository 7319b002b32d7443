"""Tables of `cmt-seg record`: the recorder's counts, while it records and at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

NOBODYS = ("/diagnostics", "/clock")  # published by all nodes, so they say nothing about one camera


@dataclass(frozen=True)
class State:
    """Recording state, read from the recorder's ``recording.json``.

    Attributes:
        finished: all files are complete.
        topics: counts ``messages``, ``bytes``, ``lost`` and ``failed`` of each topic, by its name.
    """

    finished: bool = False
    topics: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

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
        return State(status["finished"], status["topics"])


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
