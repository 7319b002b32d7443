"""Tracking metrics: HOTA, CLEAR MOT and IDF1, as TrackEval computes them.

HOTA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2020.
CLEAR: Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance", 2008.
IDF1: Ristani et al., "Performance Measures and a Data Set for Multi-Target Tracking", 2016.

The numbers equal those of github.com/JonathonLuiten/TrackEval 1.3.0, quirks included; tests compare.

All of them are made of sums over frames, given which track goes with which object in the sequence as a whole. The
functions ``*_parts`` give what each frame contributes, so that scores of any selection of frames are plain sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from cmt_seg_ros.metrics import scores
from cmt_seg_ros.structures import F64

I64 = npt.NDArray[np.int64]

ALPHAS: F64 = np.arange(0.05, 0.99, 0.05, dtype=np.float64)
"""(19,) float64, the similarity thresholds 0.05, 0.10, ..., 0.95 over which HOTA is averaged."""

_EPS = np.finfo(np.float64).eps

FrameMatch = tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]
"""One frame: (N,) ids of the truth, (M,) ids of the tracks, (N, M) similarity in 0-1."""


@dataclass(frozen=True, eq=False)
class HotaScores:
    """HOTA of one or more sequences; formulas are those of :mod:`~cmt_seg_ros.metrics.scores`.

    Attributes:
        sums: (5, 19) float64, what :func:`hota_parts` gives, added up over the frames.
    """

    sums: F64

    @property
    def tp(self) -> F64:
        """(19,) float64, matched detections at each of :data:`ALPHAS`."""
        return self.sums[0]

    @property
    def fn(self) -> F64:
        """(19,) float64, missed detections."""
        return self.sums[1]

    @property
    def fp(self) -> F64:
        """(19,) float64, invented detections."""
        return self.sums[2]

    @property
    def det_a_alpha(self) -> F64:
        """(19,) float64, detection accuracy, 0-1."""
        return scores.det_a_alpha(self.sums)

    @property
    def ass_a_alpha(self) -> F64:
        """(19,) float64, association accuracy, 0-1."""
        return scores.ass_a_alpha(self.sums)

    @property
    def hota(self) -> float:
        """0-1; nan without true objects and tracks."""
        return float(scores.hota(self.sums))

    @property
    def det_a(self) -> float:
        """Detection accuracy, mean over the thresholds, 0-1; nan without true objects and tracks."""
        return float(scores.det_a(self.sums))

    @property
    def ass_a(self) -> float:
        """Association accuracy, mean over the thresholds, 0-1; nan without true objects and tracks."""
        return float(scores.ass_a(self.sums))


@dataclass(frozen=True)
class ClearScores:
    """CLEAR counts at one threshold: matches, misses, false positives, identity switches."""

    tp: int
    fn: int
    fp: int
    id_switches: int

    @property
    def mota(self) -> float:
        """1 is perfect, below 0 is possible, nan without any truth."""
        return float(scores.mota(np.array([self.tp, self.fn, self.fp, self.id_switches])))


@dataclass(frozen=True)
class IdentityScores:
    """Detections under the best one-to-one pairing of whole trajectories."""

    idtp: int
    idfn: int
    idfp: int

    @property
    def idf1(self) -> float:
        """Share of detections that carry the right identity (an F1 score), 0-1; nan without true objects and tracks."""
        return float(scores.idf1(np.array([self.idtp, self.idfn, self.idfp])))


def hota(frames: Iterable[FrameMatch]) -> HotaScores:
    """Return the HOTA of one sequence.

    Args:
        frames: the frames in order; see :data:`FrameMatch`.

    Raises:
        ValueError: a similarity matrix that does not fit its ids, or an id twice in a frame.
    """
    return HotaScores(hota_parts(frames).sum(axis=0))


def hota_parts(frames: Iterable[FrameMatch]) -> F64:
    """Return what each frame of one sequence contributes to HOTA.

    Args:
        frames: the frames in order; see :data:`FrameMatch`.

    Returns:
        (F, 5, 19) float64, for each frame and each of :data:`ALPHAS`: matched, missed and invented detections; the sum
        of the association accuracies A(c) of its matches c, each 0-1 and taken over the whole sequence; and the
        derivative of that sum, over all frames, by how often the frame comes. The last two have the same sum over all
        frames. To draw frames again sum the last: an object that is missed in a frame has a lower A(c) in all frames,
        and only the last counts this where it happened (the infinitesimal jackknife: Efron and Tibshirani, 1993).

    Raises:
        ValueError: as :func:`hota`.
    """
    prepared, num_truth, num_tracks = _prepare(frames)
    found, jaccard = _hota_matches(prepared, num_truth, num_tracks)
    parts = np.zeros((len(prepared), 5, len(ALPHAS)))
    # The sum is that of m * m / u over pairs of identities: m matches, u appearances of the two, matches counted once.
    # Its derivative by how often a frame f comes is 2 A m_f - A^2 u_f, where A = m / u.
    squares = jaccard**2
    of_truth, of_tracks = squares.sum(axis=2), squares.sum(axis=1)
    for part, (rows, columns, _), (truth, tracks, reached) in zip(parts, prepared, found, strict=True):
        tp = reached.sum(axis=1)
        association = (jaccard[:, truth, tracks] * reached).sum(axis=1)
        shown = of_truth[:, rows].sum(axis=1) + of_tracks[:, columns].sum(axis=1)
        shown -= (squares[:, truth, tracks] * reached).sum(axis=1)
        part[:] = tp, len(rows) - tp, len(columns) - tp, association, 2 * association - shown
    return parts


def _hota_matches(
    prepared: list[tuple[I64, I64, F64]], num_truth: int, num_tracks: int
) -> tuple[list[tuple[I64, I64, npt.NDArray[np.bool_]]], F64]:
    """Match the objects and tracks of each frame.

    Returns:
        For each frame the (K,) rows and columns of identities that were matched and (19, K) which thresholds they
        reach, and the (19, T, M) association accuracy of each pair of identities.
    """
    truth_count = np.zeros((num_truth, 1))
    track_count = np.zeros((1, num_tracks))
    overlap = np.zeros((num_truth, num_tracks))
    for rows, columns, sim in prepared:  # first pass: how well each pair of identities agrees over all frames
        denominator = sim.sum(0)[None, :] + sim.sum(1)[:, None] - sim
        overlap[np.ix_(rows, columns)] += np.divide(sim, denominator, out=np.zeros_like(sim), where=denominator > _EPS)
        truth_count[rows] += 1
        track_count[0, columns] += 1
    alignment = overlap / np.maximum(_EPS, truth_count + track_count - overlap)
    matches = np.zeros((len(ALPHAS), num_truth, num_tracks))
    found = []
    for rows, columns, sim in prepared:  # second pass: one matching a frame, shared by all thresholds
        i, j = linear_sum_assignment(alignment[np.ix_(rows, columns)] * sim, maximize=True)
        reached = sim[i, j][None, :] >= ALPHAS[:, None] - _EPS
        matches[:, rows[i], columns[j]] += reached
        found.append((rows[i], columns[j], reached))
    return found, matches / np.maximum(1, truth_count + track_count - matches)


def combine_hota(sequences: Sequence[HotaScores]) -> HotaScores:
    """Return HOTA over several sequences: sums add up, as in TrackEval.

    Raises:
        ValueError: no sequences.
    """
    if not sequences:
        raise ValueError("no sequences to combine; at least one is needed")
    return HotaScores(np.sum([sequence.sums for sequence in sequences], axis=0))


def clear_mot(frames: Iterable[FrameMatch], threshold: float = 0.5) -> ClearScores:
    """Return CLEAR MOT of one sequence.

    Args:
        frames: the frames in order; see :data:`FrameMatch`.
        threshold: least similarity of a match, 0-1.

    Raises:
        ValueError: as :func:`hota`.
    """
    return ClearScores(*clear_parts(frames, threshold).sum(axis=0).tolist())


def clear_parts(frames: Iterable[FrameMatch], threshold: float = 0.5) -> I64:
    """Return what each frame contributes to :func:`clear_mot`; arguments and errors are the same.

    Returns:
        (F, 4) int64, for each frame: matches, misses, false positives, identity switches.
    """
    prepared, num_truth, _ = _prepare(frames)
    last = np.full(num_truth, -1)  # track that last showed each true object: a change is a switch
    previous = np.full(num_truth, -1)  # the same, but of the frame before only: preferred in matching
    parts = np.zeros((len(prepared), 4), np.int64)
    for part, (rows, columns, sim) in zip(parts, prepared, strict=True):
        part[1:3] = len(rows), len(columns)
        if not len(rows) or not len(columns):
            continue  # TrackEval keeps `previous` over such frames, and so do we
        score = 1000.0 * (columns[None, :] == previous[rows][:, None]) + sim
        score[sim < threshold - _EPS] = 0
        i, j = linear_sum_assignment(score, maximize=True)
        matched = score[i, j] > _EPS
        truth, track = rows[i[matched]], columns[j[matched]]
        part += len(truth), -len(truth), -len(truth), np.count_nonzero((last[truth] >= 0) & (last[truth] != track))
        last[truth] = track
        previous[:] = -1
        previous[truth] = track
    return parts


def identity(frames: Iterable[FrameMatch], threshold: float = 0.5) -> IdentityScores:
    """Return IDF1 of one sequence.

    Args:
        frames: the frames in order; see :data:`FrameMatch`.
        threshold: least similarity of a match, 0-1.

    Raises:
        ValueError: as :func:`hota`.
    """
    return IdentityScores(*identity_parts(frames, threshold).sum(axis=0).tolist())


def identity_parts(frames: Iterable[FrameMatch], threshold: float = 0.5) -> I64:
    """Return what each frame contributes to :func:`identity`; arguments and errors are the same.

    Returns:
        (F, 3) int64, for each frame: IDTP, IDFN, IDFP, under the best pairing of trajectories in the whole sequence.
    """
    prepared, num_truth, num_tracks = _prepare(frames)
    together = np.zeros((num_truth, num_tracks), np.int64)
    for rows, columns, sim in prepared:
        together[np.ix_(rows, columns)] += sim >= threshold
    # Fewest IDFN + IDFP is most IDTP, because IDTP + IDFN and IDTP + IDFP are fixed.
    paired = np.zeros((num_truth, num_tracks), bool)
    paired[linear_sum_assignment(together, maximize=True)] = True
    idtp = [np.count_nonzero(paired[np.ix_(rows, columns)] & (sim >= threshold)) for rows, columns, sim in prepared]
    parts = [(tp, len(rows) - tp, len(columns) - tp) for tp, (rows, columns, _) in zip(idtp, prepared, strict=True)]
    return np.array(parts, np.int64).reshape(-1, 3)


def _prepare(frames: Iterable[FrameMatch]) -> tuple[list[tuple[I64, I64, F64]], int, int]:
    """Check the frames and number the ids of either side 0, 1, ...; return how many there are."""
    raw = []
    for index, (truth, tracks, similarity) in enumerate(frames):
        ids = np.asarray(truth, np.int64).ravel(), np.asarray(tracks, np.int64).ravel()
        shape = len(ids[0]), len(ids[1])
        # An empty list is the natural way to write a frame without objects; give it the shape of the ids.
        sim = np.asarray(similarity, np.float64) if np.size(similarity) or 0 not in shape else np.zeros(shape)
        if sim.shape != shape or any(len(np.unique(side)) != len(side) for side in ids):
            raise ValueError(
                f"frame {index}: similarity is {sim.shape} for {len(ids[0])} true objects and {len(ids[1])} tracks, "
                f"ids {ids[0].tolist()} and {ids[1].tolist()}; it must be (true, tracks) and each id may occur once"
            )
        raw.append((*ids, sim))
    known = [np.unique(np.concatenate([frame[side] for frame in raw] or [np.zeros(0, np.int64)])) for side in (0, 1)]
    prepared = [(np.searchsorted(known[0], a), np.searchsorted(known[1], b), sim) for a, b, sim in raw]
    return prepared, len(known[0]), len(known[1])
