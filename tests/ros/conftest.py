"""What tests of nodes share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.ros_harness import Bench


@pytest.fixture
def ros() -> Iterator[Bench]:
    """A bench whose nodes hear each other and nothing else."""
    from support.ros_harness import bench  # skips the test where ROS is missing

    with bench() as made:
        yield made
