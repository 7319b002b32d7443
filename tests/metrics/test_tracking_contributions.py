"""What each frame contributes to HOTA, CLEAR and IDF1: the sums are the scores, and any frames can be summed."""

from __future__ import annotations

import numpy as np
import pytest

from cmt_seg_ros.metrics.tracking import (
    FrameMatch,
    clear_mot,
    clear_parts,
    combine_hota,
    hota,
    hota_parts,
    identity,
    identity_parts,
)


def noisy_sequence(seed: int, frames: int = 40) -> list[FrameMatch]:
    """Six objects, tracks of them that are missed, swapped, cut and invented; some frames have no side at all."""
    rng = np.random.default_rng(seed)
    sequence: list[FrameMatch] = []
    for t in range(frames):
        truth = np.flatnonzero(rng.random(6) < (0 if t % 11 == 5 else 0.9))
        tracks = np.flatnonzero(rng.random(8) < (0 if t % 13 == 7 else 0.7))
        similarity = rng.uniform(0, 0.4, (len(truth), len(tracks)))
        similarity[tracks[None, :] == (truth[:, None] + (t >= 25)) % 8] += 0.55
        sequence.append((truth, tracks + 10, similarity))
    return sequence


@pytest.mark.parametrize("seed", range(4))
def test_sums_over_all_frames_are_the_scores(seed: int) -> None:
    frames = noisy_sequence(seed)
    tp, fn, fp, association, derivative = hota_parts(frames).sum(axis=0)
    scores = hota(frames)
    np.testing.assert_array_equal([tp, fn, fp], [scores.tp, scores.fn, scores.fp])
    np.testing.assert_array_equal(association / np.maximum(1, tp), scores.ass_a_alpha)
    np.testing.assert_allclose(derivative, association, rtol=1e-10)
    clear, ids = clear_mot(frames), identity(frames)
    assert clear_parts(frames).sum(axis=0).tolist() == [clear.tp, clear.fn, clear.fp, clear.id_switches]
    assert identity_parts(frames).sum(axis=0).tolist() == [ids.idtp, ids.idfn, ids.idfp]
    assert clear.id_switches > 0 and 0 < ids.idtp < clear.tp


def test_every_frame_accounts_for_its_own_objects_and_tracks() -> None:
    frames = noisy_sequence(1)
    sizes = [(np.size(truth), np.size(tracks)) for truth, tracks, _ in frames]
    for parts in (hota_parts(frames)[..., 0], clear_parts(frames), identity_parts(frames)):
        assert [(int(tp + fn), int(tp + fp)) for tp, fn, fp in parts[:, :3]] == sizes


def test_sequences_add_up_as_combine_hota_does() -> None:
    first, second = noisy_sequence(2), noisy_sequence(3, frames=15)
    tp, _, _, association, _ = np.concatenate([hota_parts(first), hota_parts(second)]).sum(axis=0)
    both = combine_hota([hota(first), hota(second)])
    np.testing.assert_array_equal(both.tp, tp)
    np.testing.assert_allclose(both.ass_a_alpha, association / np.maximum(1, tp), atol=1e-12)


def test_the_derivative_is_what_a_little_more_of_a_frame_adds() -> None:
    # A frame that comes twice, among so many that its matches stay: the sum gains its derivative, to first order.
    frames: list[FrameMatch] = [([7], [1] if t % 4 else [], [[0.8]] if t % 4 else [[]]) for t in range(400)]
    parts = hota_parts(frames)
    for t in (0, 1):
        gain = hota_parts([*frames, frames[t]])[:, 3].sum(axis=0) - parts[:, 3].sum(axis=0)
        np.testing.assert_allclose(gain, parts[t, 4], atol=0.01)
    # Where the object is missed, nothing is matched, and all other frames lose.
    assert parts[0, 3, 0] == 0 and parts[0, 4, 0] == pytest.approx(-(0.75**2))


def test_parts_by_hand() -> None:
    # One object, seen perfectly in 4 frames by track 1 and in 4 more by track 2.
    frames: list[FrameMatch] = [([7], [1 + (t >= 4)], [[1.0]]) for t in range(8)]
    assert clear_parts(frames).tolist() == [[1, 0, 0, int(t == 4)] for t in range(8)]
    # A(c) = 4 / (8 + 4 - 4): four matches of this pair among all frames of either.
    np.testing.assert_allclose(hota_parts(frames)[:, 3], 0.5)
    assert sorted(identity_parts(frames).tolist()) == [[0, 1, 1]] * 4 + [[1, 0, 0]] * 4


def test_no_frames_give_no_parts() -> None:
    assert hota_parts([]).shape == (0, 5, 19)
    assert clear_parts([]).shape == (0, 4) and identity_parts([]).shape == (0, 3)
