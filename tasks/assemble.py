"""Assemble: stylised frames, the source's sound and the maps become files for people to look at."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from reel.clip import Clip
from reel.config import Config, Text
from reel.errors import UserError
from reel.op import Context, op
from reel.store import Draft
from tasks.media import timeline
from tasks.media.encode import FORMATS, Movie, SoundTrack, check, encode, make_palette
from tasks.media.panels import SideBySide, contact_sheet
from tasks.media.timeline import Timing


def _rate(value: Any) -> Any:
    if value in ("clip", "source"):
        return value
    fps = timeline.rate(value)
    if not 0 < fps <= 240:
        raise ValueError("must be more than 0 and at most 240 frames per second, clip, or source")
    return str(fps)


class Assemble(Config):
    """What files come out in the end."""

    format: Literal["mp4", "prores", "ffv1", "webm", "gif", "webp", "png"] = "mp4"
    """mp4: H.264, plays everywhere; prores: for editing; ffv1: lossless RGB; webm: VP9; png: a folder of frames."""
    crf: int | None = Field(default=None, ge=0, le=63)
    """Quality of mp4 (1 to 51) and webm (0 to 63): lower is better and larger; empty: 14 and 24."""
    preset: Literal["ultrafast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] = "medium"
    """How long x264 may search (mp4): slower is smaller at the same quality."""
    fps: Annotated[str, BeforeValidator(_rate)] = "clip"
    """`clip`: frames keep the times they were extracted with; `source`: the source's rate, frames held; a number."""
    sound: bool = True
    """Take the source's sound for the same stretch of time (not in gif, webp and png)."""
    side_by_side: bool = True
    """Also write side_by_side.mp4: source, maps and result beside each other, in step."""
    contact_sheet: int = Field(default=8, ge=0, le=32)
    """Frames on contact_sheet.png and map_preview.png; 0: neither is made."""
    metadata: dict[str, Text] = Field(default_factory=dict)
    """Facts written as JSON into the movie's comment (render key, prompt, seed, model); empty: none."""

    @model_validator(mode="after")
    def _crf_fits(self) -> Assemble:
        if self.crf is None:
            return self
        form = FORMATS.get(self.format)
        if form is None or form.crf is None:
            raise ValueError(f"crf does nothing for {self.format}: leave it empty")
        _, best, worst = form.crf
        if not best <= self.crf <= worst:
            raise ValueError(f"crf of {self.format} goes from {best} to {worst}, got {self.crf}; ffv1 is lossless")
        return self


@op("assemble", "assemble", version=2, config=Assemble,
    inputs=("frames", "original", "map_*", "source", "sound", "finished"),
    gives="render", distributions=("imageio-ffmpeg", "ffmpeg-python", "av", "numpy", "pillow"))  # fmt: skip
def assemble(cfg: Assemble, inputs: Mapping[str, str], ctx: Context) -> str:
    """Write the files of a render.

    Args:
        inputs: ``frames`` the result, ``original`` the extracted frames it was drawn from, ``map_<name>`` the control
            maps, ``source`` the content digest of the file at ``ctx.files["source"]``, ``sound`` a stored sound
            that was made with the frames, in the place of the source's, ``finished`` the frames that the movie shows
            in the place of the result's, at any rate and size; all but the first may be absent.

    Returns:
        digest of an object of kind ``render``; its meta names the files: ``movie`` (a file or the folder ``frames``),
        ``contact_sheet``, ``map_preview``, ``side_by_side`` (None where not made), ``sound`` (whether there is any).

    Raises:
        UserError: clips that do not belong together, a format that cannot hold them, or nothing more can be written.
    """
    frames = Clip.open(ctx.store, inputs["frames"])
    original = Clip.open(ctx.store, inputs["original"]) if "original" in inputs else None
    maps = {name[4:]: Clip.open(ctx.store, inputs[name]) for name in sorted(inputs) if name.startswith("map_")}
    rows = {**({"source": original} if original else {}), **maps, "result": frames}
    _same_shape(rows)
    shown = Clip.open(ctx.store, inputs["finished"]) if "finished" in inputs else frames
    timing = _timing(frames, original, cfg)
    sound = _sound_track(cfg, original, inputs, ctx)
    with ctx.store.draft("render") as draft:
        if cfg.format == "png":
            movie = _write_frames(draft, shown)
        else:
            movie = _write_movie(cfg, draft, shown, _timing(shown, original, cfg), sound, ctx)
        side_by_side = _write_side_by_side(draft, rows, timing, sound, ctx) if cfg.side_by_side else None
        sheets = _write_sheets(draft, rows, maps, cfg.contact_sheet)
        has_sound = sound is not None and cfg.format != "png" and FORMATS[cfg.format].sound is not None
        return draft.commit(movie=movie, side_by_side=side_by_side, **sheets, format=cfg.format, sound=has_sound,
                            frames=shown.count, duration=str(timing.duration))  # fmt: skip


def _same_shape(rows: Mapping[str, Clip]) -> None:
    shapes = {name: (clip.width, clip.height, clip.count) for name, clip in rows.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {w}x{h} px x {n} frames" for name, (w, h, n) in shapes.items())
        raise UserError(f"assemble: clips that do not belong together: {listed}")


def _timing(frames: Clip, original: Clip | None, cfg: Assemble) -> Timing:
    """Times from 0; an even clip is counted in whole frames, so that the movie states a clean rate.

    Even is a clip that was brought to a rate, whose ticks are its frames, and one whose last frame is shown for as long
    as the others.
    """
    pts = [tick - frames.pts[0] for tick in frames.pts]
    source = original.meta.get("source") if original else None
    steps = {b - a for a, b in pairwise(pts)}
    base = frames.time_base
    own = (pts[-1] + timeline.frame_step(pts)) * base or Fraction(1)  # a single frame says nothing: one second
    duration = Fraction(source["range"]["duration"]) if source else own
    even = len(steps) == 1 and (steps == {1} or abs(len(pts) * max(steps) * base - duration) <= base)
    step = max(steps) * base if even else duration if len(pts) == 1 else None
    if step is not None:
        pts, base = list(range(len(pts))), step
    if cfg.fps == "source" and source and Fraction(source["video"]["fps"]):
        return Timing(pts, base, duration, Fraction(source["video"]["fps"]))
    if cfg.fps not in ("clip", "source"):
        return Timing(pts, base, duration, Fraction(cfg.fps))
    return Timing(pts, base, duration, 1 / step if step is not None else None)


def _sound_track(cfg: Assemble, original: Clip | None, inputs: Mapping[str, str], ctx: Context) -> SoundTrack | None:
    if cfg.sound and "sound" in inputs:
        made = ctx.store.get(inputs["sound"])
        return SoundTrack(made.path("sound.wav"), "wav", 0, Fraction(0), Fraction(made.meta["seconds"]))
    record = original.meta.get("source") if original else None
    if not cfg.sound or record is None or record["sound"] is None:
        return None
    if record["digest"] != inputs.get("source"):
        raise UserError("assemble: the source is not the file that the frames were extracted from",
                        fix="run the whole flow again, or set assemble.sound=false")  # fmt: skip
    sound, span = record["sound"], record["range"]
    start, duration = Fraction(span["start"]), Fraction(span["duration"])
    begins, length = Fraction(sound["start"]), sound["duration"]
    if begins >= start + duration or (length is not None and begins + Fraction(length) <= start):
        return None  # the sound lies outside the chosen stretch
    return SoundTrack(Path(ctx.files["source"]), record["container"], sound["stream"], start, duration)


def _write_movie(
    cfg: Assemble, draft: Draft, frames: Clip, timing: Timing, sound: SoundTrack | None, ctx: Context
) -> str:
    form = FORMATS[cfg.format]
    movie = Movie(form, (frames.width, frames.height), timing, cfg.crf, cfg.preset, sound, cfg.metadata)
    check(movie)
    palette = make_palette(movie, frames.frames(), draft.dir) if cfg.format == "gif" else None
    name = f"movie.{form.suffix}"
    with ctx.progress(frames.count, f"assemble {name}") as bar:
        draft.add(name, encode(movie, _counted(frames, bar), draft.dir, name, palette))
    return name


def _write_side_by_side(
    draft: Draft, rows: Mapping[str, Clip], timing: Timing, sound: SoundTrack | None, ctx: Context
) -> str:
    composed = SideBySide(rows)
    name = "side_by_side.mp4"
    movie = Movie(FORMATS["mp4"], composed.size, timing, crf=20, preset="veryfast", sound=sound)  # fmt: skip
    with ctx.progress(composed.count, f"assemble {name}") as bar:
        draft.add(name, encode(movie, _counted(composed, bar), draft.dir, name))
    return name


def _write_frames(draft: Draft, frames: Clip) -> str:
    for index in range(frames.count):
        draft.add(f"frames/{index:06d}.png", frames.stored.read(f"frames/{index:06d}.png"))
    return "frames"


def _write_sheets(
    draft: Draft, rows: Mapping[str, Clip], maps: Mapping[str, Clip], columns: int
) -> dict[str, str | None]:
    names: dict[str, str | None] = {"contact_sheet": None, "map_preview": None}
    for key, clips in (("contact_sheet", rows), ("map_preview", maps)):
        if columns and clips:
            names[key] = f"{key}.png"
            draft.add(f"{key}.png", contact_sheet(clips, columns))
    return names


def _counted(clip: Clip | SideBySide, bar: Any) -> Any:
    for frame in clip.frames():
        yield frame
        bar.update(1)
