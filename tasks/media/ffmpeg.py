"""Running FFmpeg: the binary that imageio-ffmpeg carries, graphs by ffmpeg-python, arguments never through a shell."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from reel.errors import UserError

if TYPE_CHECKING:
    from tasks.media.probe import Probe

_WORK = 3.0
"""Seconds of the processor without a frame of up to 2 million px, after which a program counts as hanging."""
_IDLE = 120.0
"""Seconds by the clock, for one that does not even work."""
_NOT_IN_STEP = ("theora", "vp3", "vp4")
"""Codecs that FFmpeg's decoder, on several threads, does not decode alike each time: of 200 decodes of one Theora file
three had other pictures; of 200 on one thread none had."""


@cache
def binary() -> str:
    """Path of the FFmpeg program.

    Raises:
        UserError: imageio-ffmpeg has none for this platform, or the one that was named is not there.
    """
    import imageio_ffmpeg

    try:
        found = str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise UserError(f"no FFmpeg program: {error}", fix="pip install --force-reinstall imageio-ffmpeg") from None
    if not shutil.which(found):
        raise UserError(
            f"no FFmpeg program at {found}",
            fix="unset IMAGEIO_FFMPEG_EXE, or reinstall imageio-ffmpeg (its own is complete)",
        )
    return found


def ready() -> None:
    """Find the program and import what describes its work, before they are needed. Raises: UserError, as `binary`."""
    import ffmpeg  # noqa: F401

    binary()


def file_url(path: Path) -> str:
    """A path as FFmpeg takes it literally, whatever characters it has."""
    return f"file:{path.absolute()}"


def arguments(output: Any) -> list[str]:
    """The argument list of an ffmpeg-python graph, quiet, without a terminal."""
    import ffmpeg

    graph = output.global_args("-hide_banner", "-nostdin", "-loglevel", "level+error", "-y")
    return [str(part) for part in ffmpeg.compile(graph, cmd=binary())]


def movie(path: Path, facts: Probe, *, strict: bool, seek: float | None = None, upright: bool = True) -> Any:
    """The frames of a movie's stream, at its own times.

    Args:
        strict: stop at the first thing that cannot be decoded.
        seek: seconds to begin at, or at some frame before that; None: the beginning.
        upright: whether frames are turned as the file says.
    """
    import ffmpeg

    options: dict[str, Any] = {"format": facts.container, "protocol_whitelist": "file", "copyts": None}
    if strict:
        options["xerror"] = None
    if not upright:
        options["noautorotate"] = None
    if seek is not None:
        options |= {"noaccurate_seek": None, "ss": f"{seek:.6f}"}
    if facts.decoder is not None:
        options["vcodec"] = facts.decoder
    if facts.codec in _NOT_IN_STEP:
        options["threads"] = 1
    return ffmpeg.input(file_url(path), **options)[str(facts.index)]


def constant_rate(stream: Any, fps: Fraction, time_base: Fraction, last: int, count: int) -> Any:
    """Exactly ``count`` frames at ``fps``, chosen by the rule of `timeline.due`; the last one is held to the end.

    Its integers are exact in FFmpeg's double numbers: they stay below 2**53 for clips of years.

    Args:
        time_base: seconds per tick of the stream; its times begin at 0.
        last: the time of the last frame that comes in, ticks.
    """
    rate = fps * time_base
    a, b = rate.numerator, rate.denominator
    due = f"ceil(max((PTS+PREV_INPTS)*{a},2*PTS*{a}-{b})/{2 * b})"  # PREV_INPTS is no number at first; max leaves it
    over = f"gte(PREV_INPTS,{last})+isnan(PTS)"  # the end, which has a time as well
    stream = stream.filter("setpts", expr=f"if({over},{count},{due})")
    # The times are numbers of new frames now, counted in ticks of the old ones. At the end they get their own ticks.
    stream = stream.filter("fps", fps=ratio(1 / time_base), round="up")
    stream = stream.filter("tpad", stop=count, stop_mode="clone").filter("trim", end_frame=count)
    stream = stream.filter("settb", expr=ratio(1 / fps)).filter("setpts", expr="N")
    return stream.filter("fps", fps=ratio(fps))


def ratio(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


class _Progress(NamedTuple):
    """The last sign of progress: since when it stands (monotonic seconds), and what was used of the processor then."""

    sign: object
    since: float
    used: float | None


class Run:
    """A running FFmpeg process; its messages are collected in a file, so that it can never block on them."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self._log = log
        self._progress = _Progress(None, time.monotonic(), None)

    @property
    def stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    def close_stdin(self) -> None:
        with contextlib.suppress(OSError):  # a program that has ended cannot take what was still buffered
            self.stdin.close()

    def running(self) -> bool:
        return self.process.poll() is None

    def hangs(self, sign: object, pixels: int) -> bool:
        """Whether the program came to no end: it worked on for long, or was idle for two minutes, without a new sign.

        Args:
            sign: anything that is another value after each frame.
            pixels: of a frame; large ones take longer.
        """
        now = time.monotonic()
        if sign != self._progress.sign:
            self._progress = _Progress(sign, now, None)
        if now - self._progress.since < 1:
            return False
        import psutil

        try:
            used = sum(psutil.Process(self.process.pid).cpu_times()[:2])
        except psutil.Error:
            return False  # it has ended
        if self._progress.used is None:
            self._progress = _Progress(sign, self._progress.since, used)
        worked = used - (self._progress.used or 0.0)
        idle = now - self._progress.since > _IDLE and worked < 0.1
        return worked > _WORK * max(1.0, pixels / 2e6) or idle

    def messages(self) -> list[str]:
        """Error lines, the first 64 KiB of them, without FFmpeg's addresses."""
        self._log.seek(0)
        text = self._log.read(65536).decode("utf-8", "replace")
        text = re.sub(r"\[[^\]]* @ 0x[0-9a-f]+\] *|\[(?:error|fatal|panic)\] *", "", text)
        return [line.strip() for line in text.splitlines() if line.strip()]

    def check_disk(self) -> None:
        """Raises: UserError when the program stopped because nothing more could be written."""
        text = "\n".join(self.messages())
        limit = self.process.poll() == -signal.SIGXFSZ
        full = re.search(r"No space left on device|File too large|Disk quota exceeded", text)
        if limit or full:
            raise UserError(
                f"no room left while writing into {self.folder} ({full[0] if full else 'file size limit'}); nothing "
                "half-written was kept",
                fix="free some space (`rotoscope gc` shows what can go) or point paths.store at another disk",
            )


@contextlib.contextmanager
def start(output: Any, folder: Path, *, feed: bool = False) -> Iterator[Run]:
    """Run a graph inside ``folder``; it is ended when the block is left, however that happens.

    Args:
        output: an ffmpeg-python output; relative file names in it are relative to ``folder``.
        feed: whether the caller writes to the program's standard input.
    """
    with tempfile.TemporaryFile() as log:
        run = Run(subprocess.Popen(
            arguments(output), cwd=folder, stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=log,
        ), log, folder)  # fmt: skip
        try:
            yield run
        finally:
            if run.running():
                run.process.kill()
            if feed:
                run.close_stdin()
            run.process.wait()
