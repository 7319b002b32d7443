from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from cmt_seg_ros.evaluation.report.plots import confusion_matrix, reliability, stage_histograms

CELL = re.compile("<!-- ([0-9.]+) -->")  # matplotlib notes each text that it draws as shapes


def test_rows_of_the_confusion_matrix_are_shares_of_the_true_pixels() -> None:
    counts = [[30, 10, 0, 0], [0, 0, 0, 0], [1, 0, 999, 0]]
    assert CELL.findall(confusion_matrix(("a", "b", "c"), counts)) == ["75", "25", "0.1", "100"]


def test_the_column_of_unlabelled_pixels_is_there_if_some_are() -> None:
    some, none = (confusion_matrix(("a", "b"), [[5, 0, left], [0, 7, 0]]) for left in (5, 0))
    assert "unlabelled" in some and CELL.findall(some) == ["50", "50", "100"]
    assert "unlabelled" not in none


def test_of_many_classes_the_most_frequent_are_shown() -> None:
    counts = np.random.default_rng(0).integers(0, 1000, (150, 151))
    counts[100] += 5000
    names = [f"class {i}" for i in range(150)]
    text = confusion_matrix(names, counts.tolist())
    assert "other classes" in text and "unlabelled" in text and text.count("<!-- class 100 -->") == 2
    assert len(set(re.findall("<!-- (class [0-9]+) -->", text))) == 30 and not CELL.findall(text)
    assert len(text) < 400_000 and confusion_matrix(names, counts.tolist()) == text


def test_bins_and_stages_without_values() -> None:
    bins = [
        {"low": 0.0, "high": 0.5, "pixels": 0, "confidence": None, "accuracy": None},
        {"low": 0.5, "high": 1.0, "pixels": 9, "confidence": 0.75, "accuracy": 1.0},
    ]
    ElementTree.fromstring(reliability(bins, 0.25))
    for times in ([0.0], [3.0, 3.0], [1.0, 2.0, 500.0]):
        ElementTree.fromstring(stage_histograms({"infer": np.array(times), "read": np.array([1.0])}))


def test_a_name_with_signs_of_formulas_or_markup_is_a_name() -> None:
    names = ("$x^{", "a_$b$", "<b>&amp;</b>--")
    plots = ElementTree.fromstring(confusion_matrix(names, np.ones((3, 4)).tolist()))
    assert plots.tag.endswith("svg")
