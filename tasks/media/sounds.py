"""Sound files of the user: looked into in a process of its own, and decoded by FFmpeg to plain samples."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.errors import UserError
from reel.files import explained
from tasks.media import contained, ffmpeg, sound_process
from tasks.media.source import open_source, source_digest

if TYPE_CHECKING:
    import numpy as np

BLOCK = 61_440
"""Samples that are in memory at a time; a whole number of hundredths of a second."""


@dataclass(frozen=True)
class SoundFile:
    """A file's first sound stream. ``seconds`` as its container says; None: it does not."""

    path: Path
    container: str
    stream: int
    seconds: Fraction | None


def look(path: Path, setting: str) -> SoundFile:
    """Check that a file has sound that can be decoded.

    Args:
        setting: that names it, for messages.

    Raises:
        UserError: there is no such file, or no sound in it.
    """
    try:
        source = open_source(path)
        found: dict[str, Any] = {"none": "it is a picture"}
        if not source.pictures:
            found = _facts(source_digest(path), source.path)
    except UserError as error:
        raise UserError(f"{setting}: {error.message.removeprefix('clip: ')}", fix=error.fix) from None
    if "none" in found:
        raise UserError(f"{setting}: {path.name} has no sound that can be read ({found['none']})",
                        fix="a WAV, FLAC, MP3, AAC, Ogg or movie file with sound")  # fmt: skip
    seconds = Fraction(found["seconds"]) if found["seconds"] else None
    return SoundFile(source.path, found["container"], found["stream"], seconds)


@functools.lru_cache(64)
def _facts(digest: str, path: Path) -> dict[str, Any]:
    """Read once a process for a file's content."""
    seconds = contained.limit(path.stat().st_size)
    answer = contained.ask(sound_process.__name__, {"path": str(path)}, name=path.name, seconds=seconds)
    assert isinstance(answer, dict)
    return answer


def decoded(
    sound: SoundFile, into: Path, *, rate: int, start: float = 0.0, speed: float = 1.0, samples: int | None = None
) -> int:
    """Decode to raw 32-bit float stereo.

    Args:
        into: the file that is written.
        start: seconds that are skipped.
        speed: how fast it is played; the pitch stays.
        samples: exactly so many, silence behind the end; None: as many as there are.

    Returns:
        the number of samples.

    Raises:
        UserError: it cannot be decoded, or nothing more can be written.
    """
    import ffmpeg as graphs

    source = graphs.input(ffmpeg.file_url(sound.path), format=sound.container, protocol_whitelist="file")
    stream = source[str(sound.stream)].filter("aresample", rate, **{"async": 1, "first_pts": 0})
    stream = stream.filter("aformat", sample_fmts="flt", channel_layouts="stereo")
    if start:
        stream = stream.filter("atrim", start_sample=round(start * rate)).filter("asetpts", "N/SR/TB")
    for factor in tempos(speed):
        stream = stream.filter("atempo", factor)
    if samples is not None:
        stream = stream.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)
    output = stream.output(into.name, format="f32le", acodec="pcm_f32le", ac=2, ar=rate)
    written_by(output, into.parent, f"decode {sound.path.name}")
    return into.stat().st_size // 8


def tempos(speed: float) -> list[float]:
    """Factors of FFmpeg's tempo filter, which goes down to a half at a time, that make a speed."""
    factors = []
    while speed < 0.5:
        factors.append(0.5)
        speed /= 0.5
    return [*factors, speed] if speed != 1 else factors


def written_by(output: Any, folder: Path, what: str) -> None:
    """Run an FFmpeg graph to its end.

    Raises:
        UserError: it failed; ``what`` it was to do is in the message.
    """
    with ffmpeg.start(output, folder) as run:
        code = run.process.wait()
        run.check_disk()
        if code != 0:
            raise UserError(f"FFmpeg could not {what}: {'; '.join(run.messages()[:3]) or f'exit code {code}'}")


class Bed:
    """Sound in a file of raw 32-bit float stereo, of a fixed length, worked on in blocks: memory stays flat.

    Args:
        samples: its length; it begins as silence.
    """

    def __init__(self, path: Path, samples: int) -> None:
        self.path = path
        self.samples = samples
        with path.open("wb") as file:
            file.truncate(samples * 8)

    def add(self, other: Path, at: int, gain: Any, skip: int = 0, count: int | None = None) -> None:
        """Add a raw file's samples from ``skip`` on, so that its first one sounds at ``at``; what is beyond is left.

        Args:
            gain: takes numbers of samples ``(n,)``, counted from the first one that is added, and gives factors.
            count: at most so many.
        """
        import numpy as np

        done, most = 0, min(self.samples - at, self.samples if count is None else count)
        with self.path.open("r+b") as file:
            for block in blocks(other, skip):
                block = block[: most - done]
                if not len(block):
                    break
                file.seek((at + done) * 8)
                there = np.frombuffer(file.read(len(block) * 8), "<f4").reshape(-1, 2)
                factors = np.asarray(gain(np.arange(done, done + len(block))), np.float32)
                file.seek((at + done) * 8)
                file.write((there + block * factors[:, None]).astype("<f4").tobytes())
                done += len(block)

    def scale(self, gain: Any) -> None:
        """Multiply every sample: ``gain`` takes numbers of samples ``(n,)`` and gives factors."""
        import numpy as np

        done = 0
        with self.path.open("r+b") as file:
            while data := file.read(BLOCK * 8):
                block = np.frombuffer(data, "<f4").reshape(-1, 2)
                factors = np.asarray(gain(np.arange(done, done + len(block))), np.float32)
                file.seek(done * 8)
                file.write((block * factors[:, None]).astype("<f4").tobytes())
                done += len(block)
                file.seek(done * 8)


def blocks(path: Path, skip: int = 0) -> Iterator[np.ndarray]:
    """A raw file's samples ``(n, 2)`` float32, `BLOCK` at a time."""
    import numpy as np

    with path.open("rb") as file:
        file.seek(skip * 8)
        while data := file.read(BLOCK * 8):
            yield np.frombuffer(data, "<f4").reshape(-1, 2)


def write_wav(raw: Path, wav: Path, *, rate: int, channels: int) -> None:
    """A raw file as WAV of 32-bit float (RF64 where it is too long for that)."""
    import ffmpeg as graphs

    source = graphs.input(ffmpeg.file_url(raw), format="f32le", ar=rate, ac=channels, protocol_whitelist="file")
    options = {"format": "wav", "acodec": "pcm_f32le", "fflags": "+bitexact", "flags:a": "+bitexact", "rf64": "auto"}
    written_by(source.output(wav.name, **options), wav.parent, f"write {wav.name}")


@contextlib.contextmanager
def temporary(folder: Path) -> Iterator[str]:
    """A folder for raw sound inside another, a draft's as a rule; it goes when the block ends.

    Raises:
        UserError: no room is left to write into it.
    """
    with explained(folder), tempfile.TemporaryDirectory(prefix="sound-", dir=folder) as made:
        yield made
