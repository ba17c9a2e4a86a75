"""A movie's facts are read once for its bytes, and are what the file says."""

from __future__ import annotations

import shutil
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from reel import child
from reel.errors import UserError
from tasks.media import contained, facts_process, known_facts, probe
from tasks.media.source import open_source
from tests.tasks.media_samples import numbered, run

SAMPLE = Path(__file__).parents[2] / "data" / "source" / "sample.mp4"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROTOSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "probes"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read, each in a process of its own."""
    seen: list[Path] = []
    real = contained.ask

    def noted(module, request, **limits):
        seen.append(Path(request["path"]))
        return real(module, request, **limits)

    monkeypatch.setattr(contained, "ask", noted)
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
    assert first == again == probe.of_movie(path)
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
    known_facts.facts(open_source(path), stream=0)
    assert len(reads) == 4


def test_pictures_are_read_once_at_any_rate(tmp_path: Path, reads: list[Path]) -> None:
    for number in range(3):
        Image.new("RGB", (40, 30)).save(tmp_path / f"{number}.png")
    for fps in (5, 5, 24):
        facts = known_facts.facts(open_source(tmp_path), picture_fps=Fraction(fps))
        assert (facts.width, facts.height, len(facts.pts), facts.fps) == (40, 30, 3, fps)
    assert len(reads) == 1


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


CALM = "import sys; from tasks.media import inside; inside.serve(lambda request: {what})"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("__import__('os').abort()", "crashed, or came to no end"),
        ("sum(0 for _ in iter(int, 1))", "crashed, or came to no end"),
        ("bytearray(1 << 40)", "a.mp4 cannot be read (MemoryError)"),
        ("1 / 0", "a.mp4 cannot be read (division by zero)"),
        ("sys.exit(1)", "crashed, or came to no end"),
    ],
    ids=["crash", "no end", "memory", "error", "exit"],
)
def test_what_breaks_the_reader_is_one_refusal(monkeypatch: pytest.MonkeyPatch, what: str, said: str) -> None:
    """Every way in which outside software can break down over a file, by code of ours in its place."""
    script = CALM.format(what=what)
    monkeypatch.setattr(child, "command", lambda module, *arguments: [sys.executable, "-c", script, *arguments])
    with pytest.raises(UserError) as error:
        contained.ask(facts_process.__name__, {}, name="a.mp4", seconds=1)
    assert said in error.value.message
    assert "\n" not in error.value.message


def test_a_reader_that_waits_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps = CALM.format(what="__import__('time').sleep(600)")
    monkeypatch.setattr(child, "command", lambda module, *arguments: [sys.executable, "-c", sleeps, *arguments])
    monkeypatch.setattr(contained, "BY_THE_CLOCK", 1)
    with pytest.raises(UserError, match="came to no end"):
        contained.ask(facts_process.__name__, {}, name="a.mp4", seconds=0)
