"""The streams of a movie file: opened by content alone, and which of them are read."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

from reel.errors import UserError
from tasks.media import packets
from tasks.media.source import CONTAINERS

SOUND_FORMATS = ("mp3", "wav", "flac", "aac", "aiff")
"""FFmpeg demuxers of files that hold sound alone."""
_SEQUENCES = ("avis", "msf1", "hevc", "hevx")
"""Major brands of HEIF and AVIF pictures in motion."""
_DEFAULT = 5_000_000
"""What being the default stream is worth, px: FFmpeg's own figure (its automatic choice of a video stream)."""


def opened(file: IO[bytes]) -> Any:
    """Open by content alone: FFmpeg never sees the name, and only formats that hold their own pictures are tried."""
    import av

    whitelist = ",".join((*CONTAINERS, *SOUND_FORMATS))
    return av.open(file, options={"format_whitelist": whitelist}, buffer_size=1 << 20, metadata_errors="replace")


def picture_stream(path: Path, container: Any, wanted: int | None) -> Any:
    """The stream of moving pictures: the one that was asked for, else FFmpeg's choice among those that move.

    FFmpeg takes the largest picture, where being the default counts as much as `_DEFAULT` px. Cover art of music files
    and thumbnails, whether they say so or hold a single frame, come last.

    Args:
        wanted: index of the stream in the file, as ``ffmpeg -i`` shows it (1 for ``Stream #0:1``).

    Raises:
        UserError: there is none, or none of that index.
    """
    streams = picture_streams(container)
    if wanted is not None:
        for stream in container.streams.video:
            if stream.index == wanted and stream.codec_context is not None:
                return stream
        known = ", ".join(map(described, container.streams.video)) or "none"
        raise UserError(
            f"extract.stream: {path.name} has no video stream {wanted}; its video streams: {known}",
            fix=f"extract.stream={streams[0].index}, or leave it empty" if streams else None,
        )
    _refuse_masks(path, container)
    if not streams and container.streams.video:
        raise _without_codec(path, container)
    if not streams:
        what = "only sound" if container.streams.audio else "no picture stream"
        raise UserError(
            f"clip: {path.name} holds {what}",
            fix="give a file with moving pictures; if it has them, it is damaged: copy or download it again",
        )
    moving = _moving(path) if len(streams) > 1 else set()
    return max(streams, key=lambda stream: (stream.index in moving, _score(stream)))  # the first of equals


def _without_codec(path: Path, container: Any) -> UserError:
    """What to say of a file none of whose video streams can be decoded: cut off, or in an unknown codec."""
    unknown = [stream for stream in container.streams.video if stream.codec_context is None]
    if unknown and not any(packet.size for packet in container.demux(*unknown)):
        return packets.no_frames(path)
    what = "a video in a codec that FFmpeg does not decode" if unknown else "only sound"
    return UserError(
        f"clip: {path.name} holds {what}",
        fix="give a file with moving pictures; if other programs show it, export it from one, as H.264 or ProRes",
    )


def _moving(path: Path) -> set[int]:
    """Indices of the video streams with two frames or more; read as far as it takes to see that of all."""
    with path.open("rb") as file, opened(file) as container:
        counts = dict.fromkeys((stream.index for stream in picture_streams(container)), 0)
        for packet in container.demux(*picture_streams(container)):
            if packet.size:
                counts[packet.stream.index] += 1
                if min(counts.values()) > 1:
                    break
    return {index for index, count in counts.items() if count > 1}


def picture_streams(container: Any) -> Sequence[Any]:
    """The video streams that can be decoded and are no pictures beside the movie."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    known = [stream for stream in container.streams.video if stream.codec_context is not None]
    return [stream for stream in known if not stream.disposition & still]


def others(container: Any, index: int) -> list[str]:
    """In words, the picture streams besides the one that is read.

    Sequences of HEIF and AVIF begin with a still of their own, an item without a duration: nobody means that one.
    """
    found = [stream for stream in picture_streams(container) if stream.index != index]
    return [described(stream) for stream in found if not (_is_sequence(container) and stream.duration is None)]


def _is_sequence(container: Any) -> bool:
    return container.metadata.get("major_brand") in _SEQUENCES


def _refuse_masks(path: Path, container: Any) -> None:
    """Raises: UserError for a HEIF or AVIF in motion whose transparency is a grey track beside the colours."""
    moving = [stream for stream in picture_streams(container) if stream.duration is not None]
    grey = [stream for stream in moving if (stream.codec_context.pix_fmt or "").startswith("gray")]
    if _is_sequence(container) and grey and len(grey) < len(moving):
        colour = next(stream for stream in moving if stream not in grey)
        raise UserError(
            f"clip: {path.name} is transparent, by a track of its own, which is not read",
            fix=f"export it as animated WebP or APNG; what hides behind it is read with extract.stream={colour.index}",
        )


def described(stream: Any) -> str:
    """``1 (h264, 1920x1080)``."""
    context = stream.codec_context
    codec = context.codec.canonical_name if context is not None else "unknown"
    size = f"{context.width}x{context.height}" if context is not None and context.width else "size unknown"
    return f"{stream.index} ({codec}, {size})"


def sound_stream(container: Any) -> Any:
    """The first sound stream that FFmpeg can decode, or None."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def start(stream: Any) -> Fraction:
    """When a stream begins, seconds of its own clock."""
    return Fraction(stream.start_time or 0) * stream.time_base


def _score(stream: Any) -> int:
    from av.stream import Disposition

    context = stream.codec_context
    size = context.width * context.height if context is not None else 0
    return size + _DEFAULT * bool(stream.disposition & Disposition.default)
