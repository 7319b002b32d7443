"""Helpers of the tests: small inputs, recorded runs, and a bench that real nodes run on."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Folder of the checkout."""
SHARED_DATA = ROOT.parent / "shared" / "data"
"""Data sets that are not part of the repository; tests that need them skip where they are missing."""
