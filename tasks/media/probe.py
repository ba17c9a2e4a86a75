"""What is in a source file: streams, sizes, times and colours, read with PyAV before all else."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from reel.errors import UserError
from tasks.media import pictures
from tasks.media.colour import Tags
from tasks.media.source import CONTAINERS, Source
from tasks.media.timeline import frame_step

_REWRAP = "ffmpeg -i IN -c:v libx264 -crf 12 -c:a copy OUT.mp4"
_INTERLACED_ORDERS = {2, 3, 4, 5}
_SOUND_FORMATS = ("mp3", "wav", "flac", "aac", "aiff")


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
        stated_fps: frames per second as the container states or FFmpeg guesses them.
        decoder: an FFmpeg decoder that must be asked for by name, or None for the usual one.
        width, height: stored size, px; rotation: degrees, a multiple of 90.
        pts: times of all frames in ticks of ``time_base``, ascending.
        last_duration: ticks that the last frame is shown, 0 when not said.
        zero: the tick (exact) at which a player's clock is 0.
    """

    container: str
    index: int
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
    last_duration: int
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


def probe(source: Source, *, picture_fps: Fraction | None = None, keep_damaged: bool = False) -> Probe:
    """Read the facts of a movie or of pictures.

    Args:
        picture_fps: frames per second that pictures are shown at; None: they have none of their own, so it must be
            given unless there is a single one.
        keep_damaged: do not refuse a file that is shorter than it says it is.

    Raises:
        UserError: not a video, no picture stream, no frame, cut short, or pictures that do not belong together.
    """
    if source.pictures:
        return _probe_pictures(source, picture_fps)
    import av

    try:
        return _probe_movie(source.path, keep_damaged)
    except av.EOFError:
        raise _no_frames(source.path) from None
    except av.FFmpegError as error:
        raise _unreadable(source.path, error) from None


def _probe_pictures(source: Source, fps: Fraction | None) -> Probe:
    width, height = pictures.check(source)
    pts, time_base = pictures.times(source, fps)
    return Probe(
        container="pictures",
        index=0,
        codec="pictures",
        decoder=None,
        width=width,
        height=height,
        sample_aspect=Fraction(1),
        rotation=0,  # Pillow turns them upright
        alpha=True,
        interlaced=False,
        tags=Tags(matrix=0, range=2, transfer=13, primaries=1, pixel_format="rgba", is_rgb=True),
        time_base=time_base,
        stated_fps=1 / time_base,
        pts=pts,
        last_duration=1,
        zero=Fraction(0),
        sound=None,
    )


def _open(path: Path, file: IO[bytes]) -> Any:
    """Open by content alone: FFmpeg never sees the name, and only formats that hold their own pictures are tried."""
    import av

    whitelist = ",".join((*CONTAINERS, *_SOUND_FORMATS))
    return av.open(file, options={"format_whitelist": whitelist}, buffer_size=1 << 20, metadata_errors="replace")


def _probe_movie(path: Path, keep_damaged: bool) -> Probe:
    with path.open("rb") as file, _open(path, file) as container:
        stream = _picture_stream(path, container)
        index = stream.index  # a closed container's streams must not be asked
        pts, last_duration = _times(path, container, stream, keep_damaged)
    with path.open("rb") as file, _open(path, file) as container:
        stream = container.streams[index]
        frame = _first_frame(path, container, stream)
        codec = stream.codec_context
        zero = Fraction(container.start_time or 0, 1_000_000) / stream.time_base
        alpha_tag = {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") == "1"
        return Probe(
            container=next(part for part in container.format.name.split(",") if part in CONTAINERS),
            index=index,
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
            pts=pts,
            last_duration=last_duration,
            zero=zero,
            sound=_sound(container, zero * stream.time_base),
        )


def _picture_stream(path: Path, container: Any) -> Any:
    """The first stream of moving pictures; cover art of music files is none."""
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if streams:
        return streams[0]
    what = "only sound" if container.streams.audio else "no picture stream"
    raise UserError(f"clip: {path.name} holds {what}", fix="give a file with moving pictures")


def _first_frame(path: Path, container: Any, stream: Any) -> Any:
    frame = next(container.decode(stream), None)
    if frame is None:
        raise _no_frames(path)
    return frame


def _times(path: Path, container: Any, stream: Any, keep_damaged: bool) -> tuple[list[int], int]:
    """Times of all frames in ticks, ascending, and how long the last one is shown: packets are read, not decoded.

    Raises:
        UserError: there are none, or fewer than the container announces.
    """
    times, there = array("q"), 0
    last = (-(2**63), 0)
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        there += 1
        if packet.is_discard:  # outside the edit list: a clip that was trimmed without encoding it again
            continue
        if packet.pts is None:
            return _decoded_times(path)
        times.append(packet.pts)
        last = max(last, (packet.pts, packet.duration or 0))
    pts = sorted(times)
    if not pts:
        raise _no_frames(path)
    end = float((pts[-1] + last[1]) * stream.time_base)
    announced = _announced_end(container, stream)
    missing = there < 0.98 * stream.frames
    if not keep_damaged and (missing or (announced is not None and end < announced - 0.5)):
        count = f"{there} of {stream.frames} frames" if missing else f"{end:.2f} of {announced:.2f} seconds"
        raise UserError(
            f"clip: {path.name} is truncated: only {count} are in the file",
            fix="copy or download it again, or take what is there with extract.damaged=keep",
        )
    return pts, last[1]


def _announced_end(container: Any, stream: Any) -> float | None:
    """Where the container says the pictures end, seconds of the stream's clock; None where it is no help."""
    if stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    said = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
    if said:
        return int(said[1]) * 3600 + int(said[2]) * 60 + float(said[3])
    if container.duration and len(container.streams) == 1 and container.format.name != "gif":
        return float((container.start_time or 0) + container.duration) / 1e6
    return None


def _decoded_times(path: Path) -> tuple[list[int], int]:
    """As `_times` for containers without picture times (AVI and the like): the decoder works them out."""
    with path.open("rb") as file, _open(path, file) as container:
        stream = _picture_stream(path, container)
        frames = [(frame.pts, frame.duration or 0) for frame in container.decode(stream)]
    if not frames or any(pts is None for pts, _ in frames):
        raise UserError(
            f"clip: {path.name} does not say when its pictures are shown", fix=f"put it into mp4: {_REWRAP}"
        )
    return sorted(pts for pts, _ in frames), max(frames)[1]


def _quarter_turns(path: Path, rotation: int) -> int:
    turn = round(rotation / 90) * 90
    if abs(rotation - turn) > 1:
        raise UserError(
            f"clip: {path.name} asks to be turned by {rotation} degrees; only quarter turns are done",
            fix=f"bake the turn in first: {_REWRAP}",
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
    """The first sound stream; ``zero`` in seconds."""
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    start = Fraction(stream.start_time or 0) * stream.time_base - zero
    return Sound(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        sample_rate=stream.codec_context.sample_rate,
        channels=stream.codec_context.layout.nb_channels,
        start=start,
        duration=None if stream.duration is None else stream.duration * stream.time_base,
    )


def _no_frames(path: Path) -> UserError:
    return UserError(
        f"clip: {path.name} holds zero frames: it is empty, or cut off within its index",
        fix="copy or download it again; if the copy is complete, record or export it again",
    )


def _unreadable(path: Path, error: Exception) -> UserError:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return UserError(
            f"clip: {path.name} is truncated or damaged: its index (moov) is missing or unreadable",
            fix="copy or download it again; a phone that lost power while recording leaves such files",
        )
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return UserError(f"clip: {path.name} is an animated WebP, which is not read", fix="convert it to GIF or mp4")
    return UserError(
        f"clip: {path.name} is not a video that can be read ({getattr(error, 'strerror', None) or error})",
        fix=f"read are: {', '.join(CONTAINERS)}, pictures, and folders of pictures",
    )
