"""docs/reference.md is made from the code and up to date."""

from __future__ import annotations

import runpy

import pytest
from support import ROOT

from cmt_seg_ros.config import NODE_PARAMETERS
from cmt_seg_ros.config.fields import parameters_of
from cmt_seg_ros.config.topics import SUBSCRIPTIONS, TOPICS
from cmt_seg_ros.ros.launch_arguments import REPLAY, SEG


def test_reference_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["main"]
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_reference_names_everything() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    configs = [config for configs in NODE_PARAMETERS.values() for config in configs]
    specs = [item for config in configs for item in parameters_of(config).items()]
    names = [
        *(name for name, spec in specs if not spec.instead),
        *(t.name for t in (*TOPICS, *SUBSCRIPTIONS)),
        *(a.name for a in (*SEG, *REPLAY)),
    ]
    assert [name for name in names if f"| `{name}` |" not in text] == []
    assert [path.stem for path in (ROOT / "msg").glob("*.msg") if f"### cmt_seg_ros/{path.stem}\n" not in text] == []


def test_stale_reference_is_refused_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["main"]
    main.__globals__["FILE"] = ROOT / "docs" / "none.md"
    assert main(["--check"]) == 1
    assert "docs/none.md is not up to date; run: python docs/make_reference.py" in capsys.readouterr().err
