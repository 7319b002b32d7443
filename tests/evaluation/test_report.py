from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from recorded import Bag, street

from cmt_seg_ros.evaluation.report import build_report

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks that every element is closed, and collects what the page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.refers: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.refers += [value or "" for name, value in attrs if name in ("src", "href", "poster", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bag = Bag(tmp_path_factory.mktemp("report"))
    street(bag)
    bag.write()
    build_report(bag.out, clip="a <clip> & more")
    return bag.out


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(out: Path) -> None:
    text = (out / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert {r for r in page.refers if not r.startswith("data:")} == {"summary.json"}
    assert "http:" not in text and "https:" not in text and "@import" not in text and "url(" not in text
    assert "a &lt;clip&gt; &amp; more" in text and "<clip>" not in text
    assert "Mean boundary F at 3 px" in text and "within 3 px" in text


def test_the_pictures_in_it_can_be_decoded(out: Path) -> None:
    text = (out / "report.html").read_text()
    found = re.findall(r'src="data:image/([a-z+]+);base64,([^"]+)"', text)
    kinds = [kind for kind, _ in found]
    assert kinds.count("svg+xml") == 4 and kinds.count("jpeg") == 6
    for kind, data in found:
        raw = base64.b64decode(data, validate=True)
        if kind == "jpeg":
            assert cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR).shape == (16, 16, 3)
        else:
            assert ElementTree.fromstring(raw).tag.endswith("svg")


def test_the_summary_has_the_known_numbers(out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text())
    assert summary["schema_version"] == 1
    assert summary["frames"] == {"in": 10, "out": 9, "dropped": 1}
    assert (summary["model"], summary["device"]) == ("some-model", "CPU")
    assert summary["speed"]["segmentation/mask"]["age_p50_ms"] == pytest.approx(24.0)
    assert summary["masks"]["class_iou"]["Car"] == pytest.approx(40 / 41)
    assert summary["masks"]["class_iou"]["Sky"] is None
    boundary = summary["masks"]["class_boundary_f"]
    assert (boundary["Pavement"], boundary["Sky"], summary["masks"]["boundary_tolerance_px"]) == (0.0, None, 3)
    assert 0 < summary["masks"]["mean_boundary_f"] < boundary["Car"] < 1
    assert summary["tracks"]["id_switches"] == 1
    assert "numpy" not in summary["versions"] and summary["versions"]["cmt_seg_ros"]


def test_a_recording_without_truth_or_tracks_has_a_report_too(tmp_path: Path) -> None:
    bag = Bag(tmp_path)
    bag.labels()
    bag.image(0, "segmentation/mask", np.zeros((8, 8), np.uint8), age_ms=5.0)
    summary = build_report(bag.write(), frames_sent=3)
    assert summary["frames"] == {"in": 3, "out": 1, "dropped": 2}
    assert summary["masks"] is None and summary["tracks"] is None and summary["notes"]
    assert Page((tmp_path / "report.html").read_text()).open == []


def test_masks_without_any_boundary_have_a_report_too(tmp_path: Path) -> None:
    bag = Bag(tmp_path)
    bag.labels()
    for topic in ("truth/class_ids", "segmentation/mask"):
        bag.image(0, topic, np.zeros((8, 8), np.uint8))
    masks = build_report(bag.write())["masks"]
    assert (masks["mean_iou"], masks["mean_boundary_f"]) == (1.0, None)
    assert "not defined" in (tmp_path / "report.html").read_text()
