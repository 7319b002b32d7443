"""A live run read back: each frame of the clip with what was made of it, whatever its stamps were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.recorded import PERIOD_NS, START_NS, Bag

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.job import FrameResult
from cmt_seg_ros.evaluation.live.join import _ResultQueue, joined, played_s
from cmt_seg_ros.evaluation.live.recording import WINDOW, RecordedFrame
from cmt_seg_ros.sources.images import ImageFolderSource

AGE_MS = 20.0


def clip(folder: Path, frames: int, damaged: tuple[int, ...] = ()) -> ImageFolderSource:
    """A folder of images, some of which cannot be read."""
    folder.mkdir()
    for number in range(frames):
        path = folder / f"{number:03d}.png"
        cv2.imwrite(str(path), np.full((4, 6, 3), number, np.uint8))
        if number in damaged:
            path.write_bytes(b"nothing")
    return ImageFolderSource(folder, 10.0)


def write_sent(folder: Path, stamps: list[int]) -> None:
    """sent.csv of frames that were sent at the time of their stamps; these in periods."""
    lines = [f"{n},{n * PERIOD_NS},{(at := START_NS + s * PERIOD_NS)},{at}" for n, s in enumerate(stamps)]
    (folder / "sent.csv").write_text("\n".join(["index,clip_stamp_ns,stamp_ns,sent_ns", *lines]) + "\n")


def results(tmp_path: Path, sent: list[int], recorded: list[int], damaged: tuple[int, ...] = ()) -> list[FrameResult]:
    """Join frames of these stamps with masks of these, in periods; the n-th mask is all n, its age AGE_MS + n."""
    bag = Bag(tmp_path)
    for number, stamp in enumerate(recorded):
        bag.image(stamp, "segmentation/mask", np.full((4, 6), number, np.uint8), AGE_MS + number)
    bag.messages = [(n, name, message) for n, (_, name, message) in enumerate(bag.messages)]  # as they came
    bag.write()
    write_sent(tmp_path, sent)
    return list(joined(clip(tmp_path / "clip", len(sent) + len(damaged), damaged), tmp_path))


def outcomes(found: list[FrameResult]) -> list[int | str]:
    """Of each frame the number of its mask, or why it has none."""
    return [r.lost if r.segmentation is None else int(r.segmentation.class_ids[0, 0]) for r in found]


def test_frames_that_were_dropped_are_lost_and_the_others_have_ages(tmp_path: Path) -> None:
    found = results(tmp_path, [0, 1, 2, 3, 4], [0, 2, 3, 7])
    assert outcomes(found) == [0, "dropped", 1, 2, "dropped"]
    assert [r.timing_ms.get("age") for r in found] == [AGE_MS, None, AGE_MS + 1, AGE_MS + 2, None]
    assert [r.frame.stamp_ns for r in found] == [n * PERIOD_NS for n in range(5)], "those of the clip"
    assert played_s(tmp_path) == pytest.approx(7 * 0.1 + (AGE_MS + 3) / 1e3)


def test_frames_that_cannot_be_read_keep_their_places(tmp_path: Path) -> None:
    found = results(tmp_path, [0, 1], [0, 1], damaged=(0, 2, 4))
    assert outcomes(found) == ["malformed", 0, "malformed", 1, "malformed"]
    assert [r.index for r in found] == [0, 1, 2, 3, 4]
    assert [r.frame.stamp_ns for r in found] == [0, PERIOD_NS, PERIOD_NS + 1, 3 * PERIOD_NS, 3 * PERIOD_NS + 1]


# Stamps sent, stamps recorded, and what is found: segmentation_node refuses by StampOrder.
BAD_STAMPS = {
    "the same twice": ([0, 1, 1, 2], [0, 1, 2], [0, 1, "duplicate_stamp", 2]),
    "always the same": ([3, 3, 3, 3, 3], [3], [0, *["duplicate_stamp"] * 4]),
    "set back": ([50, 51, 3, 4, 5, 6], [50, 51, 5, 6], [0, 1, "out_of_order", "out_of_order", 2, 3]),
    "the same again": (
        [0, 1, 2, 3, 0, 1, 2, 3],
        [0, 1, 2, 3, 2, 3],
        [0, 1, 2, 3, "out_of_order", "out_of_order", 4, 5],
    ),
    "far ahead": ([0, 1, 9000, 3, 4, 5, 6], [0, 1, 9000, 5, 6], [0, 1, 2, "out_of_order", "out_of_order", 3, 4]),
    "far ahead, the last to be recorded": (
        [0, 1, 9000, 3, 4, 5, 6],
        [0, 1, 5, 6, 9000],
        [0, 1, 4, "out_of_order", "out_of_order", 2, 3],
    ),
}


@pytest.mark.parametrize(("sent", "recorded", "expected"), BAD_STAMPS.values(), ids=BAD_STAMPS)
def test_bad_stamps_find_their_results_each_once(
    tmp_path: Path, sent: list[int], recorded: list[int], expected: list[int | str]
) -> None:
    found = results(tmp_path, sent, recorded)
    assert outcomes(found) == expected
    ages = [r.timing_ms["age"] - AGE_MS for r in found if not r.lost]
    assert ages == pytest.approx([number for number in expected if isinstance(number, int)])


@pytest.mark.parametrize("stamps", [range(0, 1000, 2), [9000, *range(300)]], ids=["half", "far ahead"])
def test_few_results_are_kept(stamps: Sequence[int]) -> None:
    read = 0

    def recorded() -> Iterator[RecordedFrame]:
        nonlocal read
        for stamp in sorted(stamps):
            read += 1
            yield RecordedFrame(stamp)

    sent = range(1000) if 9000 not in stamps else stamps
    results, given = _ResultQueue(recorded(), Counter(sent)), 0
    for stamp in sent:
        found = results.take(stamp)
        assert found is None or found.stamp_ns == stamp
        given += found is not None
        assert read - given <= WINDOW
    assert given >= len(stamps) - 1


def test_another_clip_is_refused(tmp_path: Path) -> None:
    results(tmp_path, [0, 1], [0, 1])
    text = (tmp_path / "sent.csv").read_text(encoding="utf-8")
    (tmp_path / "sent.csv").write_text(text.replace("\n1,", "\n7,"))
    with pytest.raises(SourceError, match=r"has frame 7 where 1 was due; play the clip again"):
        list(joined(ImageFolderSource(tmp_path / "clip"), tmp_path))
