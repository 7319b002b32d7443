"""Console: what every command prints through; no text from outside is taken as markup or reaches the terminal raw."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from cmt_seg_ros.text import printable, printable_lines


class _PlainConsole(Console):
    """Console for which a text is what it says: no markup, no names of emoji, no colours for numbers in it.

    Control characters are shown as people write them; newlines stay, they belong to the layout of tables.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable_lines(text), **options)


def new_console(**options: Any) -> Console:
    """Return a console; ``options`` as rich has them."""
    return _PlainConsole(markup=False, emoji=False, highlight=False, **options)


def cell(text: object, style: str = "") -> Text:
    """Return styled text for a console or for the cell of a table."""
    return Text(printable_lines(text), style)


def say(text: object, **options: Any) -> None:
    """Print one line; ``options`` are those of :func:`print`."""
    print(printable(text), **options)
