"""Files with broken heads, of every format that the bundled FFmpeg writes: read, or refused in one line in time.

    python -m benchmarks.media_fuzz [--files 5000] [--seed 1] [--first 0] [--workers 2] [--log FILE]

Small files of all muxers and of Pillow's and libheif's picture formats are made; bytes of their beginnings (and, where
an index lies there, of their ends) are changed, cut out, doubled or replaced by what readers stumble over. Each file
goes through the whole of `extract`. What the product starts as a process of its own for each file is forked here from
one that has the libraries loaded, with the very same limits: 5000 starts of Python would take an hour.

File N of a seed is the same in every run, so that a run that was ended goes on with ``--first``.

A crash or a hang of outside software must come out as a refusal. They are counted by format, in words; no file is kept.
Exits with 1 after an error that is no refusal, one of several lines, or a file that took longer than 5 s (seconds of
the processor: other work on the machine is not the file's fault).
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reel.config import parse
from reel.errors import UserError
from reel.op import Context
from reel.store import Store
from tasks.extract import Extract, extract
from tasks.media import contained, facts_process, ffmpeg, inside, known_facts
from tasks.media.source import source_digest

LIMIT = 5.0
"""Seconds of the processor for one file."""
_NO_FILES = {
    "alsa", "caca", "chromaprint", "crc", "dash", "decklink", "fbdev", "ffmetadata", "fifo", "fifo_test",
    "framecrc", "framehash", "framemd5", "hash", "hds", "hls", "ico", "image2", "image2pipe", "md5",
    "mkvtimestamp_v2", "null", "opengl", "oss", "pulse", "rtp", "rtp_mpegts", "rtsp", "sap", "sdl", "sdl2",
    "segment", "smoothstreaming", "ssegment", "stream_segment", "streamhash", "tee", "uncodedframecrc", "v4l2",
    "video4linux2", "webm_chunk", "webm_dash_manifest", "whip", "xv",
}  # fmt: skip
"""Muxers of addresses, devices, texts and folders."""
_ENCODERS = ("libx264", "mpeg2video", "mjpeg", "mpeg4", "rawvideo", "")
_NASTY = (0, 1, 0x7F, 0x80, 0xFF)


def seeds(folder: Path) -> dict[str, bytes]:
    """A small file of each format, by its name."""
    listed = subprocess.run([ffmpeg.binary(), "-hide_banner", "-muxers"], capture_output=True, text=True, check=True)
    muxers = [line.split()[1] for line in listed.stdout.splitlines() if line[:3].strip() == "E"]
    found = {}
    for muxer in sorted(set(muxers) - _NO_FILES):
        for encoder in _ENCODERS:
            data = _written(folder / "seed", muxer, encoder)
            if data:
                found[f"{muxer}/{encoder}" if encoder else muxer] = data
    return found | _pictures(folder)


def _written(path: Path, muxer: str, encoder: str) -> bytes:
    path.unlink(missing_ok=True)
    command = [ffmpeg.binary(), "-v", "quiet", "-nostdin", "-y", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.2"]
    command += (
        ["-f", "lavfi", "-i", "sine=d=0.2"] if muxer in ("mov", "mp4", "matroska", "avi", "asf", "mpegts") else []
    )
    coded = ["-c:v", encoder, "-pix_fmt", "yuv420p"] if encoder else []
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run([*command, *coded, "-f", muxer, str(path)], check=False, timeout=20)
    return path.read_bytes() if path.exists() else b""


def _pictures(folder: Path) -> dict[str, bytes]:
    from PIL import Image

    from tests.tasks.heif_samples import grid

    picture = Image.effect_noise((40, 32), 60).convert("RGB")
    found = {}
    for kind in ("PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "TGA", "PPM"):
        more = {"save_all": True, "append_images": [picture]} if kind in ("MPO", "GIF") else {}
        picture.save(folder / "picture", kind, **more)
        found[f"Pillow {kind}"] = (folder / "picture").read_bytes()
    return found | {f"grid {brand}": grid(folder / brand / "a", brand).read_bytes() for brand in ("heic", "avif")}


def broken(data: bytes, chance: random.Random) -> bytes:
    """The file with one to eight changes, most of them near its beginning."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        reach = min(len(changed), chance.choice((64, 256, 1024, 4096)))
        at = chance.randrange(max(1, reach))
        if chance.random() < 0.25:  # an index may lie at the end
            at = max(0, len(changed) - 1 - at)
        what, size = chance.randrange(6), chance.choice((1, 2, 4, 8))
        if what == 0:
            changed[at : at + 1] = bytes([changed[at] ^ 1 << chance.randrange(8)]) if changed else b""
        elif what == 1:
            changed[at : at + size] = bytes([chance.choice(_NASTY)]) * size
        elif what == 2:
            changed[at : at + size] = chance.randbytes(size)
        elif what == 3:
            del changed[at : at + chance.choice((1, 4, 64))]
        elif what == 4:
            changed[at:at] = changed[at : at + chance.choice((1, 4, 64))]
        elif chance.random() < 0.3:
            del changed[chance.randrange(len(changed) + 1) :]
    return bytes(changed)


def forked(module: str, request: Any, *, name: str, seconds: int, meanwhile: object) -> Any:
    """As `contained.ask`, from a process that has the libraries already."""
    assert module == facts_process.__name__
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            resource.setrlimit(resource.RLIMIT_AS, (inside.MEMORY, inside.MEMORY))
            answer = json.dumps(inside.answered(facts_process.answer, request), default=str)
            with os.fdopen(write, "w") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if not os.WIFEXITED(status) or not said:
        raise contained.crashed(name)
    return contained.taken(json.loads(said), name)


def tried(path: Path, store: Path) -> str:
    """``read``, ``refused``, ``crash`` (contained), or what is wrong: ``traceback ...``, ``lines ...``."""
    try:
        settings = parse(
            Extract, {"fps": 5 if path.stat().st_size % 2 else "source", "multiple_of": 1, "max_frames": 20}
        )
        extract(settings, {"source": source_digest(path)}, Context(Store(store), files={"source": path}))
    except UserError as error:
        if "\n" in error.message:
            return f"lines {error.message!r}"
        return "crash" if error.message == contained.crashed(path.name).message else "refused"
    except BaseException:
        return "traceback " + traceback.format_exc()
    return "read"


def worker(files: range, seed: int, known: dict[str, bytes], results: Any) -> None:
    """Try files of a seed, by their numbers, and put (format, outcome, seconds of the processor) into ``results``."""
    known_facts.contained.ask = forked  # type: ignore[assignment]  # a process a file would be the time
    names = sorted(known)
    with tempfile.TemporaryDirectory() as place:
        os.environ["ROTOSCOPE_CACHE"] = f"{place}/cache"
        sys.stderr = Path(place, "errors").open("w")  # noqa: SIM115  (libraries' warnings)
        os.dup2(sys.stderr.fileno(), 2)
        for number in files:
            chance = random.Random(f"{seed} {number}")
            name = chance.choice(names)
            path = Path(place, "broken.mp4")
            path.write_bytes(broken(known[name], chance))
            before = _used()
            outcome = tried(path, Path(place, "store"))
            results.put((name, outcome, _used() - before))
    results.put(None)


def _used() -> float:
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--log", type=Path, help="progress and the result are also written here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        known = seeds(Path(folder))
    began, tally = time.monotonic(), Tally(args.log)
    tally.say(f"{len(known)} formats: {', '.join(sorted(known))}")
    for name, outcome, seconds in _results(range(args.first, args.files), args.seed, args.workers, known):
        tally.add(name, outcome, seconds)
    tally.say(
        json.dumps(
            tally.summary() | {"seed": args.seed, "minutes": round((time.monotonic() - began) / 60, 1)}, indent=2
        )
    )
    return int(bool(tally.wrong))


def _results(files: range, seed: int, workers: int, known: dict[str, bytes]) -> Iterator[tuple[str, str, float]]:
    context = multiprocessing.get_context("fork")
    results: Any = context.Queue()
    shares = [files[n::workers] for n in range(workers)]
    started = [context.Process(target=worker, args=(share, seed, known, results)) for share in shares]
    for process in started:
        process.start()
    left = workers
    while left:
        if (item := results.get()) is None:
            left -= 1
        else:
            yield item
    for process in started:
        process.join()


class Tally:
    """What became of the files."""

    def __init__(self, log: Path | None) -> None:
        self.log = log
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.crashes: collections.Counter[str] = collections.Counter()
        self.slowest = (0.0, "")
        self.wrong: list[str] = []

    def add(self, name: str, outcome: str, seconds: float) -> None:
        kind = outcome.split()[0]
        self.outcomes[kind] += 1
        self.crashes[name] += kind == "crash"
        self.slowest = max(self.slowest, (seconds, name))
        if kind in ("traceback", "lines") or seconds > LIMIT:
            self.wrong.append(f"{name}: {outcome} after {seconds:.1f} s")
            self.say(self.wrong[-1])
        if sum(self.outcomes.values()) % 200 == 0:
            self.say(f"{sum(self.outcomes.values())} files: {dict(self.outcomes)}")

    def summary(self) -> dict[str, Any]:
        return {
            "files": sum(self.outcomes.values()), **self.outcomes, "slowest": self.slowest, "wrong": len(self.wrong),
            "crashes and hangs of outside software, contained": {n: c for n, c in self.crashes.items() if c},
        }  # fmt: skip

    def say(self, line: str) -> None:
        print(line, flush=True)
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
