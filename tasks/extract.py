"""Extract: a local video, picture or folder of pictures becomes a clip of RGB frames with exact times.

The facts are probed with PyAV; FFmpeg decodes, converts and writes the PNG files into the store's draft, where they are
hashed and adopted while it still works on later ones. Memory does not grow with the length.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from reel.clip import ClipWriter
from reel.config import Colour, Config
from reel.op import Context, op
from reel.units import Pixels
from reel.work import Extent, Work, of_clip
from tasks.media import frames, geometry, series, timeline
from tasks.media.colour import read as read_colour
from tasks.media.known_facts import facts as facts_of
from tasks.media.probe import Probe
from tasks.media.source import open_source

log = logging.getLogger(__name__)


def _seconds(value: Any) -> Any:
    return None if value is None else timeline.seconds(value)


def _rate(value: Any) -> Any:
    """The canonical spelling of a rate, so that 24, 24.0 and "24" are one setting."""
    if value == "source":
        return value
    fps = timeline.rate(value)
    if not 0 < fps <= 240:
        raise ValueError("must be more than 0 and at most 240 frames per second, or source")
    return str(fps)


Seconds = Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_seconds)]
Rate = Annotated[str, BeforeValidator(_rate)]


class Extract(Config):
    """Which frames are taken from the clip, and at what size."""

    start: Seconds = None
    """First moment to take: seconds or `mm:ss.f`; empty: the clip's beginning. Goes to the nearest frame boundary."""
    end: Seconds = None
    """Moment to stop before: seconds or `mm:ss.f`; empty: the clip's end."""
    fps: Rate = "source"
    """Frames per second; `source` keeps every frame at its own time. Pictures need a number. Fractions: 30000/1001."""
    max_frames: int | None = Field(default=None, ge=1)
    """At most so many frames, counted at `fps`; empty: no limit."""
    short_side: Pixels | None = Field(default=None, ge=8, le=8192)
    """Shorter side of the frames (px), the other follows the clip's shape; a width or a height takes its place."""
    width: Pixels | None = Field(default=None, ge=8, le=8192)
    """Width of the frames (px); alone, the height follows."""
    height: Pixels | None = Field(default=None, ge=8, le=8192)
    """Height of the frames (px); alone, the width follows."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How the picture meets a size of another shape: cut the edges, add a background, or distort."""
    multiple_of: Pixels = Field(default=8, ge=1, le=256)
    """Both sides are multiples of this (px): what the model family needs."""
    background: Colour = "#000000"
    """Colour behind transparent pixels and of the `pad` borders, as #rrggbb."""
    deinterlace: Literal["auto", "on", "off"] = "auto"
    """Weave-free frames from interlaced video (bwdif); `auto`: where the file says it is interlaced."""
    hdr: Literal["tonemap", "refuse"] = "tonemap"
    """What to do with HDR (PQ, HLG): bring it to standard range, or stop."""
    tonemap: Literal["hable", "mobius", "reinhard"] = "hable"
    """Curve that squeezes HDR highlights."""
    color_matrix: Literal["auto", "bt601", "bt709", "bt2020"] = "auto"
    """YUV matrix; `auto`: as the file says, else by its size. Set it when colours look shifted."""
    color_range: Literal["auto", "limited", "full"] = "auto"
    """YUV range; `auto`: as the file says. Set it when blacks look grey or crushed."""
    stream: int | None = Field(default=None, ge=0)
    """Which video stream, where a file has several, as `ffmpeg -i` counts: 1 is `Stream #0:1`; empty: the largest."""
    damaged: Literal["refuse", "keep"] = "refuse"
    """A damaged or truncated file: stop, or take what can be decoded."""

    @model_validator(mode="after")
    def _together(self) -> Extract:
        if self.short_side is not None and (self.width is not None or self.height is not None):
            self.short_side = None  # mostly the family's default, and it must not count in the key either
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"start ({self.start:g} s) must be before end ({self.end:g} s)")
        return self

    @property
    def constant_fps(self) -> Fraction | None:
        return None if self.fps == "source" else Fraction(self.fps)


def _taken(cfg: Extract, given: Mapping[str, Extent], ctx: Context) -> Work:
    _, job = prepare(cfg, Path(ctx.files["source"]))
    return of_clip(Extent(len(job.expected), job.plan.width, job.plan.height))


@op("extract", "extract", version=3, config=Extract, inputs=("source",), gives="rgb", work=_taken,
    distributions=("imageio-ffmpeg", "ffmpeg-python", "av", "pillow", "pi-heif", "numpy"))  # fmt: skip
def extract(cfg: Extract, inputs: Mapping[str, str], ctx: Context) -> str:
    """Extract the frames of ``ctx.files["source"]``, whose content digest is ``inputs["source"]``.

    Returns:
        digest of a clip of kind ``rgb``; its ``meta["source"]`` holds the source record: container facts, the range
        taken and the sound stream, from which assembly takes the sound.

    Raises:
        UserError: the input or the settings do not work; see the messages in `tasks.media`.
    """
    path = Path(ctx.files["source"])
    facts, job = prepare(cfg, path)
    ctx.note(source_name=path.name)
    with (
        ClipWriter(
            ctx.store, "rgb", width=job.plan.width, height=job.plan.height, time_base=job.time_base, color="bt709",
            meta={"source": record(facts, job, inputs["source"])},
        ) as writer,
        ctx.progress(len(job.expected), "extract") as bar,
    ):  # fmt: skip
        frames.write(job, writer, bar)
    return writer.digest


def prepare(cfg: Extract, path: Path) -> tuple[Probe, frames.Job]:
    """Probe and settle everything that can be wrong, before any frame is decoded.

    Raises:
        UserError: as `extract`.
    """
    source = open_source(path)
    facts = facts_of(source, picture_fps=cfg.constant_fps, keep_damaged=cfg.damaged == "keep", stream=cfg.stream)
    if facts.others and cfg.stream is None:
        _tell_of_others(source.name, facts.index, facts.codec, tuple(facts.others))
    if len(source.pictures) > 1 and (odd := series.remark(source.pictures)):
        _tell_of_names(source.name, odd)
    if facts.lost:
        _tell_of_lost(source.name, facts.lost)
    colour = read_colour(
        facts.tags,
        facts.height,
        matrix=None if cfg.color_matrix == "auto" else cfg.color_matrix,
        full=None if cfg.color_range == "auto" else cfg.color_range == "full",
    )
    frames.refuse_hdr(colour, source.name, cfg.hdr)
    plan = geometry.plan(
        geometry.display_size(facts.width, facts.height, facts.sample_aspect, facts.rotation),
        short_side=cfg.short_side, width=cfg.width, height=cfg.height, fit=cfg.fit, multiple_of=cfg.multiple_of,
    )  # fmt: skip
    fps = None if facts.container == "pictures" else cfg.constant_fps
    selection = timeline.select(
        facts.pts, facts.time_base, facts.zero, start=cfg.start, end=cfg.end,
        max_frames=None if fps else cfg.max_frames, last_duration=facts.last_duration, name=source.name,
    )  # fmt: skip
    if fps:
        selection, expected = timeline.resample(selection, facts.time_base, fps, cfg.max_frames)
    else:
        expected = [pts - selection.pts[0] for pts in selection.pts]
    return facts, frames.Job(
        source=source, facts=facts, plan=plan, colour=colour, selection=selection, fps=fps, expected=expected,
        deinterlace=cfg.deinterlace == "on" or (cfg.deinterlace == "auto" and facts.interlaced),
        background=cfg.background.lower(), tonemap=cfg.tonemap, keep_damaged=cfg.damaged == "keep",
    )  # fmt: skip


@functools.lru_cache(64)
def _tell_of_others(name: str, index: int, codec: str, others: tuple[str, ...]) -> None:
    """Said once a process: a plan, its dry run and the extraction itself all look at the file."""
    log.warning(
        "%s has several video streams: %d (%s) is read, not %s; extract.stream=N reads another",
        name, index, codec, ", ".join(others),
    )  # fmt: skip


@functools.lru_cache(64)
def _tell_of_names(name: str, odd: str) -> None:
    """Once a process, too."""
    log.warning("the folder %s %s", name, odd)


@functools.lru_cache(64)
def _tell_of_lost(name: str, count: int) -> None:
    """Once a process, too."""
    log.warning("%s begins in the middle: %d frames before its first key frame cannot be decoded", name, count)


def record(facts: Probe, job: frames.Job, digest: str) -> dict[str, Any]:
    """The source record: what assembly and a reader need to know of the file. Names and paths are left out on purpose,
    so that the same bytes under another name give the same clip. Times are exact seconds, as fractions."""
    sound = facts.sound
    return {
        "digest": digest,
        "container": facts.container,
        "range": {"start": str(job.selection.start), "duration": str(job.selection.duration)},
        "video": {
            "codec": facts.codec,
            "width": facts.width,
            "height": facts.height,
            "sample_aspect": str(facts.sample_aspect),
            "rotation": facts.rotation,
            "pixel_format": facts.tags.pixel_format,
            "interlaced": facts.interlaced,
            "frames": len(facts.pts),
            "fps": str(facts.fps),
            "variable_rate": facts.variable_rate,
            "color": job.colour.record(),
        },
        "sound": sound
        and {
            "stream": sound.index,
            "codec": sound.codec,
            "sample_rate": sound.sample_rate,
            "channels": sound.channels,
            "start": str(sound.start),
            "duration": sound.duration and str(sound.duration),
        },
    }
