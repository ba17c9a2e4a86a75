"""A store on a file system without locks, as some network drives are: refused in words by all that writes to it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from flows import cli
from reel.store import Store

REFUSED = {
    "dance": ["dance"],
    "sweep": ["dance", "-m", "seed=1,2"],
    "search": ["search", "search.trials=2"],
    "text2video": ["text2video", "prompt=a girl"],
    "up": ["up", "--only", "prefect"],
    "serve": ["serve"],
}
"""Commands by what they lock first: a record, a sweep's manifest, a search, a server, deployments."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store where no file can be locked."""
    monkeypatch.setenv("ROTOSCOPE_STORE", str(tmp_path / "store"))

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    return Store(tmp_path / "store")


@pytest.mark.parametrize("argv", REFUSED.values(), ids=REFUSED)
def test_a_command_that_needs_a_lock_is_refused_before_it_does_anything(
    argv: list[str], store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    own = [] if argv[0] == "up" else [f"paths.renders={tmp_path / 'renders'}"]
    assert cli.main([*argv, *own]) == 2
    said = capsys.readouterr().err
    assert "its file system does not support flock" in said
    assert "fix: keep the store on a local disk (paths.store=...)" in said
    assert "Traceback" not in said
    assert not store.digests(), "nothing is made that another could make at the same time"


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("argv", [["runs"], ["sweeps"], ["gc"], ["dance", "--cfg", "job"]], ids=" ".join)
def test_a_command_that_only_looks_needs_none(argv: list[str], capsys: pytest.CaptureFixture[str]):
    assert cli.main(argv) == 0
    assert "flock" not in capsys.readouterr().err
