"""A film from its shots: everything checked before any work, then the ops in their order. What flows call.

planned = build.check(shots, looks_like, film)       # while planning: lengths and sizes are known, no frame is
build.ops(planned, shots, film)                      # what it will run, with settings
build.make(planned, parts, shots, film, ctx)         # digest of an object of kind `render`, see `tasks.film.cut`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reel.config import Config
from reel.errors import UserError
from reel.op import Context, Op, get
from tasks.cached import call
from tasks.film import captions, conform, fonts
from tasks.film.conform import Size
from tasks.film.cut import Cut
from tasks.film.mix import Mix
from tasks.film.plan import Length, Plan, plan
from tasks.film.settings import Captions, Film, Frame, Music, Output, Shot, Title
from tasks.film.shot import ShotMovie
from tasks.media import sounds
from tasks.media.source import source_digest

LONG = 6 * 3600
"""Seconds that a film may last."""


@dataclass(frozen=True)
class Sounding:
    """Sound: a file of the user, or the digest of a stored one."""

    file: Path | None = None
    digest: str = ""


@dataclass(frozen=True)
class Part:
    """What a shot is made of: the digest of its clip, and the sound that goes with it; None: it is silent."""

    frames: str
    sound: Sounding | None = None


@dataclass(frozen=True)
class Planned:
    """A film checked. ``plan`` says where every shot stands; ``size``: width and height, px."""

    plan: Plan
    size: Size


def check(shots: Sequence[Shot], lengths: Sequence[Length], sizes: Sequence[Size], film: Film) -> Planned:
    """Check everything that can be wrong with a film before its shots are made.

    Args:
        lengths, sizes: of the clips to come, in the order of the shots.

    Raises:
        UserError: no shots, transitions that do not fit, a shape that crops away too much, words that the font cannot
            show or nobody can read, music that is none.
    """
    planned = plan(shots, lengths, film)
    if planned.frames / planned.fps > LONG:
        raise UserError(f"the film would last {float(planned.frames / planned.fps / 3600):.1f} hours, 6 are the most")
    size = conform.film_size(sizes, film.frame)
    for number, one in enumerate(sizes, 1):
        conform.check_shape(one, size, film.frame, f"shot {number}")
    captions.check(shots, film)
    if film.captions.show != "none":
        captions.cues(planned, shots, film.captions, size)
    if film.captions.font is not None:
        fonts.face(film.captions.font, 16)
    if film.music.file is not None:
        found = sounds.look(film.music.file, "film.music.file")
        if found.seconds is not None and found.seconds <= film.music.start:
            raise UserError(
                f"film.music.start: {film.music.file.name} lasts {float(found.seconds):.1f} s", fix="film.music.start=0"
            )
    return Planned(planned, size)


def ops(planned: Planned, shots: Sequence[Shot], film: Film) -> list[tuple[Op, Config]]:
    """Every op that `make` runs, with its settings."""
    movies = [(get("film", "shot"), one) for one in _movies(planned, shots, film)]
    return [*movies, (get("film", "mix"), _mix(shots, film)), (get("film", "cut"), _cut(shots, film))]


def make(planned: Planned, parts: Sequence[Part], shots: Sequence[Shot], film: Film, ctx: Context) -> str:
    """Run the ops, or take their outputs from the cache.

    Args:
        parts: one for each shot.

    Returns:
        digest of what `tasks.film.cut.cut` gives.
    """
    clips = {f"shot_{index}": part.frames for index, part in enumerate(parts)}
    heard: dict[str, str] = {}
    files: dict[str, Path] = {}
    named = {f"sound_{index}": part.sound for index, part in enumerate(parts) if shots[index].sound}
    if film.music.file is not None:
        named["music"] = Sounding(film.music.file)
    for name, sound in named.items():
        if sound is not None:
            heard[name] = sound.digest if sound.file is None else source_digest(sound.file)
            files |= {} if sound.file is None else {name: sound.file}
    given = dict(clips)
    if heard:
        own = replace(ctx, files=files)
        given["mix"] = call(get("film", "mix"), _mix(shots, film), {**clips, **heard}, own).digest
    if film.output.timeline:
        given |= _shot_movies(planned, parts, shots, film, heard, files, ctx)
    words = {} if film.captions.font is None else {"font": film.captions.font}
    given |= {name: source_digest(path) for name, path in words.items()}
    return call(get("film", "cut"), _cut(shots, film), given, replace(ctx, files=words)).digest


def _shot_movies(
    planned: Planned, parts: Sequence[Part], shots: Sequence[Shot], film: Film, heard: Mapping[str, str],
    files: Mapping[str, Path], ctx: Context,
) -> dict[str, str]:  # fmt: skip
    found = {}
    for index, settings in enumerate(_movies(planned, shots, film)):
        name = f"sound_{index}"
        inputs = {"frames": parts[index].frames, **({"sound": heard[name]} if name in heard else {})}
        own = replace(ctx, files={"sound": files[name]} if name in files else {})
        found[f"movie_{index}"] = call(get("film", "shot"), settings, inputs, own).digest
    return found


def _movies(planned: Planned, shots: Sequence[Shot], film: Film) -> list[ShotMovie]:
    if not film.output.timeline:
        return []
    output = Output(format=film.output.format, crf=film.output.crf, preset=film.output.preset)
    shape = Frame(fit=film.frame.fit, background=film.frame.background)
    fps, (width, height) = str(planned.plan.fps), planned.size
    return [
        ShotMovie(width=width, height=height, fps=fps, frame=shape, output=output, speed=one.speed,
                  seconds=one.seconds)
        for one in shots
    ]  # fmt: skip


def _mix(shots: Sequence[Shot], film: Film) -> Mix:
    """What its sound depends on: no words, no picture, no path."""
    heard = [one.model_copy(update={"caption": "", "name": ""}) for one in shots]
    music = film.music.model_copy(update={"file": None}) if film.music.file else Music()
    cards = {"opening": _blank(film.opening), "closing": _blank(film.closing)}
    kept = {"frame": Frame(fps=film.frame.fps), "captions": Captions(), "output": Output(), "music": music, **cards}
    return Mix(shots=heard, film=film.model_copy(update=kept))


def _blank(card: Title | None) -> Title | None:
    """A card's length and transition alone."""
    return card and Title(text="", seconds=card.seconds, transition=card.transition)


def _cut(shots: Sequence[Shot], film: Film) -> Cut:
    """What its files depend on beside its sound: no path, and nothing that is in the mix."""
    seen = [one.model_copy(update={"gain": 0.0, "sound": True}) for one in shots]
    words = film.captions.model_copy(update={"font": None})
    kept = {"captions": words, "music": Music(), "loudness": type(film.loudness)()}
    return Cut(shots=seen, film=film.model_copy(update=kept))


__all__ = ["Length", "Part", "Planned", "Sounding", "check", "make", "ops"]
