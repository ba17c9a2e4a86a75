"""Key pictures: looked at before anything is computed, and refused where a film of them would not be what was meant."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from reel.errors import UserError
from reel.models.family import Size
from tasks.media import pictures
from tasks.media.geometry import Fit
from tasks.media.source import Source, open_source

LEAST = 32
"""px of the shorter side; what is smaller shows nothing that could come to life."""
KEPT = 0.5
"""Share of a picture that cropping must leave, and of the frame that padding must fill."""
SQUEEZED = 1.5
"""Most that `fit=stretch` may change a picture's shape by."""


@dataclass(frozen=True)
class Still:
    """A picture's file, and its size upright, px."""

    path: Path
    width: int
    height: int

    @property
    def shape(self) -> float:
        return self.width / self.height


def look(path: Path, key: str, *, background: bool) -> Still:
    """A still picture's facts.

    Args:
        key: the setting that names it, for messages.
        background: whether it was said what stands behind transparent pixels.

    Raises:
        UserError: no such file, a folder, a film, not readable, too small, or transparent on nothing.
    """
    try:
        source = open_source(path)
        _one_picture(source, key)
        width, height = pictures.check(source)
        transparent = _transparent(source.path) and not background
    except UserError as error:
        raise UserError(f"{key}: {error.message.removeprefix('clip: ')}", fix=error.fix) from None
    if min(width, height) < LEAST:
        raise UserError(f"{key}: {path.name} is {width}x{height} px, {LEAST} px a side are the least")
    if transparent:
        raise UserError(
            f"{key}: {path.name} has transparent pixels, and a film has none",
            fix="background=#ffffff, or any other colour to stand behind them",
        )
    return Still(path, width, height)


def _one_picture(source: Source, key: str) -> None:
    if source.path.is_dir():
        raise UserError(f"{source.path} is a folder, a picture is needed", fix=_typed(key, source.pictures[0]))
    if not source.pictures:
        raise UserError(
            f"{source.name} is not a still picture that can be read",
            fix="of a film or an animation export one frame as PNG"
            + ("; extend=FILE goes on from a film's end" if key == "picture" else ""),
        )


def _typed(key: str, path: Path) -> str:
    """A setting as it is typed: an item of a list with the list that it stands in."""
    parent, _, last = key.rpartition(".")
    return f"'{parent}=[{'...,' if int(last) else ''}{path}]'" if last.isdigit() else f"{key}={path}"


def _transparent(path: Path) -> bool:
    """Whether any pixel lets something through; the picture is decoded for it, so that a damaged one is told, too."""
    (pixels,) = pictures.read_all([path])
    return bool((pixels[..., 3] < 255).any())


def check_fit(still: Still, width: int, height: int, fit: Fit, key: str) -> None:
    """Whether a picture of that shape can be shown at that size without losing most of it.

    Raises:
        UserError: naming what would be lost, and a size of its own shape.
    """
    ratio = still.shape * height / width
    change = max(ratio, 1 / ratio)
    allowed = SQUEEZED if fit == "stretch" else 1 / KEPT
    if change <= allowed:
        return
    what = {
        "crop": f"cropping would cut {1 - 1 / change:.0%} of it away",
        "pad": f"borders would fill {1 - 1 / change:.0%} of the frame",
        "stretch": f"it would be stretched to {change:.1f} times its shape",
    }[fit]
    raise UserError(
        f"{key}: {still.path.name} is {still.width}x{still.height} px and the film {width}x{height}: {what}",
        fix="width and height of the picture's own shape, or cut the picture yourself first",
    )


def bucket(still: Still, sizes: list[Size]) -> Size:
    """Of the sizes that a family knows the one whose shape is nearest to the picture's; the first of several."""

    def distance(size: Size) -> float:
        ratio = still.shape * size.height / size.width
        return max(ratio, 1 / ratio)

    return min(sizes, key=distance)


def shape_of(still: Still) -> tuple[Fraction, Fraction]:
    """A picture's size as `tasks.media.geometry.plan` takes it."""
    return Fraction(still.width), Fraction(still.height)
