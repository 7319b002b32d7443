"""Growing of regions against a breadth-first search, pixel by pixel."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from cmt_seg_ros.regions import grow


def literally(ids: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """All seeds at once, layer by layer; of equally near ones the lowest number."""
    height, width = ids.shape
    distance, grown = np.full(ids.shape, 10**6), ids.copy()
    queue = deque(map(tuple, np.argwhere(ids > 0)))
    for place in queue:
        distance[place] = 0
    while queue:
        y, x = queue.popleft()
        for v, u in ((y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)):
            if not (0 <= v < height and 0 <= u < width) or kinds[v, u] != kinds[y, x]:
                continue
            if distance[v, u] > distance[y, x] + 1:
                distance[v, u], grown[v, u] = distance[y, x] + 1, grown[y, x]
                queue.append((v, u))
            elif distance[v, u] == distance[y, x] + 1:
                grown[v, u] = min(grown[v, u], grown[y, x])
    return grown


@pytest.mark.parametrize("seed", range(40))
def test_growing_is_a_breadth_first_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 40, 2)
    kinds = (rng.random(size) < 0.75) * rng.integers(1, 4, size)
    block = int(rng.integers(1, 6))
    kinds = kinds.repeat(block, 0).repeat(block, 1)[: size[0], : size[1]].astype(np.uint8)
    ids = np.where((kinds > 0) & (rng.random(size) < 0.04), rng.integers(1, 9, size), 0).astype(np.uint16)
    before = ids.copy()
    grown, left_out = grow(ids, kinds)
    np.testing.assert_array_equal(grown, literally(ids, kinds))
    pieces = np.zeros_like(ids)
    for number, (window, inside) in enumerate(left_out, 1):
        assert not pieces[window][inside].any() and len(set(kinds[window][inside])) == 1
        pieces[window][inside] = number
    np.testing.assert_array_equal(pieces > 0, (grown == 0) & (kinds > 0))
    first = [tuple(np.argwhere(pieces == number)[0]) for number in range(1, len(left_out) + 1)]
    assert first == sorted(first)
    np.testing.assert_array_equal(ids, before)


def test_a_piece_that_one_id_touches_is_taken_whole_and_the_rest_is_left() -> None:
    kinds = np.ones((50, 60), np.uint8)
    kinds[:, 20], kinds[:, 40:] = 0, 2
    ids = np.zeros((50, 60), np.uint16)
    ids[3, 3] = 65_000
    grown, left_out = grow(ids, kinds)
    assert len(left_out) == 2
    assert (grown[:, :20] == 65_000).all() and not grown[:, 20:].any()
