"""Results folder: only what an evaluation wrote is deleted, and no link is followed, whoever made the folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.folder import PICKLE, RESULTS_MARK, SEVERAL, claimed, clear, remove

JOB = "0123456789abcdef"
RESULTS = (
    *("frames.jsonl", "state.npz", "summary.json", "frames.csv", "tracks.txt", "report.html", ".state.npz.new"),
    *("examples/best.jpg", "examples/frame 12-truth.jpg", "examples/worst-difference.jpg"),
    *("parts/000001/000001.mcap", "parts/000001/metadata.yaml", "annotated/annotated.mcap", "annotated/metadata.yaml"),
    *("live/bag/bag.mcap", "live/bag/metadata.yaml", "live/arrivals.csv", "live/sent.csv", "live/recording.json"),
    *("live/overlay.mp4", "live/.overlay.mp4.part", "live/logs/source_node.log", "live/logs/ros/python3_1_2.log"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All that an evaluation can leave."""
    out = tmp_path / "out"
    with claimed(out, JOB):
        pass
    for name in RESULTS:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(name)
    return out


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_all_results_are_deleted_and_nothing_else_and_the_folder_stays_ours(folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").touch()
    (folder / "thesis.tex").touch()
    clear(folder)
    assert files(folder) == {RESULTS_MARK, "thesis.tex", "notes/a.txt"} and not (folder / "live").exists()
    with claimed(folder, "another job's"):
        pass


@pytest.mark.parametrize(
    "name", ["examples/mine.jpg", "live/notes.txt", "live/bag/x.txt", "parts/000001/x/y", "annotated/mine.db3"]
)
def test_a_file_of_the_user_among_the_results_is_found_before_anything_is_deleted(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    other = folder.parent / "other"
    with claimed(other, JOB):
        (other / "summary.json").touch()
    before = files(folder)
    for call in (lambda: clear(other, folder), lambda: clear(folder, claimed=True)):
        with pytest.raises(ConfigError, match=r"is a f\w+ that no evaluation wrote; move it away"):
            call()
    assert files(folder) == before and (other / "summary.json").exists()


def test_one_result_is_deleted_by_its_name(folder: Path) -> None:
    remove(folder, "parts/000001")
    remove(folder, "state.npz")
    remove(folder, "annotated")
    remove(folder, "nothing")
    gone = {name for name in RESULTS if name.startswith(("parts", "state.npz", "annotated"))}
    assert files(folder) == {RESULTS_MARK, *RESULTS} - gone and (folder / "parts").is_dir()


@pytest.mark.parametrize(
    "name", [RESULTS_MARK, "frames.jsonl", "frames.csv", "parts", "parts/000001", "live/bag/bag.mcap", "examples"]
)
@pytest.mark.parametrize("link", [True, False])
def test_a_link_or_a_pipe_is_refused_and_its_target_stays(folder: Path, name: str, link: bool) -> None:
    target = folder.parent / "target"
    os.renames(folder / name, target)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    if link:
        (folder / name).symlink_to(target)
    else:
        os.mkfifo(folder / name)
    before = target.read_text() if target.is_file() else sorted(files(target))

    def claim() -> None:
        with claimed(folder, JOB):
            pytest.fail("it was claimed")

    for call in (claim, lambda: clear(folder)):
        with pytest.raises(ConfigError, match="is a link; results" if link else "is no file; results"):
            call()
    assert before == (target.read_text() if target.is_file() else sorted(files(target)))


def test_a_link_that_waits_for_a_whole_file_is_not_written_through(folder: Path) -> None:
    target = folder.parent / "target"
    target.write_text("precious")
    (folder / ".state.npz.new").unlink()
    (folder / ".state.npz.new").symlink_to(target)
    with pytest.raises(ConfigError, match="is a link"):
        clear(folder)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("text", ["", "\n", "mine", "\0" * 40])
def test_what_is_no_mark_protects_the_files_beside_it(tmp_path: Path, text: str) -> None:
    (tmp_path / RESULTS_MARK).write_text(text)
    (tmp_path / "summary.json").write_text("somebody's")
    calls: list[Callable[[], object]] = [lambda: clear(tmp_path), lambda: claimed(tmp_path, JOB).__enter__()]
    for call in calls:
        with pytest.raises(ConfigError, match=f"{RESULTS_MARK} is no mark that an evaluation wrote"):
            call()
    assert (tmp_path / "summary.json").read_text() == "somebody's"


def test_a_run_that_was_killed_at_its_very_start_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / RESULTS_MARK).touch()
    with claimed(tmp_path, JOB):
        pass
    assert JOB in (tmp_path / RESULTS_MARK).read_text()


@pytest.mark.parametrize("mark", [JOB, SEVERAL])
def test_results_of_version_0_1_go_on_but_not_those_with_a_pickle(tmp_path: Path, mark: str) -> None:
    (tmp_path / RESULTS_MARK).write_text(mark)
    (tmp_path / "summary.json").touch()
    with claimed(tmp_path, mark):
        pass
    (tmp_path / PICKLE).touch()
    with (
        pytest.raises(ConfigError, match=r"interrupted under version 0\.1; .* Begin anew with --fresh"),
        claimed(tmp_path, mark),
    ):
        pass
    clear(tmp_path)
    assert files(tmp_path) == {RESULTS_MARK}


def test_results_are_not_deleted_under_a_run_that_writes_them(folder: Path) -> None:
    with claimed(folder, JOB), pytest.raises(ConfigError, match="another evaluation is writing"):
        clear(folder)
    assert files(folder) == {RESULTS_MARK, *RESULTS}
    clear(folder.parent / "nothing")
