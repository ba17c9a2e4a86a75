"""What stands for a file that a setting names: its content, and never a wait for what has none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reel import content
from reel.errors import UserError


@pytest.mark.timeout(20)
def test_what_has_no_content_stands_for_itself(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path / "none"):
        assert content.content(path) == str(path)


def test_a_folder_is_what_its_files_are(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"x")
    before = content.content(tmp_path / "a")
    os.mkfifo(tmp_path / "a" / "pipe")
    assert content.content(tmp_path / "a") == before
    (tmp_path / "a" / "2.png").write_bytes(b"x")
    assert content.content(tmp_path / "a") != before


def test_a_folder_of_everything_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A sweep over ``clip=/`` would read the whole disk before it could say that there are no pictures."""
    monkeypatch.setattr(content, "MOST_FILES", 3)
    for number in range(4):
        (tmp_path / str(number)).touch()
    with pytest.raises(UserError, match="has more than 3 files"):
        content.content(tmp_path)
