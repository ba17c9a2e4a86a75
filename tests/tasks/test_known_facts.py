"""A movie's facts are read once for its bytes, and are what the file says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks.media import known_facts, probe
from tasks.media.source import open_source
from tests.tasks.media_samples import numbered, run

SAMPLE = Path(__file__).parents[2] / "data" / "source" / "sample.mp4"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROTOSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "probes"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read with PyAV."""
    seen: list[Path] = []
    real = probe.probe

    def noted(source, **settings):
        seen.append(source.path)
        return real(source, **settings)

    monkeypatch.setattr(probe, "probe", noted)
    return seen


@pytest.mark.parametrize("kind", ["sample with sound", "no sound", "gif", "turned"])
def test_facts_come_back_as_they_were_read(tmp_path: Path, reads: list[Path], kind: str) -> None:
    path = tmp_path / "a.mp4"
    if kind == "sample with sound":
        shutil.copy(SAMPLE, path)
    elif kind == "gif":
        path = numbered(tmp_path / "a.gif", 5, "10", "64x48", "-c:v", "gif")
    else:
        numbered(tmp_path / "b.mp4", 12, "30000/1001")
        turn = ["-display_rotation", 90] if kind == "turned" else []
        run(*turn, "-i", tmp_path / "b.mp4", "-c", "copy", path)
    source = open_source(path)
    first, again = known_facts.facts(source), known_facts.facts(source)
    assert reads == [path]
    assert first == again == probe._probe_movie(path, False)
    assert again.fps == first.fps
    assert (first.sound is not None) == (kind == "sample with sound")


def test_other_bytes_and_other_settings_are_read_anew(tmp_path: Path, reads: list[Path]) -> None:
    path = numbered(tmp_path / "a.mp4", 5)
    assert len(known_facts.facts(open_source(path)).pts) == 5
    numbered(path, 7)
    assert len(known_facts.facts(open_source(path)).pts) == 7
    known_facts.facts(open_source(path), keep_damaged=True)
    shutil.copy(path, tmp_path / "same.mp4")
    known_facts.facts(open_source(tmp_path / "same.mp4"))  # the same bytes under another name
    assert len(reads) == 3


def test_damage_and_a_full_disk_are_as_if_nothing_were_known(tmp_path: Path, cache: Path, reads: list[Path]) -> None:
    source = open_source(numbered(tmp_path / "a.mp4", 5))
    facts = known_facts.facts(source)
    [note] = cache.iterdir()
    note.write_bytes(note.read_bytes().replace(b'"width": ', b'"width": 1'))
    assert known_facts.facts(source) == facts
    shutil.rmtree(cache)
    cache.write_text("a file stands in the way")
    assert known_facts.facts(source) == facts
    assert len(reads) == 3
