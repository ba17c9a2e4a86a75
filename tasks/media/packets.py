"""When the frames of a movie are shown, as far as its packets say so, and whether all of them are there."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from reel.errors import UserError
from tasks.media import whole

REWRAP = "ffmpeg -i IN -c:v libx264 -crf 12 -c:a copy OUT.mp4"
JITTER = 0.05
"""Seconds by which decoding times may fall back without meaning anything: careless muxers round them."""
_ENDS_OF_SOUND = ("avi", "asf", "flv")
"""Containers whose durations are the longest stream's, or typed in by hand."""
_NO_DURATION = Fraction(1, 240)
"""Seconds; a last frame that is shorter than any rate has lost its time: cover art, a stream that came through AVI."""
_NO_DURATIONS = ("avi",)
"""Containers whose packets last one tick of the stream's clock, however long a frame is shown: a stream that was copied
into AVI from a finer clock has ticks of a fraction of a frame."""
_BROADCAST = ("mpegts", "mpeg")
"""Containers that recordings begin in at any moment: what is shown before the first key frame cannot be decoded."""
_WEBP_HURRY, _WEBP_USUAL = 10, 100
"""Delays of an animated WebP that count as another one, as in FFmpeg and browsers, ms."""
_NO_PICTURE_TIMES = ("avi", "asf")
"""Containers that keep the order of decoding alone: where a codec has another order of showing, times are guesses."""


@dataclass(frozen=True)
class Times:
    """Ticks of all frames, ascending, and for how many ticks the last one is shown (0: not said).

    ``pts`` is empty where the packets do not tell: then only decoding does. ``lost`` frames before the first key frame
    are not among them.
    """

    pts: list[int]
    last_duration: int
    lost: int = 0


def of_packets(path: Path, container: Any, stream: Any, keep_damaged: bool) -> Times:
    """Read all packets of a stream, without decoding.

    Raises:
        UserError: there are none; fewer than the file announces; or the clock of the file starts again.
    """
    times, there, decoding, key = array("q"), 0, None, None
    complete = not (container.format.name in _NO_PICTURE_TIMES and stream.codec_context.codec.reorder)
    last = (-(2**63), 0)
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if packet.dts is not None:
            if decoding is not None and (packet.dts - decoding) * stream.time_base < -JITTER:
                raise restarts(path, there)
            decoding = packet.dts
        there += 1
        complete = complete and packet.pts is not None
        # A discarded one lies outside the edit list: a clip that was trimmed without encoding it again.
        if packet.pts is not None and not packet.is_discard:
            times.append(packet.pts)
            key = packet.pts if key is None and packet.is_keyframe else key
            last = max(last, (packet.pts, packet.duration or 0))
    if not there or (complete and not times):
        raise no_frames(path)
    pts = sorted(set(times))
    if not keep_damaged:
        _refuse_truncated(path, container, stream, there, pts[-1] + last[1] if complete else None)
    if not complete:
        return Times([], 0)
    said = last[1] or _remaining(container, stream, pts[-1])
    lost = bisect_left(pts, key) if key is not None and container.format.name in _BROADCAST else 0
    return Times(pts[lost:], of_last(container.format.name, said, stream.time_base), lost)


def of_last(container: str, duration: int, time_base: Fraction) -> int:
    """Ticks that the last frame is shown, where its packet says ``duration``; 0: nobody knows."""
    if container == "webp_anim" and duration <= _WEBP_HURRY:
        return _WEBP_USUAL  # FFmpeg moves the frame after such a one, but not the end
    return 0 if container in _NO_DURATIONS or duration * time_base < _NO_DURATION else duration


def _refuse_truncated(path: Path, container: Any, stream: Any, there: int, end: int | None) -> None:
    """Raises: UserError when the file, its index or its header says that there is more."""
    found = whole.missing(path)
    if found:
        pass
    elif container.format.name.startswith("mov") and there < 0.98 * stream.frames:
        found = f"{there} of {stream.frames} frames"
    elif end is not None and (announced := _announced_end(container, stream)) is not None:
        seconds = float(end * stream.time_base)
        found = f"{seconds:.2f} of {announced:.2f} seconds" if seconds < announced - 0.5 else None
    if found:
        raise UserError(
            f"clip: {path.name} is truncated: only {found} are in the file",
            fix="copy or download it again, or take what is there with extract.damaged=keep",
        )


def _announced_end(container: Any, stream: Any) -> float | None:
    """Where the container says the pictures end, seconds of the stream's clock; None where it is no help."""
    if container.format.name in _ENDS_OF_SOUND:
        return None
    said = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
    if said:
        return int(said[1]) * 3600 + int(said[2]) * 60 + float(said[3])
    if stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if container.duration and len(container.streams) == 1 and container.format.name != "gif":
        return float((container.start_time or 0) + container.duration) / 1e6
    return None


def _remaining(container: Any, stream: Any, last: int) -> int:
    """Ticks from the last frame to where the container says that the pictures end; 0: it does not say."""
    announced = _announced_end(container, stream)
    return 0 if announced is None else max(0, round(announced / float(stream.time_base)) - last)


def restarts(path: Path, frame: int) -> UserError:
    return UserError(
        f"clip: {path.name}: the clock restarts at frame {frame}: these are several recordings, joined as they were",
        fix=f"give them one clock: {REWRAP.replace('-c:a copy', '-c:a aac')}",
    )


def no_frames(path: Path) -> UserError:
    return UserError(
        f"clip: {path.name} holds zero frames: it is empty, or cut off within its index",
        fix="copy or download it again; if the copy is complete, record or export it again",
    )
