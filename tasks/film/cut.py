"""The op `film.cut`: shots, titles, captions and the mix become one movie, with poster, subtitles and timelines.

The frames go through one pipe into the encoder that every render uses, so that memory does not grow with the length.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.clip import Clip, encode_png
from reel.config import Config
from reel.op import Context, op
from reel.store import Draft, Stored
from reel.work import FRAME, Extent, Work, choices
from tasks.film import captions, edit_lists
from tasks.film.captions import Cue
from tasks.film.conform import Size, film_size
from tasks.film.mix import lengths
from tasks.film.picture import Looks, counted, joined, looks, shot_frames
from tasks.film.plan import Placed, Plan, plan
from tasks.film.settings import RATE, Film, Shot
from tasks.media.encode import FORMATS, Movie, SoundTrack, encode
from tasks.media.timeline import Timing

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)


class Cut(Config):
    """What of a film its files depend on."""

    shots: list[Shot]
    film: Film


def _work(cfg: Cut, given: Mapping[str, Extent], ctx: Context) -> Work:
    clips = [one for name, one in given.items() if name.startswith("shot_")]
    frames, megapixels = sum(one.frames for one in clips), sum(one.megapixels for one in clips)
    return Work({"frames": FRAME * frames, "megapixels": megapixels}, choices(cfg.film.output))


@op("film", "cut", version=1, config=Cut, inputs=("shot_*", "movie_*", "mix", "font"), gives="render", work=_work,
    distributions=("imageio-ffmpeg", "ffmpeg-python", "av", "numpy", "pillow", "opencv-python-headless", "matplotlib",
                   "pysubs2", "opentimelineio", "otio-fcp-adapter", "otio-cmx3600-adapter"))  # fmt: skip
def cut(cfg: Cut, inputs: Mapping[str, str], ctx: Context) -> str:
    """Cut the film.

    Args:
        inputs: ``shot_<n>`` the clips, from 0; ``movie_<n>`` the movie of each (`tasks.film.shot`), for timelines;
            ``mix`` the sound (`tasks.film.mix`), absent for a silent film; ``font`` the content of the file at
            ``ctx.files["font"]``, absent for the usual typeface.

    Returns:
        digest of an object of kind ``render``; its meta names the files ``movie``, ``poster``, ``subtitles``,
        ``timelines`` and the movies in ``shots``, and holds ``frames``, ``fps``, ``samples``, ``duration``, where each
        shot stands (``placed``), and the ``figures`` of loudness, colour match and flashes.

    Raises:
        UserError: transitions that do not fit, words that cannot be read, or nothing more can be written.
    """
    film = _with_font(cfg.film, ctx)
    clips = [Clip.open(ctx.store, inputs[f"shot_{index}"]) for index in range(len(cfg.shots))]
    planned = plan(cfg.shots, lengths(ctx.store, inputs, len(clips)), film)
    size = film_size([(clip.width, clip.height) for clip in clips], film.frame)
    cues = captions.cues(planned, cfg.shots, film.captions, size) if film.captions.show != "none" else []
    seen = looks(clips, film.frame)
    _tell(seen)
    mix = ctx.store.get(inputs["mix"]) if "mix" in inputs else None
    figures = {**seen.figures, **({"loudness": mix.meta["loudness"]} if mix else {})}
    ctx.note(**figures)
    with ctx.store.draft("render") as draft:
        sound = None
        if mix is not None:
            sound = SoundTrack(mix.path("sound.wav"), "wav", 0, Fraction(0), Fraction(planned.samples, RATE))
        poster = _poster_at(planned, film)
        frames = _frames(planned, clips, size, film, seen)
        movie = _write_movie(draft, planned, size, film, sound, _kept(frames, poster, draft), cues, ctx)
        subtitles = _write_subtitles(draft, cues, planned, size, film)
        timelines, movies = _write_timelines(draft, planned, cfg.shots, film, inputs, ctx)
        return draft.commit(
            movie=movie, poster=None if poster is None else "poster.png", subtitles=subtitles, timelines=timelines,
            shots=movies, format=film.output.format, sound=sound is not None, frames=planned.frames,
            fps=str(planned.fps), samples=planned.samples, duration=str(planned.frames / planned.fps),
            width=size[0], height=size[1], placed=[_facts(one) for one in planned.placed], figures=figures,
        )  # fmt: skip


def _facts(placed: Placed) -> dict[str, Any]:
    facts = {name: value for name, value in vars(placed).items() if value is not None}
    return {**facts, "speed": str(placed.speed)}


def _with_font(film: Film, ctx: Context) -> Film:
    if "font" not in ctx.files:
        return film
    return film.model_copy(update={"captions": film.captions.model_copy(update={"font": Path(ctx.files["font"])})})


def _tell(seen: Looks) -> None:
    for shot, one in seen.figures.get("flashes", {}).items():
        log.warning(
            "shot %s flashes at an end (a step of %.0f of 255, %.1f is usual): %s", shot, one["step"], one["usual"],
            "replaced by the frames beside" if one["held"] else "film.frame.flash=hold replaces such frames",
        )  # fmt: skip


def _poster_at(planned: Plan, film: Film) -> int | None:
    """The number of the frame that stands for the film."""
    if film.output.poster == "none":
        return None
    if film.output.poster == "auto":
        shots = [one for one in planned.placed if one.shot is not None]
        longest = max(shots, key=lambda one: one.frames)
        return longest.first + longest.frames // 2
    return min(round(film.output.poster * planned.fps), planned.frames - 1)


def _frames(planned: Plan, clips: Sequence[Clip], size: Size, film: Film, seen: Looks) -> Iterator[np.ndarray]:
    parts: dict[int, Iterator[np.ndarray]] = {}
    for place, placed in enumerate(planned.placed):
        if placed.shot is None:
            title = film.opening if placed.title == "opening" else film.closing
            assert title is not None
            parts[place] = repeat(captions.card(title, size, film.captions.font), placed.frames)
        else:
            look = seen.of[placed.shot]
            parts[place] = shot_frames(clips[placed.shot], planned.fps, placed, size, film.frame, look)
    return joined(planned, parts)


def _kept(frames: Iterator[np.ndarray], poster: int | None, draft: Draft) -> Iterator[np.ndarray]:
    """The frames; the poster is written as it passes, before words are drawn into it."""
    for number, frame in enumerate(frames):
        if number == poster:
            draft.add("poster.png", encode_png(frame))
        yield frame


def _write_movie(
    draft: Draft,
    planned: Plan,
    size: Size,
    film: Film,
    sound: SoundTrack | None,
    frames: Iterator[np.ndarray],
    cues: Sequence[Cue],
    ctx: Context,
) -> str:
    form = FORMATS[film.output.format]
    duration = planned.frames / planned.fps
    timing = Timing(list(range(planned.frames)), 1 / planned.fps, duration, planned.fps)
    movie = Movie(form, size, timing, film.output.crf, film.output.preset, sound, film.output.metadata)
    name = f"movie.{form.suffix}"
    burner = captions.Burner(cues if film.captions.show == "burnt" else (), size, film.captions)
    with ctx.progress(planned.frames, f"film {name}") as bar:
        drawn = (burner(frame, number) for number, frame in enumerate(counted(frames, bar)))
        draft.add(name, encode(movie, drawn, draft.dir, name))
    return name


def _write_subtitles(draft: Draft, cues: Sequence[Cue], planned: Plan, size: Size, film: Film) -> list[str]:
    if not cues:
        return []
    files = captions.written(cues, planned.fps, size, film.captions)
    for name, data in files.items():
        draft.add(name, data)
    return list(files)


def _write_timelines(
    draft: Draft, planned: Plan, shots: Sequence[Shot], film: Film, inputs: Mapping[str, str], ctx: Context
) -> tuple[list[str], list[str]]:
    """Names of the timelines and of the shots' movies."""
    if not film.output.timeline or "movie_0" not in inputs:
        return [], []
    files: dict[int, str] = {}
    sounding: set[int] = set()
    for index, shot in enumerate(shots):
        made = ctx.store.get(inputs[f"movie_{index}"])
        files[index] = f"shots/{index + 1:03}{_slug(shot.name)}{Path(made.meta['movie']).suffix}"
        _copy(draft, files[index], made, made.meta["movie"])
        if made.meta["sound"]:
            sounding.add(index)
    music = None
    if "mix" in inputs and "music.wav" in (mix := ctx.store.get(inputs["mix"])).files:
        music = "sound/music.wav"
        _copy(draft, music, mix, "music.wav")
    folder = draft.dir / ".timelines"
    folder.mkdir()
    names = edit_lists.write(folder, planned, shots, files, title="film", sounding=sounding, music=music)
    for name in names:
        draft.add(name, folder / name)
    folder.rmdir()
    return names, list(files.values())


def _copy(draft: Draft, name: str, stored: Stored, file: str) -> None:
    """A file of another object, however large, under a name of its own."""
    stored.check(file)
    shutil.copyfile(stored.path(file), draft.dir / ".copy")
    draft.add(name, draft.dir / ".copy")


def _slug(name: str) -> str:
    """A shot's name as part of a file name: what every file system and edit suite takes."""
    kept = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in name.casefold())[:40].strip("-")
    return f"-{kept}" if kept else ""
