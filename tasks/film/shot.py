"""The op `film.shot`: one shot as a movie of its own, for edit suites, whole, so that a crossfade has its handles.

It has the film's shape, rate and speed, and its own sound; no caption, fade or colour match, which an editor sets anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from reel.clip import Clip
from reel.config import Config, Field, Finite
from reel.op import Context, op
from tasks.film.mix import length_of, sound_of
from tasks.film.picture import counted, shot_frames
from tasks.film.plan import Placed, plan
from tasks.film.settings import CHANNELS, RATE, Film, Frame, Output, Shot
from tasks.media import sounds
from tasks.media.encode import FORMATS, Movie, SoundTrack, encode
from tasks.media.timeline import Timing


class ShotMovie(Config):
    """How a shot becomes a movie."""

    width: int = Field(ge=2, multiple_of=2)
    height: int = Field(ge=2, multiple_of=2)
    fps: str
    """Of the film, as a fraction."""
    frame: Frame
    output: Output
    speed: Finite = 1.0
    seconds: Finite | None = None


@op("film", "shot", version=1, config=ShotMovie, inputs=("frames", "sound"), gives="render",
    distributions=("imageio-ffmpeg", "ffmpeg-python", "av", "numpy", "opencv-python-headless"))  # fmt: skip
def shot(cfg: ShotMovie, inputs: Mapping[str, str], ctx: Context) -> str:
    """Write the movie of a shot.

    Args:
        inputs: ``frames``, and its ``sound`` as `tasks.film.mix.mix` takes it.

    Returns:
        digest of an object of kind ``render`` with ``movie.<suffix>``; its meta has ``movie``, ``frames``, ``sound``.

    Raises:
        UserError: it cannot be written.
    """
    clip, fps = Clip.open(ctx.store, inputs["frames"]), Fraction(cfg.fps)
    film = Film(frame=cfg.frame.model_copy(update={"fps": cfg.fps}))
    alone = plan([Shot(speed=cfg.speed, seconds=cfg.seconds)], [length_of(clip)], film).placed[0]
    form, size = FORMATS[cfg.output.format], (cfg.width, cfg.height)
    timing = Timing(list(range(alone.frames)), 1 / fps, alone.frames / fps, fps)
    name = f"movie.{form.suffix}"
    with ctx.store.draft("render") as draft:
        with sounds.temporary(draft.dir) as folder, ctx.progress(alone.frames, "shot movie") as bar:
            track = _sound(inputs, ctx, alone, Path(folder)) if "sound" in inputs else None
            movie = Movie(form, size, timing, cfg.output.crf, cfg.output.preset, track)
            frames = counted(shot_frames(clip, fps, alone, size, cfg.frame), bar)
            draft.add(name, encode(movie, frames, draft.dir, name))
        return draft.commit(movie=name, frames=alone.frames, sound=track is not None)


def _sound(inputs: Mapping[str, str], ctx: Context, alone: Placed, folder: Path) -> SoundTrack:
    """The shot's own sound, exactly as long as its frames."""
    raw, wav = folder / "shot.f32", folder / "shot.wav"
    source = sound_of(inputs, ctx, "sound")
    sounds.decoded(source, raw, rate=RATE, speed=float(alone.speed), samples=alone.stop)
    sounds.write_wav(raw, wav, rate=RATE, channels=CHANNELS)
    return SoundTrack(wav, "wav", 0, Fraction(0), Fraction(alone.stop, RATE))
