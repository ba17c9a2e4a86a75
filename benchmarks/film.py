"""Films against their plans, against time and memory: counts, cost beside one FFmpeg call, peak memory by length.

    python -m benchmarks.film plans [--count 300] [--seed 0] [--log films.jsonl]     # 0 frames and 0 samples off
    python -m benchmarks.film cost [--rounds 3]                  # at most 1.3 times one FFmpeg call that does the same
    python -m benchmarks.film memory [--frames 64 1024]          # must not grow with the length, at most 1.15

`plans` draws random films (shots of any length, rate and speed, every transition, silent and sounding, titles, music
that is too short), writes them for real at a small size and counts what others count: PyAV the frames, FFmpeg's program
the samples. With a log it goes on where it was stopped.
`cost` crossfades two shots with sound by the ops, and by one call of FFmpeg (xfade, acrossfade) from the
same PNG files with the same encoder; both run in turn, the best round counts: seconds of the processor, which other
load changes little, and of the wall. Each exits with 1 above its limit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reel.clip import Clip, ClipWriter
from reel.errors import UserError
from reel.op import Context
from reel.store import Store
from tasks.film import build
from tasks.film.cut import cut
from tasks.film.mix import length_of, mix
from tasks.film.settings import Film, Frame, Loudness, Music, Output, Shot, Title, Transition
from tasks.media import ffmpeg
from tasks.media.source import source_digest

COST, GROWTH = 1.3, 1.15
RATES = ("8", "12", "16", "24", "25", "30", "50", "60", "24000/1001", "30000/1001")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["plans", "cost", "memory"])
    arguments.add_argument("--count", type=int, default=300)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--log", type=Path, help="of films that were counted; a later run goes on from it")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--frames", type=int, nargs=2, default=(64, 1024))
    arguments.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.measure:
        print(json.dumps(peak(options.measure)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "plans":
            return plans(options.log or Path(folder) / "films.jsonl", options.count, options.seed)
        if options.what == "cost":
            return cost(Path(folder), options.rounds)
    return memory(options.frames)


def plans(log: Path, count: int, seed: int) -> int:
    """Random films, written and counted; those of the log are not made again."""
    counted = known(log)
    for number in range(seed, seed + count):
        if number in counted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            counted[number] = {"film": number, **one_plan(Path(folder), number)}
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(counted[number]) + "\n")
        print(f"film {number}: {counted[number]['found']}", file=sys.stderr, flush=True)
    films = [counted[number] for number in range(seed, seed + count)]
    off = [one for one in films if one["found"] != one["planned"]]
    print(json.dumps({"films": len(films), "frames": sum(one["found"][0] for one in films), "off": off}, indent=2))
    return int(bool(off))


def known(log: Path) -> dict[int, dict[str, Any]]:
    """The films of a log by number; a line that a kill left half-written is none."""
    found = {}
    for line in log.read_text("utf-8").splitlines() if log.exists() else []:
        with contextlib.suppress(ValueError):
            one = json.loads(line)
            found[one["film"]] = one
    return found


def one_plan(folder: Path, number: int) -> dict[str, list[int]]:
    """A random film's frames, samples, and the frames that it says of itself: as planned, and as found."""
    store = Store(folder / "store")
    tones = [sound(folder / f"{seconds}.wav", seconds) for seconds in (0.3, 1.0, 4.0)]
    chance = random.Random(number)
    while True:  # a shot that is too short for its transitions is refused, and the film drawn again
        clips, shots, film, files = random_film(store, chance, tones)
        with contextlib.suppress(UserError):
            build.check(shots, [length_of(one) for one in clips], [(one.width, one.height) for one in clips], film)
            break
    said, movie = written(store, clips, shots, film, files)
    plan = build.check(shots, [length_of(one) for one in clips], [(one.width, one.height) for one in clips], film).plan
    samples = samples_in(movie) if files else plan.samples
    return {"planned": [plan.frames, plan.samples, plan.frames], "found": [frames_in(movie), samples, said["frames"]]}


def random_film(
    store: Store, chance: random.Random, tones: list[Path]
) -> tuple[list[Clip], list[Shot], Film, dict[str, Path]]:
    clips, shots, files = [], [], {}
    for number in range(chance.randint(1, 4)):
        clips.append(drawn(store, chance.randint(8, 24), chance.choice(RATES), chance.choice([(32, 32), (48, 32)])))
        kinds: list[Literal["cut", "fade", "crossfade"]] = ["cut", "fade", "crossfade"] if number else ["cut", "fade"]
        step = Transition(kind=chance.choice(kinds), frames=chance.randint(1, 2))
        words = "words" if length_of(clips[-1]).seconds > 1 and chance.random() < 0.5 else ""  # long enough to be read
        shots.append(Shot(transition=step, speed=chance.choice([0.7, 1.0, 1.0, 1.3]), caption=words))
        if chance.random() < 0.5:
            files[f"sound_{number}"] = chance.choice(tones)
    if chance.random() < 0.5:
        files["music"] = tones[0]
    title = Title(text="a", seconds=1) if chance.random() < 0.3 else None
    music = Music(file=files.get("music"), short=chance.choice(["loop", "pad"]))
    frame = Frame(fps=chance.choice(["shots", "24", "30000/1001", "25"]), fit=chance.choice(["crop", "pad", "blur"]))
    output = Output(timeline=False, preset="ultrafast", format=chance.choice(["mp4", "ffv1"]))
    film = Film(
        frame=frame, music=music, opening=title, output=output, loudness=Loudness(target=chance.choice([None, -16]))
    )
    return clips, shots, film, files


def written(
    store: Store, clips: list[Clip], shots: list[Shot], film: Film, files: dict[str, Path]
) -> tuple[dict[str, Any], Path]:
    """The film by its ops; its facts and its movie."""
    inputs = {f"shot_{index}": one.digest for index, one in enumerate(clips)}
    planned = build.check(shots, [length_of(one) for one in clips], [(one.width, one.height) for one in clips], film)
    settings: dict[str, Any] = {op.name: cfg for op, cfg in build.ops(planned, shots, film)}
    heard = {name: source_digest(path) for name, path in files.items()}
    mixed = mix(settings["mix"], {**inputs, **heard}, Context(store, files=files)) if files else None
    stored = store.get(cut(settings["cut"], {**inputs, **({"mix": mixed} if mixed else {})}, Context(store)))
    return stored.meta, stored.path(stored.meta["movie"])


def cost(folder: Path, rounds: int) -> int:
    """Two shots of 72 frames, 768x432, crossfaded with their sound."""
    store = Store(folder / "store")
    clips = [drawn(store, 72, "24", (768, 432), seed) for seed in (1, 2)]
    files = {f"sound_{index}": sound(folder / f"{index}.wav", 3.0) for index in (0, 1)}
    shots = [Shot(), Shot(transition=Transition(kind="crossfade", frames=12))]
    film = Film(output=Output(timeline=False), frame=Frame(flash="off"), loudness=Loudness(target=None))

    def ours() -> None:
        written(store, clips, shots, film, files)

    def plain() -> None:
        graph = (
            "[0:v][1:v]xfade=transition=fade:duration=0.5:offset=2.5,"
            "scale=flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp:out_range=tv:out_color_matrix=bt709,"
            "format=yuv420p[v];[2:a][3:a]acrossfade=d=0.5[a]"
        )
        pictures = [str(one.stored.path("frames/000000.png")).replace("000000", "%06d") for one in clips]
        command = [ffmpeg.binary(), "-v", "error", "-nostdin", "-y"]
        for pattern in pictures:
            command += ["-framerate", "24", "-i", pattern]
        for path in files.values():
            command += ["-i", str(path)]
        command += ["-filter_complex", graph, "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-profile:v", "high"]
        command += ["-crf", "14", "-preset", "medium", "-x264-params", "chroma-qp-offset=-6", "-threads", "4"]
        command += ["-c:a", "aac", "-b:a", "192k", "-movflags", "+faststart", str(folder / "plain.mp4")]
        subprocess.run(command, check=True)

    runs: dict[str, Callable[[], None]] = {"film": ours, "ffmpeg": plain}
    best = {name: {"processor": float("inf"), "wall": float("inf")} for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            before, started = processor(), time.perf_counter()
            run()
            took = {"processor": processor() - before, "wall": time.perf_counter() - started}
            best[name] = {kind: min(seconds, took[kind]) for kind, seconds in best[name].items()}
    ratios = {kind: round(best["film"][kind] / best["ffmpeg"][kind], 2) for kind in ("processor", "wall")}
    seconds = {name: {kind: round(value, 2) for kind, value in took.items()} for name, took in best.items()}
    print(json.dumps({"seconds": seconds, "ratio": ratios, "limit of the processor's": COST}, indent=2))
    return int(ratios["processor"] > COST)


def processor() -> float:
    """Seconds of the processor that this process and its finished children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def memory(lengths: tuple[int, int]) -> int:
    """Peak memory of this process and of its largest child, each length in a fresh process."""
    peaks = {}
    for length in lengths:
        command = [sys.executable, "-m", "benchmarks.film", "memory", "--measure", str(length)]
        peaks[length] = dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    short, long = (peaks[length] for length in lengths)
    growth = {name: round(long[name] / short[name], 3) for name in short}
    print(json.dumps({"peak MiB": peaks, "growth": growth, "limit": GROWTH}, indent=2))
    return int(max(growth.values()) > GROWTH)


def peak(length: int) -> dict[str, float]:
    """MiB after a film of so many frames: four shots, crossfades, captions, music, colour match, loudness."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(folder / "store")
        clips = [drawn(store, length // 4 + 6, "24", (384, 216), seed) for seed in range(4)]
        step = Transition(kind="crossfade", frames=8)
        shots = [Shot(caption="words"), *[Shot(caption="words", transition=step)] * 3]
        files = {"sound_1": sound(folder / "a.wav", length / 96), "music": sound(folder / "m.wav", 2)}
        film = Film(music=Music(file=files["music"]), output=Output(timeline=False, preset="veryfast"))
        film.frame.colour_match.to = "previous"
        written(store, clips, shots, film, files)
    who = {"python": resource.RUSAGE_SELF, "ffmpeg": resource.RUSAGE_CHILDREN}
    return {name: round(resource.getrusage(kind).ru_maxrss / 1024, 1) for name, kind in who.items()}


def drawn(store: Store, frames: int, fps: str, size: tuple[int, int], seed: int = 0) -> Clip:
    """A drifting pattern of soft colours."""
    import cv2

    pattern = np.random.default_rng(seed).integers(30, 225, (8, 12, 3), np.uint8)
    wide = cv2.resize(pattern, (size[0] * 2, size[1]), interpolation=cv2.INTER_CUBIC)
    with ClipWriter(store, "rgb", width=size[0], height=size[1], time_base=1 / Fraction(fps)) as writer:
        for number in range(frames):
            start = number * 2 % size[0]
            writer.add(np.ascontiguousarray(wide[:, start : start + size[0]]), number)
    return Clip.open(store, writer.digest)


def sound(path: Path, seconds: float) -> Path:
    """A sine."""
    command = [ffmpeg.binary(), "-v", "error", "-nostdin", "-y", "-f", "lavfi"]
    subprocess.run([*command, "-i", f"sine=440:r=44100:d={seconds}", "-ac", "2", str(path)], check=True)
    return path


def frames_in(movie: Path) -> int:
    import av

    with av.open(str(movie)) as container:
        return sum(1 for _ in container.decode(video=0))


def samples_in(movie: Path) -> int:
    command = [ffmpeg.binary(), "-v", "error", "-i", str(movie), "-map", "0:a:0", "-f", "f32le", "-ac", "2", "-"]
    return len(subprocess.run(command, check=True, capture_output=True).stdout) // 8


if __name__ == "__main__":
    sys.exit(main())
