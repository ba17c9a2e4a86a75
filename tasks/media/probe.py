"""What is in a source file: streams, sizes, times and colours, read with PyAV before all else."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from reel.errors import UserError
from tasks.media import first_bytes, packets, streams
from tasks.media.colour import Tags
from tasks.media.source import CONTAINERS, Source
from tasks.media.timeline import frame_step

_INTERLACED_ORDERS = {2, 3, 4, 5}


@dataclass(frozen=True)
class Sound:
    """The source's sound stream.

    Attributes:
        start, duration: seconds on the player's clock, exact; duration None: not said by the container.
    """

    index: int
    codec: str
    sample_rate: int
    channels: int
    start: Fraction
    duration: Fraction | None


@dataclass(frozen=True)
class Probe:
    """The facts of one input.

    Attributes:
        container: the FFmpeg demuxer, or ``pictures``.
        index: of the video stream; others: what further ones there are, in words.
        stated_fps: frames per second as the container states or FFmpeg guesses them.
        decoder: an FFmpeg decoder that must be asked for by name, or None for the usual one.
        width, height: stored size, px; rotation: degrees, a multiple of 90.
        pts: times of all frames in ticks of ``time_base``, ascending.
        decoded: whether the decoder had to work the times out, so that it must always begin at the beginning.
        last_duration: ticks that the last frame is shown, 0 when not said.
        lost: frames before the first key frame, which cannot be decoded and are not among ``pts``.
        zero: the tick (exact) at which a player's clock is 0.
    """

    container: str
    index: int
    others: list[str]
    codec: str
    decoder: str | None
    width: int
    height: int
    sample_aspect: Fraction
    rotation: int
    alpha: bool
    interlaced: bool
    tags: Tags
    time_base: Fraction
    stated_fps: Fraction
    pts: list[int] = field(repr=False)
    decoded: bool
    last_duration: int
    lost: int
    zero: Fraction
    sound: Sound | None

    @property
    def fps(self) -> Fraction:
        """Nominal frames per second; 0 for a single frame. The container's own figure is taken where it is near the
        truth, since times rounded to ticks (Matroska: milliseconds) do not give the exact rate."""
        if len(self.pts) < 2:
            return Fraction(0)
        if self.variable_rate:
            return 1 / (frame_step(self.pts) * self.time_base)
        mean = (len(self.pts) - 1) / ((self.pts[-1] - self.pts[0]) * self.time_base)
        return self.stated_fps if abs(self.stated_fps - mean) < mean / 100 else mean

    @property
    def variable_rate(self) -> bool:
        """Whether frames stand further from an even grid than rounding to ticks explains."""
        steps = [b - a for a, b in pairwise(self.pts)]
        return bool(steps) and max(steps) - min(steps) > max(2, min(steps) // 10)


def of_pictures(source: Source, size: tuple[int, int], fps: Fraction | None) -> Probe:
    """The facts of pictures that are all of one size, px.

    Args:
        fps: frames per second that they are shown at; None: they have none of their own, so it must be given unless
            there is a single one.

    Raises:
        UserError: there are several and no rate.
    """
    count = len(source.pictures)
    if fps is None and count > 1:
        raise UserError(
            f"extract.fps: {source.name} is a folder of {count} pictures, which have no rate of their own",
            fix="say how many a second, such as extract.fps=24",
        )
    time_base = 1 / (fps or Fraction(25))
    return Probe(
        container="pictures",
        index=0,
        others=[],
        codec="pictures",
        decoder=None,
        width=size[0],
        height=size[1],
        sample_aspect=Fraction(1),
        rotation=0,  # Pillow turns them upright
        alpha=True,
        interlaced=False,
        tags=Tags(matrix=0, range=2, transfer=13, primaries=1, pixel_format="rgba", is_rgb=True),
        time_base=time_base,
        stated_fps=1 / time_base,
        pts=list(range(count)),
        decoded=False,
        last_duration=1,
        lost=0,
        zero=Fraction(0),
        sound=None,
    )


def of_animation(size: tuple[int, int]) -> Probe:
    """The facts of an animated WebP of that size, px; its times must be decoded."""
    return Probe(
        container="webp_anim",
        index=0,
        others=[],
        codec="webp",
        decoder=None,
        width=size[0],
        height=size[1],
        sample_aspect=Fraction(1),
        rotation=0,
        alpha=True,
        interlaced=False,
        tags=Tags(matrix=5, range=1, transfer=2, primaries=2, pixel_format="yuva420p", is_rgb=False),  # RFC 9649
        time_base=Fraction(1, 1000),
        stated_fps=Fraction(0),
        pts=[],
        decoded=True,
        last_duration=0,
        lost=0,
        zero=Fraction(0),
        sound=None,
    )


def of_movie(path: Path, *, keep_damaged: bool = False, stream: int | None = None) -> Probe:
    """Read the facts of a movie with PyAV, in this process: `known_facts.facts` does so in one of its own.

    Args:
        keep_damaged: do not refuse a file that is shorter than it says it is.
        stream: index of the video stream; None: the one that FFmpeg would take.

    Returns:
        the facts; ``pts`` is empty where packets do not tell the times, so that they must be decoded.

    Raises:
        UserError: not a video, no picture stream, no frame, or cut short.
    """
    import av

    try:
        return _of_movie(path, keep_damaged, stream)
    except av.EOFError:
        raise packets.no_frames(path) from None
    except av.FFmpegError as error:
        raise _unreadable(path, error) from None


def _of_movie(path: Path, keep_damaged: bool, wanted: int | None) -> Probe:
    with path.open("rb") as file, streams.opened(file) as container:
        stream = streams.picture_stream(path, container, wanted)
        index = stream.index  # a closed container's streams must not be asked
        shown = packets.of_packets(path, container, stream, keep_damaged)
    with path.open("rb") as file, streams.opened(file) as container:
        stream = container.streams[index]
        frame = _first_frame(path, container, stream)
        codec = stream.codec_context
        zero = Fraction(container.start_time or 0, 1_000_000) / stream.time_base
        alpha_tag = {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") == "1"
        return Probe(
            container=next(part for part in container.format.name.split(",") if part in CONTAINERS),
            index=index,
            others=streams.others(container, index),
            codec=codec.codec.canonical_name,
            decoder={"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(codec.codec.canonical_name) if alpha_tag else None,
            width=frame.width,
            height=frame.height,
            sample_aspect=Fraction(stream.sample_aspect_ratio or codec.sample_aspect_ratio or 1),
            rotation=_quarter_turns(path, frame.rotation),
            alpha=alpha_tag or any(part.is_alpha for part in frame.format.components),
            interlaced=frame.interlaced_frame or codec.field_order in _INTERLACED_ORDERS,
            tags=_tags(frame),
            time_base=stream.time_base,
            stated_fps=Fraction(stream.guessed_rate or stream.average_rate or 0),
            pts=shown.pts,
            decoded=not shown.pts,
            last_duration=shown.last_duration,
            lost=shown.lost,
            zero=zero,
            sound=_sound(container, zero * stream.time_base),
        )


def _first_frame(path: Path, container: Any, stream: Any) -> Any:
    frame = next(container.decode(stream), None)
    if frame is None:
        raise packets.no_frames(path)
    return frame


def _quarter_turns(path: Path, rotation: int) -> int:
    turn = round(rotation / 90) * 90
    if abs(rotation - turn) > 1:
        raise UserError(
            f"clip: {path.name} asks to be turned by {rotation} degrees; only quarter turns are done",
            fix=f"bake the turn in first: {packets.REWRAP}",
        )
    return turn % 360


def _tags(frame: Any) -> Tags:
    return Tags(
        matrix=int(frame.colorspace),
        range=int(frame.color_range),
        transfer=int(frame.color_trc),
        primaries=int(frame.color_primaries),
        pixel_format=frame.format.name,
        is_rgb=frame.format.is_rgb or frame.format.has_palette,
    )


def _sound(container: Any, zero: Fraction) -> Sound | None:
    """The sound that goes with the pictures; ``zero`` in seconds."""
    stream = streams.sound_stream(container)
    if stream is None:
        return None
    return Sound(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        sample_rate=stream.codec_context.sample_rate,
        channels=stream.codec_context.layout.nb_channels,
        start=streams.start(stream) - zero,
        duration=None if stream.duration is None else stream.duration * stream.time_base,
    )


def _unreadable(path: Path, error: Exception) -> UserError:
    with path.open("rb") as file:
        head = file.read(32)
    if first_bytes.looks_like_mp4(head):
        return UserError(
            f"clip: {path.name} is truncated or damaged: its index (moov) is missing or unreadable",
            fix="copy or download it again; a phone that lost power while recording leaves such files",
        )
    return UserError(
        f"clip: {path.name} is not a video that can be read ({getattr(error, 'strerror', None) or error})",
        fix=f"read are: {', '.join(CONTAINERS)}, pictures, and folders of pictures",
    )
