"""Running FFmpeg: the binary that imageio-ffmpeg carries, graphs by ffmpeg-python, arguments never through a shell."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import IO, Any

from reel.errors import UserError


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


def file_url(path: Path) -> str:
    """A path as FFmpeg takes it literally, whatever characters it has."""
    return f"file:{path.absolute()}"


def arguments(output: Any) -> list[str]:
    """The argument list of an ffmpeg-python graph, quiet, without a terminal."""
    import ffmpeg

    graph = output.global_args("-hide_banner", "-nostdin", "-loglevel", "level+error", "-y")
    return [str(part) for part in ffmpeg.compile(graph, cmd=binary())]


def constant_rate(stream: Any, fps: Fraction, step: Fraction, time_base: Fraction, count: int) -> Any:
    """Exactly ``count`` frames at ``fps``: a lower rate takes the nearest frame each time, a higher one holds frames.

    A frame counts from half a step before its time (of the shorter step): times that are rounded or jitter do no harm.
    FFmpeg's own rounding to the nearest would show frames up to half an output frame early.

    Args:
        step: usual seconds between the frames that come in; 0: unknown.
        time_base: seconds per tick of the stream; its times begin at 0.
    """
    early = int(min(step, 1 / fps) / 2 / time_base)
    stream = stream.filter("setpts", expr=f"PTS-{early}").filter("fps", fps=ratio(fps), round="up")
    return stream.filter("tpad", stop=count, stop_mode="clone").filter("trim", end_frame=count)


def ratio(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


class Run:
    """A running FFmpeg process; its messages are collected in a file, so that it can never block on them."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self._log = log

    @property
    def stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    def close_stdin(self) -> None:
        with contextlib.suppress(OSError):  # a program that has ended cannot take what was still buffered
            self.stdin.close()

    def running(self) -> bool:
        return self.process.poll() is None

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
