"""TileSheet: all clips of a comparison in one film, a tile each.

One film has one clock and one decoder, so whatever draws its tiles shows all clips at the same frame, whether it
plays, scrubs or steps. That cannot be had from a hundred players. No B-frames and a key frame every few make a seek
cheap and exact.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pydantic import Field

from reel.config import Config
from reel.op import Context, op
from tasks.compare.footage import LADDER
from tasks.compare.preview import Player, fitted
from tasks.media.encode import FORMATS, Format, Movie, Timing, encode

if TYPE_CHECKING:
    import numpy as np

NAME = "tiles.mp4"
WIDTH, HEIGHT = 4096, 2304
"""px: the largest H.264 picture that hardware decoders of the last ten years take (level 5.1)."""
_BLOCK = 16
"""px: tiles begin at the codec's macroblocks, so that neighbours do not share one."""
_KEY_FRAMES = 12
_LEAST_BITS = 0.06
"""Bits a pixel and frame below which drawn pictures fall apart."""


class TileSheet(Config):
    """How the film is written."""

    fps: str
    """Frames per second, a fraction."""
    frames: int = Field(ge=1)
    kilobytes: int = Field(ge=64)
    """Size of the film at most (1 kB = 1000 bytes)."""
    crf: int = Field(default=21, ge=1, le=51)
    """Quality where the size allows it: lower is better and larger."""


@dataclass(frozen=True)
class Tile:
    """Where a clip lies in the tile sheet, px, and how many frames of its own it has at its own rate."""

    x: int
    y: int
    w: int
    h: int
    frames: int
    """Length in frames of the tile sheet; later ones repeat the last."""


@op("compare", "tile_sheet", version=1, config=TileSheet, inputs=("tile_*",), gives="tile_sheet",
    distributions=("imageio-ffmpeg", "ffmpeg-python", "av", "numpy"))  # fmt: skip
def tile_sheet(cfg: TileSheet, inputs: Mapping[str, str], ctx: Context) -> str:
    """Write the tile sheet of stored previews.

    Args:
        inputs: ``tile_<number>`` previews, in the order of their names.

    Returns:
        digest of an object of kind ``tile_sheet``: ``tiles.mp4``, and in its meta ``width``, ``height``, ``fps``,
        ``frames`` and ``tiles`` (as `Tile`, in the order of the inputs).
    """
    players = [Player(ctx.store.get(inputs[name])) for name in sorted(inputs)]
    cell = padded([player.size for player in players])
    columns, rows = shape(len(players), cell)
    size, fps = (columns * cell[0], rows * cell[1]), Fraction(cfg.fps)
    timing = Timing(list(range(cfg.frames)), 1 / fps, cfg.frames / fps, fps)
    with ctx.store.draft("tile_sheet") as draft, ctx.progress(cfg.frames, "compare: all clips in one film") as bar:
        for form in _forms(cfg, cfg.frames / fps):
            movie = Movie(form, size, timing, crf=cfg.crf, preset="veryfast")
            path = encode(movie, _composed(players, cell, columns, size, cfg, bar), draft.dir, NAME)
            if path.stat().st_size <= cfg.kilobytes * 1000:
                break
        draft.add(NAME, path)
        places = [_tile(player, number, cell, columns, cfg) for number, player in enumerate(players)]
        return draft.commit(
            width=size[0], height=size[1], fps=str(fps), frames=cfg.frames, tiles=[vars(place) for place in places]
        )


def _forms(cfg: TileSheet, seconds: Fraction) -> Iterator[Format]:
    """The format with its rate capped: as the budget says, then lower where the encoder overshot."""
    base = FORMATS["mp4"]
    video = dict(base.video) | {"profile:v": "high", "bf": 0, "g": _KEY_FRAMES, "sc_threshold": 0}
    most = cfg.kilobytes * 8 / float(seconds)
    for part in (0.92, 0.75, 0.5, 0.3):
        rate = max(64, int(most * part))
        yield dataclasses.replace(base, video=video | {"maxrate": f"{rate}k", "bufsize": f"{rate}k"})


def _tile(player: Player, number: int, cell: tuple[int, int], columns: int, cfg: TileSheet) -> Tile:
    row, column = divmod(number, columns)
    own = math.ceil(player.count * Fraction(cfg.fps) / player.fps)
    return Tile(column * cell[0], row * cell[1], *player.size, min(own, cfg.frames))


def _composed(
    players: Sequence[Player], cell: tuple[int, int], columns: int, size: tuple[int, int], cfg: TileSheet, bar: object
) -> Iterator[np.ndarray]:
    import numpy as np

    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    sources = [player.frames(Fraction(cfg.fps), cfg.frames) for player in players]
    for _ in range(cfg.frames):
        for number, frames in enumerate(sources):
            row, column = divmod(number, columns)
            picture = next(frames)
            h, w = picture.shape[:2]
            y, x = row * cell[1], column * cell[0]
            canvas[y : y + h, x : x + w] = picture
            canvas[y : y + h, x + w : x + cell[0]] = picture[:, -1:]  # repeated edges: nothing bleeds in when scaled
            canvas[y + h : y + cell[1], x : x + cell[0]] = canvas[y + h - 1, x : x + cell[0]]
        yield canvas
        bar.update(1)  # type: ignore[attr-defined]


def padded(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The cell that holds each of these sizes, in whole blocks."""
    width, height = (max(size[side] for size in sizes) for side in (0, 1))
    return math.ceil(width / _BLOCK) * _BLOCK, math.ceil(height / _BLOCK) * _BLOCK


def shape(count: int, cell: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows: the fewest pixels that fit, of those the widest film."""
    fits = [
        (columns, math.ceil(count / columns))
        for columns in range(1, min(count, max(1, WIDTH // cell[0])) + 1)
        if math.ceil(count / columns) * cell[1] <= HEIGHT
    ]
    if not fits:
        columns = max(1, min(count, round(math.sqrt(count * cell[1] / cell[0]))))
        return columns, math.ceil(count / columns)
    return min(fits, key=lambda one: (one[0] * one[1], one[1]))


def short_side(sizes: Sequence[tuple[int, int]], frames: int, kilobytes: int) -> int:
    """The largest step of the ladder at which clips of these sizes fit a film's sides and its bytes.

    Args:
        sizes: width and height of every tile's clip, px.
        frames: of the film.
    """
    room = min(WIDTH * HEIGHT, kilobytes * 8000 / frames / _LEAST_BITS)
    for step in reversed(LADDER):
        cell = padded([fitted(size, step) for size in sizes])
        columns, rows = shape(len(sizes), cell)
        width, height = columns * cell[0], rows * cell[1]
        if width <= WIDTH and height <= HEIGHT and width * height <= room:
            return step
    return LADDER[0]


__all__ = ["Tile", "TileSheet", "shape", "short_side", "tile_sheet"]
