"""Table of `cmt-seg top`: a pure function of the newest status of every camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from cmt_seg_ros.cli.console import cell

GONE_S = 3.0  # nodes report once a second
LEVELS = {0: ("OK", "green"), 1: ("WARN", "yellow"), 2: ("ERROR", "bold red"), 3: ("STALE", "magenta")}
COUNTED = ("received", "inferred")


@dataclass(frozen=True)
class CameraView:
    """Newest status of one camera, as its node reported it.

    Attributes:
        node: fully qualified name.
        camera: name.
        level: 0 OK, 1 WARN, 2 ERROR, 3 STALE.
        message: summary sentence of the status.
        device: inference device; "" if the node does not report one.
        values: numbers by name, as text.
        rates_hz: rates of COUNTED, as reported or else computed from two messages; unknown ones are missing.
        heard_s: time of arrival, monotonic seconds.
    """

    node: str
    camera: str
    level: int
    message: str
    device: str
    values: Mapping[str, str]
    rates_hz: Mapping[str, float]
    heard_s: float


class Board:
    """Newest status of every camera under a namespace.

    Attributes:
        namespace: with a leading slash and, except for "/", no trailing one.
        cameras: by the name of their status, in the order of their first report.
    """

    def __init__(self, namespace: str = "/") -> None:
        self.namespace = "/" + namespace.strip("/")
        self.cameras: dict[str, CameraView] = {}

    def update(self, heard_s: float, statuses: list[dict[str, Any]]) -> None:
        """Take the statuses of one message; those that do not concern a camera are ignored.

        Args:
            heard_s: time of arrival, monotonic seconds.
            statuses: each with name, level, message, hardware_id and values.
        """
        for status in statuses:
            name, values = status["name"], status["values"]
            node, colon, camera = name.rpartition(": ")
            if colon and "received" in values and f"{node}/".startswith(f"{self.namespace.rstrip('/')}/"):
                self.cameras[name] = CameraView(
                    node=node,
                    camera=camera,
                    level=status["level"],
                    message=status["message"],
                    device=values.get("device") or status["hardware_id"],
                    values=values,
                    rates_hz=_rates(values, heard_s, self.cameras.get(name)),
                    heard_s=heard_s,
                )


def _rates(values: Mapping[str, str], heard_s: float, before: CameraView | None) -> dict[str, float]:
    rates = {}
    for name in COUNTED:
        if f"{name}_hz" in values:
            rates[name] = _number(values, f"{name}_hz")
        elif before is not None and heard_s > before.heard_s:
            rates[name] = (_number(values, name) - _number(before.values, name)) / (heard_s - before.heard_s)
    # A count below the previous one: the node was restarted. nan (unknown) fails the comparison, too.
    return {name: rate for name, rate in rates.items() if rate >= 0}


def _number(values: Mapping[str, str], name: str) -> float:
    try:
        return float(values[name])
    except (KeyError, ValueError):
        return float("nan")


def render(cameras: Mapping[str, CameraView], now_s: float, domain: str) -> RenderableType:
    """Return the table, or a sentence while nothing is known.

    Args:
        cameras: by name.
        now_s: monotonic seconds.
        domain: the ROS domain that is listened to.
    """
    if not cameras:
        return Text(
            f"nothing heard on /diagnostics yet (ROS domain {domain}); "
            "are the nodes running and active, with the same ROS_DOMAIN_ID?"
        )
    # On a narrow terminal words are wrapped; numbers are never cut.
    words = [Column(title, overflow="fold") for title in ("node\ncamera", "state")]
    titles = ("received/\ninferred Hz", "age ms\np50/p99/max")
    numbers = [Column(title, justify="right", no_wrap=True) for title in titles]
    dropped = Column("dropped", overflow="fold", min_width=12)
    table = Table(*words, *numbers, dropped, "device", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.title = f"ROS domain {domain}"
    for camera in sorted(cameras.values(), key=lambda c: (c.node, c.camera)):
        silent_s = now_s - camera.heard_s
        gone = silent_s > GONE_S
        table.add_row(*_cells(camera, silent_s if gone else None), style="dim" if gone else "")
    return table


def _cells(camera: CameraView, gone_s: float | None) -> list[Text]:
    level, style = LEVELS.get(camera.level, (str(camera.level), ""))
    state = Text.assemble((level, style), cell(f"\n{camera.message}"))
    if gone_s is not None:
        state = Text(f"gone\nsilent for {gone_s:.0f} s")
    rates = [_shown(camera.rates_hz.get(name, float("nan")), ".1f") for name in COUNTED]
    ages = [_shown(_number(camera.values, f"age_{name}_ms"), ".0f") for name in ("p50", "p99", "max")]
    return [
        cell(f"{camera.node}\n{camera.camera}"),
        state,
        _joined(rates),
        _joined(ages),
        cell(_dropped(camera.values)),
        cell(camera.device or "-"),
    ]


def _dropped(values: Mapping[str, str]) -> str:
    """Return the total, and below it the reasons, the most frequent first."""
    reasons = {name.removeprefix("dropped."): _number(values, name) for name in values if name.startswith("dropped.")}
    lines = [f"{reason} {_shown(count, '.0f')}" for reason, count in sorted(reasons.items(), key=lambda r: -r[1])]
    return "\n".join([values.get("dropped", "-"), *lines])


def _joined(numbers: list[str]) -> Text:
    return Text("-" if set(numbers) == {"-"} else "/".join(numbers))


def _shown(number: float, form: str) -> str:
    return "-" if number != number else format(number, form)
