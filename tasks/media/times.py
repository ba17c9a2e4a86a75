"""When the frames of a movie are shown, as FFmpeg's program decodes them: where packets do not tell."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import Any

from reel.errors import UserError
from tasks.media import contained, ffmpeg, packets
from tasks.media.packets import Times
from tasks.media.probe import Probe

_DECODED = "times.txt"


def decoded(path: Path, facts: Probe, keep_damaged: bool) -> Times:
    """Decode the whole stream with the program that will extract it, and note when each frame is shown.

    Raises:
        UserError: it is damaged, holds no frame, or its clock starts again.
    """
    listing = _listing(path, facts, strict=not keep_damaged)
    with tempfile.TemporaryDirectory() as folder, ffmpeg.start(listing, Path(folder)) as run:
        frames = [(int(line[2]), int(line[3])) for line in _lines(run, path, facts)]
        if not frames:
            raise packets.no_frames(path)
        if run.process.returncode != 0 and not keep_damaged:
            reason = "; ".join(run.messages()[:1]) or "FFmpeg stopped"
            raise UserError(
                f"clip: {path.name} is damaged: {len(frames)} frames could be decoded ({reason})",
                fix="copy or download it again, or take what can be decoded with extract.damaged=keep",
            )
    for number in range(1, len(frames)):
        if (frames[number][0] - frames[number - 1][0]) * facts.time_base < -packets.JITTER:
            raise packets.restarts(path, number)
    return Times(sorted({pts for pts, _ in frames}), packets.of_last(facts.container, max(frames)[1], facts.time_base))


def size_change(path: Path, facts: Probe) -> int | None:
    """The number of the first frame of another size than the first one's, or None; the file is decoded for it."""
    listing = _listing(path, facts, strict=False, vcodec="rawvideo", pix_fmt="gray", noautoscale=None)
    with tempfile.TemporaryDirectory() as folder, ffmpeg.start(listing, Path(folder)) as run:
        sizes = [int(line[4]) for line in _lines(run, path, facts)]
    return next((number for number, size in enumerate(sizes) if size != sizes[0]), None)


def _listing(path: Path, facts: Probe, *, strict: bool, vcodec: str = "wrapped_avframe", **more: Any) -> Any:
    """An FFmpeg run that writes down every frame: stream, two times, duration, bytes, checksum."""
    stream = ffmpeg.movie(path, facts, strict=strict)
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
