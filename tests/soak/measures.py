"""Row of the table of a soak, and what a process uses."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

GROWTH_MB = 30.0
"""Memory that a process may gain after it has warmed up: allocators keep some of what they are given back."""


@dataclass
class Row:
    """What a step sent and what became of it; every message is answered or counted.

    Attributes:
        step: its name.
        sent: messages, or files.
        answered: results that came.
        counted: refused, and counted by the node or told in a sentence.
        crashes: processes that ended by themselves, or with a traceback.
        growth_mb: of memory, after the process has warmed up.
        descriptors, threads: that a process has more at the end than after it has warmed up.
        faults: what is wrong, a sentence each.
    """

    step: str
    sent: int = 0
    answered: int = 0
    counted: int = 0
    crashes: int = 0
    growth_mb: float = 0.0
    descriptors: int = 0
    threads: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Neither answered nor counted."""
        return self.sent - self.answered - self.counted

    def judge(self) -> Row:
        """Add a fault for each difference."""
        if self.lost:
            self.faults.append(f"{self.lost} of {self.sent} are neither answered nor counted")
        if self.crashes:
            self.faults.append(f"{self.crashes} crashes")
        if self.growth_mb > GROWTH_MB:
            self.faults.append(f"memory grew by {self.growth_mb:.0f} MB; {GROWTH_MB:g} are allowed")
        if self.descriptors > 0 or self.threads > 0:
            self.faults.append(f"{self.descriptors} file descriptors and {self.threads} threads more than at first")
        return self


@dataclass(frozen=True)
class Usage:
    """What a process uses now: memory in MB (1e6 bytes), file descriptors, threads."""

    memory_mb: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Measure a process that runs."""
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        memory, threads = (re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE) for name in ("VmRSS", "Threads"))
        assert memory and threads
        return cls(int(memory[1]) * 1024 / 1e6, len(os.listdir(f"/proc/{pid}/fd")), int(threads[1]))

    def compare(self, row: Row, before: Usage) -> None:
        """Enter into a row what has grown since ``before``."""
        row.growth_mb = max(row.growth_mb, self.memory_mb - before.memory_mb)
        row.descriptors = max(row.descriptors, self.descriptors - before.descriptors)
        row.threads = max(row.threads, self.threads - before.threads)
