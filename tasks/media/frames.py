"""From a source to PNG frames in a clip: the filter graph, the FFmpeg run, and adopting files while it goes on."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from reel import child
from reel.clip import ClipWriter
from reel.errors import UserError
from tasks.media import contained, ffmpeg, picture_feed, times
from tasks.media.colour import RGB, Colour, over_background, to_rgb
from tasks.media.geometry import Plan
from tasks.media.probe import Probe
from tasks.media.source import Source
from tasks.media.timeline import Selection

_SEEK_FROM = 10.0
"""Seconds: a later start is sought to, an earlier one decoded up to, since not every container seeks well."""
_SEEK_MARGIN = 5.0
_PATTERN = "frame-%020d.png"
_DECODED = "decoded.txt"


@dataclass(frozen=True)
class Job:
    """A settled extraction.

    Attributes:
        fps: constant rate, or None for the frames at their own times.
        expected: times of the frames that must come out, ticks of ``time_base`` from the first one.
    """

    source: Source
    facts: Probe
    plan: Plan
    colour: Colour
    selection: Selection
    fps: Fraction | None
    expected: list[int]
    deinterlace: bool
    background: str
    tonemap: str
    keep_damaged: bool

    @property
    def time_base(self) -> Fraction:
        return 1 / self.fps if self.fps else self.facts.time_base

    @property
    def rate(self) -> float:
        """Frames per second; the mean where frames have times of their own."""
        span = self.expected[-1] * self.time_base if self.expected else Fraction(0)
        return float(self.fps or ((len(self.expected) - 1) / span if span else 1))


def refuse_hdr(colour: Colour, name: str, policy: str) -> None:
    """Raises: UserError when the clip is HDR and the settings refuse it."""
    if colour.hdr and policy == "refuse":
        raise UserError(
            f"extract.hdr: {name} is HDR ({colour.transfer.upper()}) and the settings refuse that",
            fix="extract.hdr=tonemap brings it to standard range",
        )


def write(job: Job, writer: ClipWriter, bar: Any) -> None:
    """Decode the job's frames into the clip.

    Raises:
        UserError: the file is damaged, or nothing more could be written.
    """
    with ffmpeg.start(graph(job), writer.dir, feed=bool(job.source.pictures)) as run:
        feed = _fed(job, run) if job.source.pictures else contextlib.nullcontext()
        adopter, decoded = _Adopter(job, writer, bar), writer.dir / _DECODED
        with feed:
            while run.running():
                if adopter.take(whole=False):
                    continue
                if run.hangs((adopter.count, _size(decoded)), job.facts.width * job.facts.height):
                    raise contained.crashed(job.source.name)
                time.sleep(0.02)
            adopter.take(whole=True)
        run.check_disk()
        _check(job, adopter, run, _times(decoded))
        decoded.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def graph(job: Job) -> Any:
    """The ffmpeg-python graph: read, deinterlace, cut to the range, resample in time, scale and convert, write PNGs.

    FFmpeg turns rotated pictures upright before the first filter. Only numbers and known words go into filters.
    """
    stream = _shown(_timed(_input(job), job), job)
    # enc_time_base and frame_pts: each file is named by its frame's exact time, in ticks.
    return stream.output(
        _PATTERN, format="image2", vcodec="png", compression_level=1, pred="up", fps_mode="passthrough",
        enc_time_base="filter", frame_pts=1, atomic_writing=1,
    )  # fmt: skip


def _input(job: Job) -> Any:
    import ffmpeg as graphs

    facts = job.facts
    if job.source.pictures:
        return graphs.input(
            "pipe:0", format="rawvideo", pix_fmt="rgba", s=f"{facts.width}x{facts.height}",
            framerate=str(1 / facts.time_base), protocol_whitelist="pipe",
        )  # fmt: skip
    # Where the decoder works times out, what it says depends on where it began.
    far = job.selection.start > _SEEK_FROM and not facts.decoded
    seek = float(job.selection.start) - _SEEK_MARGIN if far else None
    return ffmpeg.movie(job.source.path, facts, strict=not job.keep_damaged, seek=seek)


def _timed(stream: Any, job: Job) -> Any:
    """The frames of the range, the first at tick 0."""
    base = job.facts.time_base
    if job.deinterlace:
        stream = stream.filter("bwdif", mode="send_frame", parity="auto", deint="all")
    if not job.source.pictures:
        first = job.selection.pts[0]
        stream = stream.filter("settb", expr=f"{base.numerator}/{base.denominator}")  # bwdif halves it
        stream = stream.filter("metadata", mode="add", key="shown", value=1)  # or the next one has nothing to print
        stream = stream.filter("metadata", mode="print", file=_DECODED, direct=1)
        stream = stream.filter("trim", start_pts=first, end_pts=job.selection.stop)
        stream = stream.filter("setpts", expr=f"PTS-({first})")
    if job.fps is not None:
        last = job.selection.pts[-1] - job.selection.pts[0]
        stream = ffmpeg.constant_rate(stream, job.fps, base, last, len(job.expected))
    return stream


def _shown(stream: Any, job: Job) -> Any:
    """Scaled, cropped or padded, opaque, in RGB."""
    plan, (left, top) = job.plan, job.plan.offset
    if job.facts.alpha:
        stream = to_rgb(over_background(stream, job.colour, job.background), RGB, plan.scaled)
    else:
        stream = to_rgb(stream, job.colour, plan.scaled, job.tonemap)
    if plan.crops:
        stream = stream.filter("crop", w=plan.width, h=plan.height, x=left, y=top, exact=1)
    if plan.pads:
        stream = stream.filter("pad", w=plan.width, h=plan.height, x=left, y=top, color=f"0x{job.background[1:]}")
    return stream.filter("setsar", sar=1)


@contextlib.contextmanager
def _fed(job: Job, run: ffmpeg.Run) -> Iterator[None]:
    """A process that reads the pictures and hands them to FFmpeg, while the block runs."""
    chosen = [str(job.source.pictures[index]) for index in job.selection.pts]
    seconds = contained.limit(0) + len(chosen) * (1 + job.facts.width * job.facts.height // 4_000_000)
    with tempfile.TemporaryFile() as errors:
        feed = subprocess.Popen(
            child.command(picture_feed.__name__, str(seconds)), env=child.environment(),
            stdin=subprocess.PIPE, stdout=run.stdin, stderr=errors,
        )  # fmt: skip
        run.close_stdin()  # the feed's own is left
        try:
            assert feed.stdin is not None
            with contextlib.suppress(BrokenPipeError), feed.stdin as pipe:
                pipe.write(json.dumps(chosen).encode())
            yield
        except BaseException:
            feed.kill()
            raise
        finally:
            code = feed.wait()
        if code in (0, picture_feed.NOBODY_LISTENS):
            return
        if code != picture_feed.REFUSED:
            raise contained.crashed(job.source.name)
        errors.seek(0)
        refused = json.loads(errors.read().splitlines()[-1])
        raise UserError(refused["message"], fix=refused["fix"])


class _Adopter:
    """Moves finished PNG files into the clip, in order of their times, and hashes them on the way."""

    def __init__(self, job: Job, writer: ClipWriter, bar: Any) -> None:
        self.job, self.writer, self.bar = job, writer, bar
        self.count = 0
        self.wrong: list[int] = []

    def take(self, *, whole: bool) -> bool:
        """Adopt what is there. FFmpeg renames files into place when they are complete, so all of them are whole; the
        newest is left while it still runs, since its successor might have an earlier time in a broken file."""
        names = sorted(self.writer.dir.glob("frame-*.png"))
        ready = names if whole else names[:-1]
        for path in ready:
            pts = int(path.stem.removeprefix("frame-"))
            expected = self.job.expected[self.count] if self.count < len(self.job.expected) else -1
            if self.count == 0:
                _check_size(path, self.job.plan)
            if pts != expected:
                self.wrong.append(pts)
            if self.writer.pts and pts <= self.writer.pts[-1]:  # FFmpeg began anew, with a picture of another size
                path.unlink()
                continue
            self.writer.add_file(path, pts)
            self.count += 1
            self.bar.update(1)
        return bool(ready)


def _check_size(path: Path, plan: Plan) -> None:
    """The PNG header must have the planned size: `ClipWriter.add_file` trusts its caller."""
    head = path.read_bytes()[16:24]
    size = (int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big"))
    if size != (plan.width, plan.height):
        raise RuntimeError(f"FFmpeg wrote frames of {size[0]}x{size[1]} px, planned were {plan.width}x{plan.height}")


def _times(path: Path) -> list[int]:
    """The times of all frames that were decoded, ticks, as FFmpeg's ``metadata`` filter wrote them down."""
    if not path.exists():
        return []
    return [int(pts) for pts in re.findall(r"^frame:\d+ +pts:(-?\d+)", path.read_text("utf-8"), re.MULTILINE)]


def _check(job: Job, adopter: _Adopter, run: ffmpeg.Run, decoded: list[int]) -> None:
    """Raises: UserError unless exactly the announced frames came out (or what there is may be kept)."""
    name, code = job.source.name, run.process.returncode
    if code < 0:  # by a signal, and not from here
        raise contained.crashed(name)
    complete = adopter.count == len(job.expected) and not adopter.wrong
    inside = {pts for pts in decoded if job.selection.pts[0] <= pts < job.selection.stop}
    in_place = bool(job.source.pictures) or inside == set(job.selection.pts)
    if (complete and in_place and code == 0) or (job.keep_damaged and adopter.count):
        return
    if code == 0 and not job.source.pictures and (number := times.size_change(job.source.path, job.facts)) is not None:
        raise UserError(
            f"clip: {name} changes its size at frame {number}: what follows would be squeezed",
            fix="give all of it one size first: ffmpeg -i IN -vf scale=1280:720 OUT.mp4",
        )
    messages = run.messages()
    reason = f" ({messages[0]})" if messages else ""
    fix = "copy or download it again, or take what can be decoded with extract.damaged=keep"
    if not complete or code != 0:
        raise UserError(
            f"clip: {name} is damaged: {adopter.count} of {len(job.expected)} frames could be decoded{reason}", fix=fix
        )
    raise UserError(f"clip: {name} is damaged: its frames are not where its index says that they are{reason}", fix=fix)
