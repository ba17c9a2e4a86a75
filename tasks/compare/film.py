"""Film: the grid as a movie with its labels, for people without the page; a still of it beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from pydantic import Field

from reel.config import Config, Text
from reel.op import Context, op
from tasks.compare.preview import Player
from tasks.media.encode import FORMATS, Movie, Timing, encode
from tasks.media.panels import font, shortened

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageDraw

NAME, STILL = "grid.mp4", "grid.png"
_WIDTH, _HEIGHT = 3840, 2160
_GROUND, _INK, _QUIET = (20, 20, 22), (232, 232, 235), (150, 150, 158)
_GAP = 6
_LINE = 22
"""px: height of a line of labels."""
_LEAST = 256
"""px: shorter side that small clips are enlarged towards."""
_MARGIN = 220
"""px: width of the row labels at most."""


class Film(Config):
    """What stands where in the grid."""

    fps: str
    """Frames per second, a fraction."""
    frames: int = Field(ge=1)
    columns: list[Text]
    """What stands above each column."""
    rows: list[Text]
    """What stands before each row."""
    cells: dict[str, tuple[int, int]]
    """Row and column of every input; an empty place stays dark."""
    captions: dict[str, Text] = {}
    """What stands below a tile."""


class _Layout:
    """Places of a grid, px: small cells grow by a whole factor, large ones shrink until a 4K picture holds all."""

    def __init__(self, cfg: Film, sizes: Mapping[str, tuple[int, int]]) -> None:
        self.left = _side(max((font(14).getlength(row) for row in cfg.rows if row), default=0))
        self.top = _LINE + _GAP if any(cfg.columns) else 0
        self.below = _LINE if cfg.captions else 0
        width, height = (max(size[side] for size in sizes.values()) for side in (0, 1))
        columns, rows = len(cfg.columns), len(cfg.rows)
        room = (_WIDTH - self.left) / columns - _GAP, (_HEIGHT - self.top) / rows - _GAP - self.below
        self.scale = min(max(1, _LEAST // min(width, height)), room[0] / width, room[1] / height)
        self.cell = max(2, int(width * self.scale)), max(2, int(height * self.scale))
        self.step = self.cell[0] + _GAP, self.cell[1] + _GAP + self.below
        self.size = _even(self.left + columns * self.step[0]), _even(self.top + rows * self.step[1])

    def corner(self, row: int, column: int) -> tuple[int, int]:
        return self.left + column * self.step[0], self.top + row * self.step[1]


@op("compare", "film", version=1, config=Film, inputs=("cell_*",), gives="film",
    distributions=("imageio-ffmpeg", "ffmpeg-python", "av", "numpy", "pillow", "opencv-python-headless"))  # fmt: skip
def film(cfg: Film, inputs: Mapping[str, str], ctx: Context) -> str:
    """Write the grid as a film, and its middle frame as a picture.

    Args:
        inputs: ``cell_<number>`` previews; ``cfg.cells`` says where each stands.

    Returns:
        digest of an object of kind ``film``: ``grid.mp4`` and ``grid.png``.
    """
    import cv2

    players = {name: Player(ctx.store.get(digest)) for name, digest in inputs.items()}
    layout = _Layout(cfg, {name: player.size for name, player in players.items()})
    fps = Fraction(cfg.fps)
    movie = Movie(
        FORMATS["mp4"], layout.size, Timing(list(range(cfg.frames)), 1 / fps, cfg.frames / fps, fps), 20, "veryfast"
    )
    still: list[np.ndarray] = []
    with ctx.store.draft("film") as draft, ctx.progress(cfg.frames, "compare: grid film") as bar:

        def counted() -> Iterator[np.ndarray]:
            for number, picture in enumerate(_frames(cfg, players, layout, fps)):
                if number == cfg.frames // 2:
                    still.append(picture.copy())
                yield picture
                bar.update(1)

        draft.add(NAME, encode(movie, counted(), draft.dir, NAME))
        picture = cv2.imencode(".png", cv2.cvtColor(still[0], cv2.COLOR_RGB2BGR))[1]
        draft.add(STILL, picture.tobytes())
        return draft.commit(width=layout.size[0], height=layout.size[1], frames=cfg.frames, fps=str(fps))


def _frames(cfg: Film, players: Mapping[str, Player], layout: _Layout, fps: Fraction) -> Iterator[np.ndarray]:
    import cv2
    import numpy as np

    canvas = np.array(_labelled(cfg, layout))
    sources = {name: player.frames(fps, cfg.frames) for name, player in players.items()}
    for _ in range(cfg.frames):
        for name, (row, column) in cfg.cells.items():
            picture = next(sources[name])
            height, width = (max(1, int(side * layout.scale)) for side in picture.shape[:2])
            if layout.scale != 1:
                how = cv2.INTER_AREA if layout.scale < 1 else cv2.INTER_CUBIC
                picture = cv2.resize(picture, (width, height), interpolation=how)
            x, y = layout.corner(row, column)
            canvas[y : y + height, x : x + width] = picture
        yield canvas


def _labelled(cfg: Film, layout: _Layout) -> Image.Image:
    from PIL import Image, ImageDraw

    sheet = Image.new("RGB", layout.size, _GROUND)
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(cfg.columns):
        x, _ = layout.corner(0, column)
        _write(draw, (x + 2, 4), label, layout.cell[0] - 4, _INK)
    for row, label in enumerate(cfg.rows):
        _, y = layout.corner(row, 0)
        _write(draw, (8, y + layout.cell[1] // 2 - 8), label, layout.left - 16, _INK)
    for name, label in cfg.captions.items():
        x, y = layout.corner(*cfg.cells[name])
        _write(draw, (x + 2, y + layout.cell[1] + 2), label, layout.cell[0] - 4, _QUIET)
    return sheet


def _write(draw: ImageDraw.ImageDraw, at: tuple[int, int], label: str, width: int, ink: tuple[int, int, int]) -> None:
    face = font(14)
    draw.text(at, shortened(" ".join(label.split()), width, face.getlength), ink, face)


def _side(longest: float) -> int:
    return min(_MARGIN, int(longest) + 20) if longest else 0


def _even(side: int) -> int:
    return side + side % 2


__all__ = ["Film", "film"]
