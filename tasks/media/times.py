"""When the frames of a movie are shown: from its packets where they say so, else from what FFmpeg decodes."""

from __future__ import annotations

import re
import tempfile
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.errors import UserError
from tasks.media import contained, ffmpeg, whole

if TYPE_CHECKING:
    from tasks.media.probe import Probe

REWRAP = "ffmpeg -i IN -c:v libx264 -crf 12 -c:a copy OUT.mp4"
_JITTER = 0.05
"""Seconds by which decoding times may fall back without meaning anything: careless muxers round them."""
_ENDS_OF_SOUND = ("avi", "asf", "flv")
"""Containers whose durations are the longest stream's, or typed in by hand."""
_NO_PICTURE_TIMES = ("avi", "asf")
"""Containers that keep the order of decoding alone: where a codec has another order of showing, times are guesses."""
_DECODED = "times.txt"


@dataclass(frozen=True)
class Times:
    """Ticks of all frames, ascending, and for how many ticks the last one is shown (0: not said).

    ``pts`` is empty where the packets do not tell: then only decoding does.
    """

    pts: list[int]
    last_duration: int


def of_packets(path: Path, container: Any, stream: Any, keep_damaged: bool) -> Times:
    """Read all packets of a stream, without decoding.

    Raises:
        UserError: there are none; fewer than the file announces; or the clock of the file starts again.
    """
    times, there, decoding = array("q"), 0, None
    complete = not (container.format.name in _NO_PICTURE_TIMES and stream.codec_context.codec.reorder)
    last = (-(2**63), 0)
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if packet.dts is not None:
            if decoding is not None and (packet.dts - decoding) * stream.time_base < -_JITTER:
                raise _restarts(path, there)
            decoding = packet.dts
        there += 1
        complete = complete and packet.pts is not None
        # A discarded one lies outside the edit list: a clip that was trimmed without encoding it again.
        if packet.pts is not None and not packet.is_discard:
            times.append(packet.pts)
            last = max(last, (packet.pts, packet.duration or 0))
    if not there or (complete and not times):
        raise no_frames(path)
    pts = sorted(set(times))
    if not keep_damaged:
        _refuse_truncated(path, container, stream, there, pts[-1] + last[1] if complete else None)
    return Times(pts, last[1] or _remaining(container, stream, pts[-1])) if complete else Times([], 0)


def decoded(path: Path, facts: Probe, keep_damaged: bool) -> Times:
    """Decode the whole stream with the program that will extract it, and note when each frame is shown.

    Raises:
        UserError: it is damaged, holds no frame, or its clock starts again.
    """
    listing = _listing(path, facts, strict=not keep_damaged)
    with tempfile.TemporaryDirectory() as folder, ffmpeg.start(listing, Path(folder)) as run:
        frames = [(int(line[2]), int(line[3])) for line in _lines(run, path, facts)]
        if not frames:
            raise no_frames(path)
        if run.process.returncode != 0 and not keep_damaged:
            reason = "; ".join(run.messages()[:1]) or "FFmpeg stopped"
            raise UserError(
                f"clip: {path.name} is damaged: {len(frames)} frames could be decoded ({reason})",
                fix="copy or download it again, or take what can be decoded with extract.damaged=keep",
            )
    for number in range(1, len(frames)):
        if (frames[number][0] - frames[number - 1][0]) * facts.time_base < -_JITTER:
            raise _restarts(path, number)
    return Times(sorted({pts for pts, _ in frames}), max(frames)[1])


def size_change(path: Path, facts: Probe) -> int | None:
    """The number of the first frame of another size than the first one's, or None; the file is decoded for it."""
    listing = _listing(path, facts, strict=False, vcodec="rawvideo", pix_fmt="gray", noautoscale=None)
    with tempfile.TemporaryDirectory() as folder, ffmpeg.start(listing, Path(folder)) as run:
        sizes = [int(line[4]) for line in _lines(run, path, facts)]
    return next((number for number, size in enumerate(sizes) if size != sizes[0]), None)


def _listing(path: Path, facts: Probe, *, strict: bool, vcodec: str = "wrapped_avframe", **more: Any) -> Any:
    """An FFmpeg run that writes down every frame: stream, two times, duration, bytes, checksum."""
    stream = ffmpeg.movie(path, facts.container, facts.index, facts.decoder, strict=strict)
    stream = stream.filter("settb", expr=ffmpeg.ratio(facts.time_base))
    return stream.output(
        _DECODED, format="framecrc", vcodec=vcodec, fps_mode="passthrough", enc_time_base="filter", flush_packets=1,
        **more,
    )  # fmt: skip


def _lines(run: ffmpeg.Run, path: Path, facts: Probe) -> list[list[str]]:
    """What such a run has written in the end. Raises: UserError when it comes to no end."""
    listed = run.folder / _DECODED
    while run.running():
        if run.hangs(listed.stat().st_size if listed.exists() else -1, facts.width * facts.height):
            raise contained.crashed(path.name)
        time.sleep(0.02)
    text = listed.read_text("ascii") if listed.exists() else ""
    return [line.split(",") for line in text.splitlines() if re.match(r"\d+,", line)]


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


def _restarts(path: Path, frame: int) -> UserError:
    return UserError(
        f"clip: {path.name}: the clock restarts at frame {frame}: these are several recordings, joined as they were",
        fix=f"give them one clock: {REWRAP.replace('-c:a copy', '-c:a aac')}",
    )


def no_frames(path: Path) -> UserError:
    return UserError(
        f"clip: {path.name} holds zero frames: it is empty, or cut off within its index",
        fix="copy or download it again; if the copy is complete, record or export it again",
    )
