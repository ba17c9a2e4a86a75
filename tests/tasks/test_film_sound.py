"""The film's sound: exactly as long as its picture, each shot's at its place, music under it, as loud as was asked."""

from __future__ import annotations

import resource
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest

from reel.errors import UserError
from reel.store import Store, Stored
from tasks.film import build
from tasks.film.plan import Length
from tasks.film.settings import Film, Loudness, Music, Shot, Title, Transition
from tests.tasks.film_samples import clip, made, samples_of, tone
from tests.tasks.media_samples import run

AS_IT_IS = Loudness(target=None)
RATE = 48_000


def mixed(store: Store, *arguments: Any) -> np.ndarray:
    """The samples ``(n, 2)`` of a film's mix."""
    return heard_in(made(store, *arguments)[1])


def heard_in(mix: Stored | None) -> np.ndarray:
    assert mix is not None
    found = samples_of(mix.path("sound.wav"))
    assert len(found) == mix.meta["samples"]
    return found


def level(samples: np.ndarray, start: float, stop: float) -> float:
    """Root mean square of a stretch, seconds."""
    part = samples[round(start * RATE) : round(stop * RATE)]
    return float(np.sqrt(np.mean(np.square(part))))


def test_each_sound_stands_where_its_shot_stands_and_no_longer(store: Store, tmp_path: Path):
    shots = [Shot(), Shot(), Shot(transition=Transition(kind="crossfade", frames=12))]
    short, long = tone(tmp_path / "short.wav", 0.5), tone(tmp_path / "long.wav", 9, rate=44_100)
    found = mixed(store, [clip(store, 24)] * 3, shots, Film(loudness=AS_IT_IS), {1: short, 2: long})
    assert len(found) == 60 * RATE // 24
    assert np.abs(found[:RATE]).max() == 0  # the first shot is silent
    assert level(found, 1.05, 1.45) == pytest.approx(0.5 / 2**0.5, rel=0.02)
    assert np.abs(found[round(1.51 * RATE) : round(1.49 * RATE) + 1]).max(initial=0) == 0
    half = level(found, 1.74, 1.76)  # in the middle of the crossfade, at equal power
    assert half == pytest.approx(0.5 / 2, rel=0.1)
    assert level(found, 2.05, 2.45) == pytest.approx(0.5 / 2**0.5, rel=0.02)


def test_speed_changes_a_sounds_length_and_not_its_pitch(store: Store, tmp_path: Path):
    shots = [Shot(speed=2)]
    found = mixed(store, [clip(store, 48)], shots, Film(loudness=AS_IT_IS), {0: tone(tmp_path / "a.wav", 2, 500)})
    assert len(found) == RATE
    spectrum = np.abs(np.fft.rfft(found[RATE // 4 : 3 * RATE // 4, 0]))
    assert spectrum.argmax() * 2 == pytest.approx(500, abs=6)
    assert level(found, 0.8, 0.95) > 0.2


@pytest.mark.parametrize(("seconds", "short", "end"), [(0.8, "loop", True), (0.8, "pad", False), (9.0, "loop", True)])
def test_music_of_any_length(store: Store, tmp_path: Path, seconds: float, short: str, end: bool):
    music = Music(file=tone(tmp_path / "m.wav", seconds), short=short, gain=0, fade_in=0, fade_out=0)
    found = mixed(store, [clip(store, 72)], [Shot()], Film(music=music, loudness=AS_IT_IS))
    assert len(found) == 3 * RATE
    assert level(found, 0.2, 0.7) == pytest.approx(0.5 / 2**0.5, rel=0.02)
    assert (level(found, 2.5, 2.9) > 0.3) is end


def test_music_fades_and_gives_way_to_what_is_heard(store: Store, tmp_path: Path):
    music = Music(file=tone(tmp_path / "m.wav", 9, 2000, volume=0.2), gain=0, fade_in=0.5, fade_out=0.5, duck=12)
    film = Film(music=music, loudness=AS_IT_IS)
    own = {1: tone(tmp_path / "a.wav", 1, 200)}
    found = mixed(store, [clip(store, 48), clip(store, 24), clip(store, 48)], [Shot()] * 3, film, own)

    def heard(start: float, stop: float) -> float:
        part = found[round(start * RATE) : round(stop * RATE), 0]
        spectrum = np.abs(np.fft.rfft(part)) / len(part) * 2
        return float(spectrum[round(2000 * len(part) / RATE)])

    assert heard(0.8, 1.6) == pytest.approx(0.2, rel=0.05)
    assert heard(2.3, 2.7) == pytest.approx(0.2 * 10 ** (-12 / 20), rel=0.05)
    assert heard(4.0, 4.4) == pytest.approx(0.2, rel=0.05)
    assert level(found, 0, 0.05) < 0.02
    assert level(found, 4.95, 5) < 0.02


@pytest.mark.parametrize("target", [-14.0, -23.0])
def test_loudness_by_another_meter(store: Store, tmp_path: Path, target: float):
    film = Film(loudness=Loudness(target=target), music=Music(file=tone(tmp_path / "m.wav", 2, volume=0.02)))
    _, mix = made(store, [clip(store, 72)], [Shot()], film)
    assert mix is not None
    figures = mix.meta["loudness"]
    heard = pyloudnorm.Meter(RATE).integrated_loudness(heard_in(mix).astype(float))
    assert heard == pytest.approx(target, abs=0.5)
    assert figures["after"]["integrated"] == pytest.approx(target, abs=0.2)
    assert figures["gain"] == pytest.approx(figures["after"]["integrated"] - figures["before"]["integrated"], abs=0.3)


def test_peaks_stay_under_the_ceiling(store: Store, tmp_path: Path):
    clicks = tmp_path / "clicks.wav"
    run("-f", "lavfi", "-i", "aevalsrc='if(lt(mod(t,0.5),0.004),0.9,0.03)*sin(2*PI*700*t)':s=48000:d=3", clicks)
    film = Film(loudness=Loudness(target=-14, peak=-2))
    _, mix = made(store, [clip(store, 72)], [Shot()], film, {0: clicks})
    assert mix is not None
    figures = mix.meta["loudness"]
    assert figures["limited"]
    assert figures["after"]["peak"] <= -1.9


def test_what_has_no_loudness_is_said(store: Store, tmp_path: Path):
    _, mix = made(store, [clip(store, 6)], [Shot()], Film(), {0: tone(tmp_path / "a.wav", 1)})
    assert mix is not None
    assert "under 400 ms" in mix.meta["loudness"]["why"]
    silence = tone(tmp_path / "b.wav", 1, volume=0)
    _, mix = made(store, [clip(store, 24)], [Shot()], Film(), {0: silence})
    assert mix is not None
    assert "silent" in mix.meta["loudness"]["why"]


def test_the_movie_has_every_sample(store: Store, tmp_path: Path):
    shots = [Shot(), Shot(transition=Transition(kind="crossfade", frames=5))]
    clips = [clip(store, 31, "30000/1001"), clip(store, 17, "30000/1001")]
    film, mix = made(store, clips, shots, Film(opening=Title(text="a", seconds=0.5)), {0: tone(tmp_path / "a.wav", 2)})
    assert mix is not None
    assert film.meta["samples"] == mix.meta["samples"] == len(samples_of(film.path(film.meta["movie"])))


def test_a_disk_that_runs_full_is_told(store: Store, tmp_path: Path):
    shots, music = [clip(store, 24)], Music(file=tone(tmp_path / "a.wav", 2))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(UserError, match="no room left while writing"):
            mixed(store, shots, [Shot()], Film(music=music))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def checked(music: Music) -> None:
    build.check([Shot()], [Length(Fraction(2), Fraction(24))], [(64, 48)], Film(music=music))


def test_music_that_is_none(tmp_path: Path):
    (tmp_path / "text.mp3").write_text("not music\n" * 400)
    with pytest.raises(UserError, match=r"film.music.file: text.mp3 has no sound that can be read"):
        checked(Music(file=tmp_path / "text.mp3"))
    with pytest.raises(UserError, match=r"film.music.file: there is no file"):
        checked(Music(file=tmp_path / "nothing.wav"))
    run("-f", "lavfi", "-i", "color=black:s=64x48:d=0.2", tmp_path / "silent.mp4")
    with pytest.raises(UserError, match="it holds pictures alone"):
        checked(Music(file=tmp_path / "silent.mp4"))
    with pytest.raises(UserError, match=r"film.music.start: m.wav lasts 1.0 s"):
        checked(Music(file=tone(tmp_path / "m.wav", 1), start=4))
