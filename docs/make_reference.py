"""Generator of docs/reference.md: parameters, topics, services, messages and launch arguments.

Needs the package cmt_seg_ros to be importable, and no ROS.

python docs/make_reference.py           write docs/reference.md
python docs/make_reference.py --check   say whether it is up to date; exit status 1 if not
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cmt_seg_ros.config import NODE_PARAMETERS
from cmt_seg_ros.config.fields import ParameterSpec, parameters_of, read_when, renames
from cmt_seg_ros.config.topics import SERVICES, SUBSCRIPTIONS, TOPICS, Topic
from cmt_seg_ros.ros.launch_arguments import REPLAY, SEG, Argument

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "reference.md"
HEAD = """# Reference

Every parameter, topic, service, message and launch argument. Made from the code by `python docs/make_reference.py`; do
not edit.

[segmentation_node](#segmentation_node) · [tracker_node](#tracker_node) · [source_node](#source_node) ·
[recorder_node](#recorder_node) · [Topics](#topics) · [Services](#services) · [Messages](#messages) ·
[Launch arguments](#launch-arguments)

`ros2 param describe NODE NAME` shows the same of a running node. A value that is not allowed is refused with a
sentence.
"""
NOTES = {
    "TrackerConfig": """Parameters of the tracker; `cmt-seg track --set` and `cmt-seg evaluate --set` take them, too.
Lengths are in object sizes (the square root of the area of the object's box), times in seconds, so that one set of
numbers serves every image size, distance and frame rate.""",
    "CameraSettings": "Of each camera; `<camera>.` stands before the names if `cameras` lists any.",
}
FIELD = re.compile(r"(?P<type>\S+)\s+(?P<name>\w+)(?:=(?P<value>\S+))?\s*#\s*(?P<text>.*)")


def main(arguments: Sequence[str]) -> int:
    """Write the reference, or check it; return the exit status."""
    made = "\n".join(reference()) + "\n"
    if "--check" not in arguments:
        FILE.write_text(made, encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == made:
        return 0
    print(f"{FILE.relative_to(ROOT)} is not up to date; run: python docs/make_reference.py", file=sys.stderr)
    return 1


def reference() -> Iterator[str]:
    """Yield the lines of the reference."""
    yield HEAD
    for node, configs in NODE_PARAMETERS.items():
        yield from parameters_of_node(node, configs)
    yield from topics()
    yield from services()
    yield from messages()
    yield from launch_arguments()


def parameters_of_node(node: str, configs: Sequence[type]) -> Iterator[str]:
    """Yield the section of one node: a table for each group of parameters."""
    yield f"## {node}\n"
    usual = read_when(configs[0])
    live = any(spec.live for config in configs for spec in parameters_of(config).values())
    yield f"Parameters are {usual}{'; those marked live also change at once' * live}.\n"
    for config in configs:
        if note := NOTES.get(config.__name__):
            yield f"{note}\n"
        exception = f" ({read_when(config)})" * (read_when(config) != usual)
        rows: list[Sequence[str]] = []
        specs = {name: spec for name, spec in parameters_of(config).items() if not spec.instead}
        for name, spec in specs.items():
            if spec.group:
                yield from parameter_table(rows)
                rows = []
                yield f"**{spec.group}**{exception}\n"
            rows.append(parameter_row(name, spec))
        yield from parameter_table(rows)
        if old_names := [f"`{old}` (now `{new}`)" for old, new in renames(config).items()]:
            yield f"Old names that are still taken, with a warning: {', '.join(old_names)}.\n"


def parameter_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table of parameters, if there are any."""
    return table(("parameter", "type", "default", "range or choices", "unit", "live", "description"), rows)


def parameter_row(name: str, spec: ParameterSpec) -> Sequence[str]:
    """Return the cells of one parameter."""
    live = "yes" if spec.live else ""
    return f"`{name}`", spec.type_name, shown(spec.default), spec.allowed, spec.unit, live, spec.description


def shown(default: object) -> str:
    """Return a default value as YAML has it."""
    if isinstance(default, tuple):
        return f"`[{', '.join(text or repr(text) for text in default)}]`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`" if default != "" else '`""`'


def topics() -> Iterator[str]:
    """Yield the sections of what the nodes publish and subscribe to."""
    yield "## Topics\n"
    yield "Names without a slash in front are relative to the camera's namespace (`front` for `/front/image_raw`); of a"
    yield "node without a `cameras` list, to its own. Stamps and frame ids of results are those of the image.\n"
    for heading, listed in (("Published", TOPICS), ("Subscribed", SUBSCRIPTIONS)):
        yield f"### {heading}\n"
        yield from table(("topic", "type", "QoS", "node", "when", "meaning"), map(topic_row, listed))
    yield "recorder_node subscribes to the topics that its parameters name.\n"


def topic_row(topic: Topic) -> Sequence[str]:
    """Return the cells of one topic."""
    when = ", ".join(filter(None, (topic.when, topic.needs and f"where {topic.needs} is installed"))) or "always"
    return f"`{topic.name}`", topic.type.replace("/msg/", "/"), topic.qos, topic.node, when, topic.meaning


def services() -> Iterator[str]:
    """Yield the section of the services."""
    yield "## Services\n"
    yield "`~` is the name of the node. Every node also has ROS 2's services for its parameters.\n"
    rows = [(f"`{name}`", kind, node, text) for node, found in SERVICES.items() for name, kind, text in found]
    yield from table(("service", "type", "node", "meaning"), rows)


def messages() -> Iterator[str]:
    """Yield a section for each file of msg/."""
    yield "## Messages\n"
    for path in sorted((ROOT / "msg").glob("*.msg")):
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        yield f"### cmt_seg_ros/{path.stem}\n"
        yield f"{head.removeprefix('#').strip()}\n"
        found = [match for line in lines if (match := FIELD.fullmatch(line))]
        rows = [(f"`{m['name']}`{' = ' + m['value'] if m['value'] else ''}", m["type"], m["text"]) for m in found]
        yield from table(("field", "type", "meaning"), rows)


def launch_arguments() -> Iterator[str]:
    """Yield a section for each launch file."""
    yield "## Launch arguments\n"
    yield "`ros2 launch cmt_seg_ros FILE NAME:=VALUE ...`; `--show-args` lists them.\n"
    for file, arguments in (("seg.launch.py", SEG), ("replay.launch.py", REPLAY)):
        yield f"### {file}\n"
        yield from table(("argument", "default", "choices", "description"), map(argument_row, arguments))


def argument_row(argument: Argument) -> Sequence[str]:
    """Return the cells of one launch argument."""
    return f"`{argument.name}`", shown(argument.default), ", ".join(argument.choices or ()), argument.description


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a Markdown table and an empty line, or nothing if there are no rows."""
    lines = [line(row) for row in rows]
    if lines:
        yield from (line(heads), "|" + "---|" * len(heads), *lines, "")


def line(cells: Iterable[str]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
