"""What the pages point to is there: links and their headings, pictures, files and modules that they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "data").glob("*/README.md")),
    *sorted((ROOT / "data" / "models").glob("*/README.md")),
]
LINK = re.compile(r"\]\(([^()\s]+)\)")
PATH = re.compile(r"(?<![\w./~-])(?:reel|tasks|flows|conf|docs|tests|benchmarks|data/models|data/source)/[\w./*-]*\w")
MODULE = re.compile(r"(?<![\w.])(?:reel|tasks|flows|benchmarks)(?:\.\w+)+")
BARE = re.compile(r"(?<![\w./])\w+\.py\b")
"""A module named without its folder, as the trees in docs/architecture.md do."""
KNOWN = {
    path.name
    for package in ("reel", "tasks", "flows", "tests", "benchmarks")
    for path in (ROOT / package).rglob("*.py")
}
THEIR_OWN = re.compile(r"conf/(local/default|schedules/walk|experiment/(\w+/walk|swatch))(\.yaml)?")
"""Files of the reader's own, as examples and messages on the pages name them."""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """A page without the files that it shows in full (``title=...``): they are the reader's to write."""
    return re.sub(r"```\w+ title=.*?\n```", "", page.read_text("utf-8"), flags=re.DOTALL)


def headings(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for target in LINK.findall(page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            wrong.append(target)
        elif anchor and anchor not in headings(file):
            wrong.append(f"{target}: no such heading")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_and_modules_that_are_named_exist(page: Path) -> None:
    text = prose(page)
    paths = {path for path in PATH.findall(text) if not THEIR_OWN.fullmatch(path)}
    assert sorted(path for path in paths if not any(ROOT.glob(path))) == []
    assert sorted(set(BARE.findall(text)) - KNOWN) == []
    assert sorted(module for module in set(MODULE.findall(text)) if not exists(module)) == []


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name that its module has in its source."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.is_file():
            rest = parts[length:]
            return not rest or re.search(rf"\b{rest[0]}\b", file.read_text("utf-8")) is not None
    return False


def test_every_page_is_linked() -> None:
    """From README; the pages of a folder of their own from any page."""
    linked = {
        page: {(page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(page.read_text("utf-8"))}
        for page in PAGES
    }
    docs = {page for page in PAGES if page.is_relative_to(ROOT / "docs")}
    top = {page for page in docs if page.parent == ROOT / "docs"}
    assert sorted(map(name, top - linked[ROOT / "README.md"])) == []
    further = {page for page in docs - top if page.parent.name != "adr"}  # README links the folder of decisions
    assert sorted(map(name, further - set().union(*linked.values()))) == []
