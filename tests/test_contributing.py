"""Paths named in README, CONTRIBUTING and docs: each exists in the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cmt_seg_ros"
DOCS = sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "migration.md")  # it names what is gone
# The other folders of the repository (models/, out/) also stand in examples of what a user makes.
FOLDERS = {"cmt_seg_ros", "benchmarks", "config", "docs", "launch", "msg", "tests"}
ROOMS = {path.name for path in PACKAGE.iterdir() if path.is_dir()}


def named_paths(text: str, folders: set[str]) -> set[str]:
    """Return the backticked Python files, paths that begin with one of the folders, and folders of the package."""
    return {
        path
        for path in re.findall(r"`(?:python )?([\w./-]+)[^`\n]*`", text)
        if path.endswith(".py")
        or ("/" in path and path.split("/")[0] in folders)
        or (path.endswith("/") and path.split("/")[0] in ROOMS)
    }


def exists(path: str) -> bool:
    """Return whether a path exists in the repository or in the package; a module may become a package."""
    return any((base / path).exists() or (base / f"{path}.py").exists() for base in (ROOT, PACKAGE))


def test_paths_of_the_table_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .* \| (.*) \|$", text, re.MULTILINE)
    paths = named_paths("\n".join(rows), FOLDERS | ROOMS)
    assert len(rows) > 30 and len(paths) > 50
    assert [path for path in sorted(paths) if not exists(path)] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS], ids=lambda path: path.name)
def test_paths_in_the_docs_exist(page: Path) -> None:
    names = {path.name for folder in (PACKAGE, ROOT / "launch") for path in folder.rglob("*.py")}
    paths = named_paths(page.read_text(encoding="utf-8"), FOLDERS)
    # A page about one folder may name its files without it.
    assert [path for path in sorted(paths) if not exists(path) and path not in names] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS], ids=lambda path: path.name)
def test_links_in_the_docs_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
