"""Files that people name: only regular ones of some size are opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reel.reading import Unreadable, read_small


def test_what_is_read_and_what_is_not(tmp_path: Path):
    (tmp_path / "text").write_bytes(b"abc")
    assert read_small(tmp_path / "text", 3) == b"abc"
    with pytest.raises(Unreadable, match="has 3 bytes, at most 2 are read"):
        read_small(tmp_path / "text", 2)
    with pytest.raises(Unreadable, match="is a folder"):
        read_small(tmp_path, 100)
    with pytest.raises(FileNotFoundError):
        read_small(tmp_path / "none", 100)


@pytest.mark.timeout(20)
def test_a_pipe_and_a_device_are_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(Unreadable, match="is not a regular file"):
            read_small(path, 100)


def test_a_file_that_has_more_than_it_says():
    with pytest.raises(Unreadable, match="has more than 10 bytes"):
        read_small(Path("/proc/self/status"), 10)  # its size is told as 0


def test_a_name_that_no_file_system_takes(tmp_path: Path):
    with pytest.raises(Unreadable, match="file name too long"):
        read_small(tmp_path / ("a" * 300), 10)
