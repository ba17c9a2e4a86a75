"""Tiny shots, sounds and films for tests, and readers that count what came out."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from reel.clip import Clip, ClipWriter
from reel.op import Context
from reel.store import Store, Stored
from tasks.film import build
from tasks.film.cut import cut
from tasks.film.mix import length_of, mix
from tasks.film.settings import Film, Shot
from tasks.film.shot import shot as shot_movie
from tasks.media import ffmpeg
from tasks.media.source import source_digest
from tests.tasks.media_samples import run

SIZE = (64, 48)


def clip(
    store: Store, frames: int, fps: str | Fraction = "24", size: tuple[int, int] = SIZE, level: int = 100, step: int = 0
) -> Clip:
    """Frame ``n`` is grey of ``level + step * n``, with a red corner."""
    with ClipWriter(store, "rgb", width=size[0], height=size[1], time_base=1 / Fraction(fps)) as writer:
        for number in range(frames):
            frame = np.full((size[1], size[0], 3), level + step * number, np.uint8)
            frame[: size[1] // 8, : size[0] // 8] = (220, 20, 20)
            writer.add(frame, number)
    return Clip.open(store, writer.digest)


def tone(path: Path, seconds: float, hertz: int = 440, rate: int = 48_000, volume: float = 0.5) -> Path:
    """A sine of that length; stereo."""
    what = f"aevalsrc={volume}*sin(2*PI*{hertz}*t)|{volume}*sin(2*PI*{hertz}*t):s={rate}:d={seconds}"
    run("-f", "lavfi", "-i", what, path)
    return path


def made(
    store: Store,
    clips: Sequence[Clip],
    shots: Sequence[Shot],
    film: Film,
    sounds: Mapping[int, Path] | None = None,
    timeline: bool = False,
) -> tuple[Stored, Stored | None]:
    """The film and its mix, the ops called one by one, as `build.make` calls them."""
    film = film.model_copy(update={"output": film.output.model_copy(update={"timeline": timeline})})
    sizes = [(one.width, one.height) for one in clips]
    planned = build.check(shots, [length_of(one) for one in clips], sizes, film)
    files = {f"sound_{index}": path for index, path in (sounds or {}).items()}
    if film.music.file is not None:
        files["music"] = film.music.file
    inputs = {f"shot_{index}": one.digest for index, one in enumerate(clips)}
    settings = {op.name: cfg for op, cfg in build.ops(planned, shots, film) if op.name != "shot"}
    mixed = None
    if files:
        heard = {name: source_digest(path) for name, path in files.items()}
        mixed = mix(settings["mix"], {**inputs, **heard}, Context(store, files=files))
    movies = [cfg for op, cfg in build.ops(planned, shots, film) if op.name == "shot"]
    for index, cfg in enumerate(movies):
        name = f"sound_{index}"
        own = Context(store, files={"sound": files[name]} if name in files else {})
        heard = {"sound": source_digest(files[name])} if name in files else {}
        inputs[f"movie_{index}"] = shot_movie(cfg, {"frames": clips[index].digest, **heard}, own)
    context, words = Context(store), film.captions.font
    if words is not None:
        context = replace(context, files={"font": words})
        inputs["font"] = source_digest(words)
    digest = cut(settings["cut"], {**inputs, **({"mix": mixed} if mixed else {})}, context)
    return store.get(digest), store.get(mixed) if mixed else None


def frames_of(path: Path) -> np.ndarray:
    """All frames ``(F, H, W, 3)`` of a movie."""
    import av

    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def samples_of(path: Path) -> np.ndarray:
    """All samples ``(n, 2)`` float32 of a movie's sound, as players hear them: by FFmpeg's program."""
    command = [ffmpeg.binary(), "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "f32le", "-ac", "2", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(data, "<f4").reshape(-1, 2)


def movie(film: Stored) -> Path:
    return film.path(film.meta["movie"])


def greys(film: Stored) -> list[int]:
    """Mean level of every frame's right half."""
    half: Any = frames_of(movie(film))[:, :, SIZE[0] // 2 :]
    return [round(float(frame.mean())) for frame in half]
