"""Hidden sides and completed boxes."""

from __future__ import annotations

import numpy as np
import pytest

from cmt_seg_ros.tracking.visibility import complete_box, hidden_sides

SIZE = (100, 200)
NONE = np.zeros(4, bool)
WHOLE = np.array([30.0, 20.0])


def hidden(*boxes: tuple[float, float, float, float]) -> list[list[bool]]:
    sides: list[list[bool]] = hidden_sides(np.array(boxes, np.float64).reshape(-1, 4), SIZE).tolist()
    return sides


def test_the_nearer_of_two_that_touch_hides_the_other() -> None:
    car, person = (50, 40, 80, 60), (80, 35, 90, 75)
    assert hidden(car, person) == [[False, False, True, False], [False] * 4]
    assert hidden(person, car) == [[False] * 4, [False, False, True, False]]
    assert hidden(car, (84, 35, 94, 75)) == [[False] * 4] * 2  # a gap: nothing is hidden
    assert hidden(car, (80, 57, 90, 75)) == [[False] * 4] * 2  # only a corner touches


def test_standing_behind_something_hides_the_feet() -> None:
    assert hidden((55, 20, 65, 50), (40, 50, 90, 70))[0] == [False, False, False, True]


def test_border_hides() -> None:
    assert hidden((0, 40, 20, 60)) == [[True, False, False, False]]
    assert hidden((180, 80, 200, 100)) == [[False, False, True, True]]
    assert hidden() == []


@pytest.mark.parametrize(
    ("visible", "flags", "expected"),
    [
        ((50, 40, 70, 60), [0, 0, 1, 0], (50, 40, 80, 60)),  # the right third is hidden
        ((60, 40, 80, 60), [1, 0, 0, 0], (50, 40, 80, 60)),
        ((60, 40, 70, 60), [1, 0, 1, 0], (52, 40, 82, 60)),  # both: by the prediction
        ((50, 40, 80, 52), [0, 0, 0, 1], (50, 40, 80, 60)),
    ],
)
def test_completes_hidden_sides(visible: tuple[float, ...], flags: list[int], expected: tuple[float, ...]) -> None:
    predicted = (52.0, 40.0, 82.0, 60.0)
    assert complete_box(visible, np.array(flags, bool), predicted, WHOLE) == pytest.approx(expected)  # type: ignore[arg-type]


def test_leaves_alone_what_is_whole_unknown_or_disagrees() -> None:
    part, right = (50.0, 40.0, 70.0, 60.0), np.array([0, 0, 1, 0], bool)
    assert complete_box(part, NONE, (52.0, 40.0, 82.0, 60.0), WHOLE) == part
    assert complete_box(part, right, (52.0, 40.0, 82.0, 60.0), np.zeros(2)) == part
    assert complete_box(part, right, (50.0, 40.0, 71.0, 60.0), WHOLE) == part  # predicted to be this small
