"""recording.json: how much was recorded and lost, for who started the recorder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from cmt_seg_ros.ros.recorder.thread import TopicCount


class StatusFile:
    """A JSON file that is replaced as a whole, so that readers never see half of it.

    ``{"finished": bool, "messages": n, "bytes": n, "lost": n, "failed": n, "topics": {name: the same four}}``;
    ``finished`` is true once all files of the recording are complete. Lost: the queue was full, or sent but never
    delivered; failed: could not be written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._new, self._text = path, path.with_name(f".{path.name}.new"), ""

    def write(self, counts: Mapping[str, TopicCount], finished: bool) -> None:
        """Replace the file, if anything has changed.

        Raises:
            OSError: it cannot be written.
        """
        topics = {
            name: {"messages": count.written, "bytes": count.size, "lost": count.lost, "failed": count.failed}
            for name, count in list(counts.items())
        }
        totals = {key: sum(row[key] for row in topics.values()) for key in ("messages", "bytes", "lost", "failed")}
        text = json.dumps({"finished": finished, **totals, "topics": topics}, indent=1)
        if text != self._text:
            self._new.write_text(text + "\n", encoding="utf-8")
            os.replace(self._new, self._path)
            self._text = text
