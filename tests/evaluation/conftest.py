"""The tiny model that the evaluation's tests share."""

from __future__ import annotations

import pytest
from tiny_package import write_package


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a model package that is fast and bad."""
    return str(write_package(tmp_path_factory.mktemp("models") / "tiny").folder)
