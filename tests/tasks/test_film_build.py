"""What of a film is made again when something of it changes, by the cache keys of a dry run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reel.clip import Clip
from reel.op import Context
from reel.store import Store
from tasks.cached import dry_run
from tasks.film import build
from tasks.film.mix import length_of
from tasks.film.settings import Captions, Film, Frame, Music, Output, Shot, Transition
from tests.tasks.film_samples import clip, tone

CROSSED = Transition(kind="crossfade", frames=4)


@pytest.fixture
def parts(store: Store, tmp_path: Path) -> list[build.Part]:
    """A silent shot, one with a file of sound, one with a stored sound."""
    with store.draft("sound") as draft:
        draft.add("sound.wav", tone(tmp_path / "a.wav", 0.5).read_bytes())
        stored = draft.commit(rate=48_000, seconds="1/2")
    own = [None, build.Sounding(file=tone(tmp_path / "b.wav", 1)), build.Sounding(digest=stored)]
    clips = [clip(store, 24, level=level) for level in (60, 90, 120)]
    return [build.Part(one.digest, sound) for one, sound in zip(clips, own, strict=True)]


def coming(store: Store, parts: list[build.Part], shots: list[Shot], film: Film) -> list[tuple[str, str]]:
    """Ops and keys of a film, in their order."""
    clips = [Clip.open(store, part.frames) for part in parts]
    planned = build.check(shots, [length_of(one) for one in clips], [(one.width, one.height) for one in clips], film)
    with dry_run() as found:
        build.make(planned, parts, shots, film, Context(store))
    stages = [(one.stage.op, one.stage.key) for one in found]
    assert {op for op, _ in stages} <= {op.id for op, _ in build.ops(planned, shots, film)}
    return stages


SHOTS = [Shot(caption="one"), Shot(caption="two", transition=CROSSED), Shot(transition=CROSSED)]


def changed(
    store: Store, parts: list[build.Part], shots: list[Shot], film: Film, now: list[build.Part] | None = None
) -> set[str]:
    """Ops that have something to do, where the film `SHOTS` of these parts was made before."""
    before = dict.fromkeys(key for _, key in coming(store, parts, SHOTS, Film()))
    return {op for op, key in coming(store, now or parts, shots, film) if key not in before}


def other(index: int, **more: Any) -> list[Shot]:
    shots = list(SHOTS)
    shots[index] = shots[index].model_copy(update=more)
    return shots


def test_a_film_is_its_shots_its_sound_and_its_cut(store: Store, parts: list[build.Part]):
    found = coming(store, parts, SHOTS, Film())
    assert sorted(op for op, _ in found) == ["film.cut", "film.mix", *["film.shot"] * 3]
    assert found[-1][0] == "film.cut"


def test_a_silent_film_has_no_mix(store: Store, parts: list[build.Part]):
    silent = [build.Part(part.frames) for part in parts]
    assert "film.mix" not in [op for op, _ in coming(store, silent, SHOTS, Film())]


def test_what_changes_makes_no_more_than_it_must(store: Store, parts: list[build.Part], tmp_path: Path):
    music = Film(music=Music(file=tone(tmp_path / "m.wav", 1)))
    assert changed(store, parts, SHOTS, music) == {"film.mix", "film.cut"}
    assert changed(store, parts, other(0, caption="another"), Film()) == {"film.cut"}
    assert changed(store, parts, SHOTS, Film(captions=Captions(show="soft"))) == {"film.cut"}
    assert changed(store, parts, SHOTS, Film(output=Output(poster="none"))) == {"film.cut"}
    assert changed(store, parts, SHOTS, Film(frame=Frame(flash="hold"))) == {"film.cut"}
    assert changed(store, parts, other(1, gain=3.0), Film()) == {"film.mix", "film.cut"}
    assert changed(store, parts, other(2, speed=2.0), Film()) == {"film.shot", "film.mix", "film.cut"}


def test_a_shot_that_is_moved_keeps_its_movie(store: Store, parts: list[build.Part]):
    moved = [parts[index] for index in (2, 0, 1)]
    assert changed(store, parts, SHOTS, Film(), moved) == {"film.mix", "film.cut"}


def test_a_path_is_in_no_key(store: Store, parts: list[build.Part], tmp_path: Path):
    named = tone(tmp_path / "m.wav", 1)
    (tmp_path / "same.wav").write_bytes(named.read_bytes())
    films = [Film(music=Music(file=path)) for path in (named, tmp_path / "same.wav")]
    assert coming(store, parts, SHOTS, films[0]) == coming(store, parts, SHOTS, films[1])
