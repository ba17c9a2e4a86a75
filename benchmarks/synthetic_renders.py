"""Renders without a model: records as `dance` leaves them, over clips that are drawn or filmed.

Drawn frames carry their own number as black and white blocks in the top row, so that a picture of them tells which
frame it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.clip import ClipWriter
from reel.history.record import RenderRecord, StageRecord, record_path, save
from reel.keys import make_key, remember
from reel.op import get
from reel.store import Store
from tasks.assemble import Assemble

if TYPE_CHECKING:
    import numpy as np

BITS = 6
BLOCK = 8
"""px: side of the blocks that spell a frame's number."""
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def frames(count: int, size: tuple[int, int], tone: float) -> Iterator[np.ndarray]:
    """Frames ``(H, W, 3)`` uint8: a disc that wanders over a ground of that tone (0 to 1), and the frame's number."""
    import numpy as np

    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    for number in range(count):
        turn = 2 * math.pi * (number / count + tone)
        disc = (
            np.hypot(x - width * (0.5 + 0.3 * math.cos(turn)), y - height * (0.6 + 0.25 * math.sin(turn))) < width / 6
        )
        ground = np.stack([60 + 120 * tone + 0 * x, 40 + 100 * y / height, 200 - 150 * tone + 0 * x], axis=-1)
        picture = np.where(disc[..., None], [250, 220, 120], ground).astype(np.uint8)
        for bit in range(BITS):
            picture[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 if number >> bit & 1 else 0
        yield picture


def clip(store: Store, count: int, size: tuple[int, int], tone: float, fps: int = 8) -> str:
    """The digest of a drawn clip."""
    with ClipWriter(store, "rgb", width=size[0], height=size[1], time_base=Fraction(1, fps)) as writer:
        for number, picture in enumerate(frames(count, size, tone)):
            writer.add(picture, number)
    return writer.digest


def record(
    store: Store,
    number: int,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    metrics: Mapping[str, float],
    **fields: Any,
) -> RenderRecord:
    """Save a finished render's record.

    Args:
        number: its place in time; the id follows from it.
        inputs: digests of the clips that its film was made from: ``frames``, ``original``, ``map_<name>``.
    """
    key = make_key(get("assemble", "assemble"), Assemble(), inputs, {})
    remember(store, key, "0" * 64, {}, 0.0)
    started = START + timedelta(seconds=number)
    saved = RenderRecord(
        run=f"{started:%Y%m%d-%H%M%S}-{number:06x}",
        flow="dance",
        status="done",
        started=started,
        ended=started + timedelta(seconds=20 + number % 7),
        config=dict(config),
        stages=(StageRecord(op="assemble", key=key.digest, digest="0" * 64, reused=False, seconds=1.0),),
        metrics=dict(metrics),
        **fields,
    )
    save(store, saved)
    assert record_path(store, saved.run).exists()
    return saved


def settings(
    pose: float, lineart: float, prompt: str = "a girl in a red top", clip: str = "dance.mp4"
) -> dict[str, Any]:
    """What a render's record says it was made with, as far as comparing goes."""
    return {
        "clip": "/films/dance.mp4",
        "prompt": prompt,
        "seed": 7,
        "model": {"name": "sprite"},
        "controls": {
            "pose": {"weight": pose, "preprocess": "blazepose"},
            "lineart": {"weight": lineart, "preprocess": "lineart_standard"},
        },
        "tracking": {"uri": "http://user:secret@host"},
    }


def numbers(pose: float, lineart: float) -> dict[str, float]:
    """Made-up metrics with a real trade-off: likeness falls where steadiness rises."""
    return {
        "pose.pck": 0.5 + 0.4 * pose - 0.1 * pose * lineart,
        "flicker.mean": 9.0 - 5 * lineart + pose,
        "own_number": pose * lineart,
    }


def grid(
    store: Store,
    side: int,
    *,
    size: tuple[int, int] = (64, 96),
    count: int = 12,
    prompts: Sequence[str] = ("a girl in a red top",),
) -> list[RenderRecord]:
    """``side`` x ``side`` renders of two weights, with a source and a map that they share; prompts go round."""
    original, skeleton = clip(store, count, size, 0.99), clip(store, count, size, 0.01)
    steps = [round(i / max(1, side - 1), 3) for i in range(side)]
    made = []
    for number, (pose, lineart) in enumerate((pose, lineart) for pose in steps for lineart in steps):
        shown = clip(store, count, size, 0.05 + 0.9 * number / side**2)
        inputs = {"frames": shown, "original": original, "map_pose": skeleton}
        config = settings(pose, lineart, prompts[number % len(prompts)])
        made.append(record(store, number, config, inputs, numbers(pose, lineart)))
    return made


def films(store: Store, folder: Path, side: int, source: Path, *, size: tuple[int, int], count: int, fps: int) -> None:
    """As `grid`, but each render is an exported film alone, the source in another hue; no frames are in the store."""
    import ffmpeg as graphs

    from reel.files import sha256_file
    from reel.history.record import Output
    from tasks.media import ffmpeg

    steps = [round(i / max(1, side - 1), 3) for i in range(side)]
    for number, (pose, lineart) in enumerate((pose, lineart) for pose in steps for lineart in steps):
        place = folder / f"{number:03}"
        place.mkdir(parents=True)
        shown = graphs.input(str(source.absolute()), stream_loop=-1, r=fps).filter("hue", h=360 * number / side**2)
        shown = shown.filter("scale", *size, force_original_aspect_ratio="increase").filter("crop", *size)
        film = shown.output("movie.mp4", vcodec="libx264", preset="veryfast", crf=14, pix_fmt="yuv420p", r=fps,
                            **{"frames:v": count})  # fmt: skip
        with ffmpeg.start(film, place) as run:
            if run.process.wait():
                raise RuntimeError(run.messages())
        path = place / "movie.mp4"
        noted = Output(name=path.name, sha256=sha256_file(path), size=path.stat().st_size, role="movie")
        record(store, number, settings(pose, lineart), {}, numbers(pose, lineart), output=str(place), outputs=(noted,))
