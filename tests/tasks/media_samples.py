"""Tiny real media for tests, made on the spot by the FFmpeg that the project uses, and readers that do not use it."""

from __future__ import annotations

import subprocess
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np

from reel.clip import Clip
from reel.config import parse
from reel.op import Context
from reel.store import Store
from tasks.assemble import Assemble, assemble
from tasks.extract import Extract, extract
from tasks.media import ffmpeg
from tasks.media.source import source_digest

STEP = 8
"""Grey levels between one numbered frame and the next."""
PLAIN = {"side_by_side": False, "contact_sheet": 0}
"""Settings of `assembled` for the movie alone."""


def run(*arguments: object) -> None:
    subprocess.run(
        [ffmpeg.binary(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)], check=True
    )


def numbered(path: Path, count: int = 20, fps: str = "25", size: str = "64x48", *more: object) -> Path:
    """A movie whose frame ``n`` is plain grey of level ``8 * n``: lossless, so that each frame can be told."""
    grey = f"color=black:s={size}:r={fps},trim=end_frame={count},format=gray,geq=lum='{STEP}*N',format=yuv444p"
    options = more or ("-c:v", "libx264", "-qp", 0)
    run("-f", "lavfi", "-i", grey, "-color_range", "pc", *options, path)
    return path


def numbers(clip: Clip) -> list[int]:
    """Which frame of a numbered movie each frame of the clip shows. The clip must be read with range=full."""
    return [round(float(frame.mean()) / STEP) for frame in clip.frames()]


def extracted(store: Store, path: Path, **settings: object) -> Clip:
    context = Context(store, files={"source": path})
    digest = extract(parse(Extract, settings, "extract"), {"source": source_digest(path)}, context)
    return Clip.open(store, digest)


def assembled(
    store: Store, clip: Clip, path: Path | None, maps: dict[str, Clip] | None = None, **settings: object
) -> dict:
    """Assemble a clip as if it were its own stylised result. Returns the meta with ``movie`` as a path."""
    inputs = {"frames": clip.digest, "original": clip.digest}
    inputs |= {f"map_{name}": item.digest for name, item in (maps or {}).items()}
    if path is not None:
        inputs["source"] = source_digest(path)
    context = Context(store, files={"source": path} if path else {})
    stored = store.get(assemble(parse(Assemble, settings, "assemble"), inputs, context))
    names = {
        key: stored.path(value) for key in ("movie", "side_by_side") if (value := stored.meta[key]) in stored.files
    }
    return {**stored.meta, **names, "stored": stored}


BARS = np.array(
    [[191, 191, 191], [191, 191, 0], [0, 191, 191], [0, 191, 0], [191, 0, 191], [191, 0, 0], [0, 0, 191], [16, 16, 16],
     [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128], [90, 60, 200], [200, 120, 60], [0, 0, 0]],
    np.uint8,
)  # fmt: skip
"""Colour bars at 75 and 100 per cent, greys, black, white and two mixed colours, as RGB."""
BAR = 16


def bars_picture(path: Path) -> Path:
    from PIL import Image

    Image.fromarray(np.repeat(np.tile(BARS[None], (48, 1, 1)), BAR, axis=1)).save(path)
    return path


def bar_values(frame: np.ndarray) -> np.ndarray:
    """The colour in the middle of each bar, ``(16, 3)``."""
    return frame[frame.shape[0] // 2, BAR // 2 :: BAR].astype(int)


def bars_movie(path: Path, picture: Path, matrix: str, spread: str, pixel_format: str) -> Path:
    """The bars as a lossless, properly tagged YUV movie of two frames."""
    tag = {"bt601": "smpte170m", "bt709": "bt709", "bt2020": "bt2020nc"}[matrix]
    to_yuv = (
        f"scale=out_color_matrix={matrix}:out_range={spread}:flags=accurate_rnd+full_chroma_int+full_chroma_inp+bitexact,"
        f"format={pixel_format},setparams=colorspace={tag}:range={spread}:color_primaries=bt709:color_trc=bt709"
    )
    run("-loop", 1, "-r", 25, "-i", picture, "-frames:v", 2, "-vf", to_yuv, "-c:v", "libx264", "-qp", 0, path)
    return path


def decoded_bt709(path: Path) -> list[np.ndarray]:
    """Frames ``(H, W, 3)`` of a BT.709 limited-range 8-bit 4:2:0 movie, by the standard's own arithmetic in numpy."""
    import av

    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            assert frame.format.name == "yuv420p"
            planes = [np.asarray(plane).reshape(-1, plane.line_size)[:, : plane.width] for plane in frame.planes]
            y, cb, cr = [p.astype(float) for p in planes]
            cb, cr = (np.repeat(np.repeat(c, 2, 0), 2, 1)[: y.shape[0], : y.shape[1]] for c in (cb, cr))
            y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
            rgb = np.stack([y + 1.5748 * cr, y - 0.1873 * cb - 0.4681 * cr, y + 1.8556 * cb], axis=-1)
            frames.append(np.clip(np.rint(rgb * 255), 0, 255).astype(int))
    return frames


def clicks(path: Path, seconds: float, every: float = 0.5, rate: int = 48000) -> Path:
    """A WAV of 5 ms bursts at every multiple of ``every`` seconds, silence between."""
    sound = np.zeros(round(seconds * rate), np.int16)
    for start in np.arange(0, seconds, every):
        first = round(start * rate)
        burst = np.sin(2 * np.pi * 1000 * np.arange(rate // 200) / rate) * 20000
        sound[first : first + len(burst)] = burst[: len(sound) - first]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.tobytes())
    return path


def heard(path: Path) -> list[float]:
    """Seconds at which bursts begin in a movie's sound, read with PyAV on the movie's own clock."""
    import av

    with av.open(str(path)) as container:
        samples, times, rate = [], [], 0
        for frame in container.decode(audio=0):
            values = frame.to_ndarray()
            mono = values.reshape(-1, frame.layout.nb_channels)[:, 0] if not frame.format.is_planar else values[0]
            scale = 32768.0 if values.dtype == np.int16 else 2.0**31 if values.dtype == np.int32 else 1.0
            samples.append(mono / scale)
            rate = frame.sample_rate
            times.append(float(frame.pts * frame.time_base) + np.arange(len(mono)) / rate)
    level, clock = np.abs(np.concatenate(samples)), np.concatenate(times)
    loud = np.flatnonzero(level > 0.15)
    starts = [index for i, index in enumerate(loud) if i == 0 or index - loud[i - 1] > rate // 20]
    return [float(clock[index]) for index in starts]


def movie_times(path: Path) -> list[Fraction]:
    import av

    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]
