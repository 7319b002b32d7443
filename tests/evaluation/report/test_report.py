from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from support.small_street import INFO, records_of, street, without_truth, write_records

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.checkpoint import read_records
from cmt_seg_ros.evaluation.report.examples import draw_examples, save_examples
from cmt_seg_ros.evaluation.report.report import write_report
from cmt_seg_ros.labels import CAMVID

VOID = {"meta", "img", "br", "link", "input", "hr"}
PARTS = ("frames", "masks", "objectness", "tracks", "panoptic", "temporal", "problems")


class Page(HTMLParser):
    """Checks that every element is closed, and collects what the page says and refers to."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.refers: list[str] = []
        self.words: list[str] = []
        self.raw = (folder / "report.html").read_text(encoding="utf-8")
        self.feed(self.raw)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.refers += [value or "" for name, value in attrs if name in ("src", "href", "poster", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def page(folder: Path, records: list[dict[str, Any]], **info: Any) -> Page:
    write_report(folder, *write_records(folder, records, replace(INFO, **info)))
    return Page(folder)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    summary, history = write_records(folder, records_of(street()))
    wanted = {name: one["index"] for name, one in summary["examples"].items()}
    save_examples(folder, draw_examples(street(), CAMVID, np.arange(256, dtype=np.uint8), wanted))
    write_report(folder, summary, history)
    return folder


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(out: Path) -> None:
    found = Page(out)
    assert {r for r in found.refers if not r.startswith("data:")} == {"summary.json", "frames.jsonl"}
    assert not any(word in found.raw for word in ("http:", "https:", "@import", "url("))
    assert "a &lt;clip&gt; &amp; more" in found.raw and "<clip>" not in found.raw


def test_the_pictures_in_it_can_be_decoded(out: Path) -> None:
    pictures = re.findall(r'src="data:image/([a-z+]+);base64,([^"]+)"', Page(out).raw)
    kinds = [kind for kind, _ in pictures]
    assert kinds.count("svg+xml") == 5 and kinds.count("jpeg") == 9
    for kind, data in pictures:
        raw = base64.b64decode(data, validate=True)
        if kind == "jpeg":
            assert cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR).shape == (16, 16, 3)
        else:
            assert ElementTree.fromstring(raw).tag.endswith("svg")


def test_the_same_records_give_the_same_bytes(out: Path) -> None:
    before = (out / "report.html").read_bytes()
    write_report(out, *write_records(out, records_of(street())))
    assert (out / "report.html").read_bytes() == before


def test_numbers_have_units_and_say_what_they_were_computed_on(out: Path) -> None:
    text = Page(out).text
    road, car = 200 / 215, 40 / 41
    assert f"Mean IoU {100 * (road + car) / 3:.1f} % 9 frames with masks and true classes" in text
    assert "Mean boundary F at 3 px" in text and "within 3 px" in text
    assert "Frames lost 1 (10.0 %) 1 malformed" in text
    assert "Identity switches 1 9 frames, 3 true objects, 3 tracks; by their masks" in text
    assert "Speed 4.50 frames/s 9 frames" in text and "CPU time per frame 333.3 ms" in text
    assert "Median: frame" in text and "source.frames = 10" in text


def test_what_was_wrong_with_the_input_is_listed(tmp_path: Path) -> None:
    results = street()
    records = records_of([*without_truth(results[:1]), *results[1:]])
    lines = [f"message {i} is damaged" for i in range(60)]
    problems = {"counts": {"damaged_message": 60}, "lines": lines}
    found = page(
        tmp_path,
        records,
        problems=problems,
        truth={"truth_without_frame": 1, "first_truth_without_frame": ["labels/77.png"]},
    ).text
    assert "Problems: 60 (damaged message: 60)" in found and "message 49 is damaged and 10 more" in found
    assert "street: frame 9 (000009): malformed" in found
    assert "not in the scores: 1 street: frame 0 (000000)" in found
    assert "Ground truth without a frame: 1 labels/77.png" in found


def test_several_sequences_have_a_table_with_links(tmp_path: Path) -> None:
    records = [*records_of(street(), "drive/front"), *records_of(street(), "drive/rear left")]
    summary, history = write_records(tmp_path, records)
    figures = {part: summary[part] for part in PARTS}
    summary["sequences"] = [
        {"name": "drive/front", "error": "", **figures},
        {"name": "drive/rear left", "error": "", **figures},
        {"name": "broken", "error": "it is no bag", **dict.fromkeys(PARTS)},
    ]
    last = summary["examples"]["best"]
    (tmp_path / last["sequence"]).mkdir(parents=True)
    save_examples(tmp_path / last["sequence"], draw_examples(street(), CAMVID, None, {"best": last["index"]}))
    write_report(tmp_path, summary, history)
    found = Page(tmp_path)
    assert f"Best: frame {last['index']} of {last['sequence']}" in found.text
    assert {"drive/front/report.html", "drive/rear%20left/report.html"} <= set(found.refers)
    assert "broken failed: it is no bag" in found.text
    assert "When each track was seen" not in found.raw  # ids of several sequences mean nothing together


def test_a_live_run_without_truth_shows_ages_and_drops(tmp_path: Path) -> None:
    results = [replace(r, lost=r.lost and "dropped", timing_ms={} if r.lost else {"age": 40.0}) for r in street()]
    save_examples(tmp_path, draw_examples(without_truth(street()), CAMVID, None, {"frame 2": 2}))
    diagnostics = {"segmentation_node: camera": {"dropped": "1"}}
    found = page(tmp_path, records_of(without_truth(results)), mode="live", diagnostics=diagnostics)
    assert "40.0 ms median age of an image at its mask" in found.text and "1 of 10 frames lost" in found.text
    assert "segmentation_node: camera.dropped = 1" in found.text and "There is no ground truth" in found.text
    assert "Mean IoU" not in found.text and "Confusion" not in found.text and "Frame 2" in found.text


def test_files_that_lie_beside_the_page_are_named(tmp_path: Path) -> None:
    (tmp_path / "annotated").mkdir()
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "overlay.mp4").write_bytes(bytes(2000))
    (tmp_path / "tracks.txt").touch()
    found = page(tmp_path, records_of(street()))
    assert {"annotated/", "live/overlay.mp4", "tracks.txt"} <= set(found.refers) and "frames.csv" not in found.refers
    assert "config/foxglove.json" in found.text


def test_runs_of_which_little_is_known_have_a_page_too(tmp_path: Path) -> None:
    results = street()
    for name, some in {"none": [], "one": results[:1], "lost": results[-1:], "lost twice": [results[-1]] * 2}.items():
        page(tmp_path / name, records_of(some))
    truth = replace(
        results[0].frame.truth, class_ids=None, objectness=None, instance_ids=None, boxes_px={7: (0, 2, 5, 6)}
    )
    boxes = [replace(r, frame=replace(r.frame, truth=truth)) for r in results[:-1]]
    text = page(tmp_path / "boxes", records_of(boxes)).text
    assert "the IoU of their boxes" in text and "IDF1 45.0 %" not in text and "by their boxes" in text


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"frames\.jsonl cannot be read"):
        list(read_records(tmp_path))
