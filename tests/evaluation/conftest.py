"""The tiny model that the evaluation's tests share."""

from __future__ import annotations

import pytest
from support.tiny_package import write_package

from cmt_seg_ros.evaluation.report import report


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without plots, which take seconds each; the plots have tests of their own."""
    monkeypatch.setattr(report, "_plots", lambda *arguments: {})


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a model package that is fast and bad."""
    return str(write_package(tmp_path_factory.mktemp("models") / "tiny").folder)
