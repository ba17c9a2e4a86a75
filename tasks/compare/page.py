"""Page: a comparison as one HTML file that loads nothing: it opens from disk and inside MLflow's sandboxed viewer.

What renders say (prompts, names, reasons of failures) is hostile text. It goes into the page as JSON in which nothing
can end the script element that it stands in, and the page's script makes text nodes of it, never markup.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from reel.history.comparison import Axis, Comparison, Point
from reel.store import Stored
from tasks.pages.page import embedded, filled, script, style

_WEB = Path(__file__).parent / "web"
SCRIPTS = ("state", "film", "grid", "detail", "table", "charts", "main")
"""The page's script, in the order in which its parts need one another."""
_SHELL = 400_000
"""Bytes of a page without its film, generously: markup, style, script, settings of a hundred renders."""


@dataclass(frozen=True)
class Pictures:
    """What is shown of a point: numbers of tiles in the tile sheet.

    Attributes:
        tile: its result; None where there is none, with the reason in ``missing``.
        beside: label and tile of its source and its maps.
        clip: name of the source.
        film: size, length and rate of its result, in words.
    """

    tile: int | None = None
    beside: Sequence[tuple[str, int]] = ()
    missing: str = ""
    clip: str = ""
    film: str = ""


def film_budget(megabytes: float) -> int:
    """Kilobytes that the film of a page of this size may have: base64 makes four bytes of three."""
    return int((megabytes * 1e6 - _SHELL) * 3 / 4 / 1000)


def build(comparison: Comparison, pictures: Sequence[Pictures], tile_sheet: Stored | None) -> bytes:
    """The page.

    Args:
        pictures: of every point, in the order of ``comparison.points``.
        tile_sheet: the stored tile sheet (`tasks.compare.tile_sheet`); None where no render has a picture.
    """
    film = base64.b64encode(tile_sheet.read("tiles.mp4")).decode() if tile_sheet else ""
    parts = {
        "TITLE": html.escape(comparison.name),
        "STYLE": style(_WEB / "page.css"),
        "DATA": embedded(_data(comparison, pictures, tile_sheet)),
        "FILM": film,
        "SCRIPT": script(*(_WEB / f"{name}.js" for name in SCRIPTS)),
    }
    return filled(_WEB / "page.html", parts)


def _data(comparison: Comparison, pictures: Sequence[Pictures], tile_sheet: Stored | None) -> dict[str, Any]:
    meta: dict[str, Any] = (
        tile_sheet.meta if tile_sheet else {"width": 16, "height": 16, "fps": "1", "frames": 1, "tiles": []}
    )
    settings = [point.settings for point in comparison.points]
    rendered = [one for one, point in zip(settings, comparison.points, strict=True) if point.record]
    common = _common(rendered)
    front = comparison.front
    order = {metric.key: number for number, metric in enumerate(comparison.metrics)}
    last = max(0, len(comparison.metrics) - 1)
    names = [point.name for point in comparison.points]
    return {
        "name": comparison.name,
        "made": f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
        "swept": comparison.swept,
        "film": {key: meta[key] for key in ("width", "height", "frames")} | {"fps": _ratio(meta["fps"])},
        "tiles": [[tile[side] for side in ("x", "y", "w", "h", "frames")] for tile in meta["tiles"]],
        "axes": [_axis(axis, comparison.axes) for axis in comparison.axes],
        "metrics": [vars(metric) for metric in comparison.metrics],
        "front": [order[metric.key] for metric in front] if front else [0, min(1, last)],
        "reference": names.index(comparison.reference),
        "common": common,
        "points": [
            _point(point, comparison.axes, one, common, shown)
            for point, one, shown in zip(comparison.points, settings, pictures, strict=True)
        ],
    }


def _point(
    point: Point, axes: Sequence[Axis], settings: Mapping[str, str], common: Mapping[str, str], shown: Pictures
) -> dict[str, Any]:
    values = [(axis, point.values.get(axis.key)) for axis in axes]
    return {
        "id": point.name,
        "status": point.status,
        "reason": point.reason.partition("\n")[0],
        "missing": shown.missing,
        "at": [axis.values.index(value) if value in axis.values else -1 for axis, value in values],
        "metrics": point.metrics,
        "settings": {key: value for key, value in settings.items() if key not in common},
        "tile": shown.tile,
        "beside": list(shown.beside),
        "clip": shown.clip,
        "film": shown.film,
        "when": f"{point.record.started.astimezone():%Y-%m-%d %H:%M:%S}" if point.record else "",
    }


def _common(settings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What is the same in all renders, kept once."""
    if not settings:
        return {}
    first, *others = settings
    return {key: value for key, value in first.items() if all(one.get(key) == value for one in others)}


def _axis(axis: Axis, axes: Sequence[Axis]) -> dict[str, Any]:
    return {
        "key": axis.key,
        "label": label(axis.key, [one.key for one in axes]),
        "values": list(axis.values),
        "numeric": axis.numeric,
        "linked": list(axis.linked),
    }


def label(key: str, others: Sequence[str]) -> str:
    """A setting's name as short as it stays its own: ``pose weight`` for ``controls.pose.weight``."""

    def shortened(one: str) -> str:
        return " & ".join(" ".join(part.split(".")[-2:]) for part in one.split(" & ")).replace("_", " ")

    return shortened(key) if sum(shortened(other) == shortened(key) for other in others) == 1 else key


def _ratio(fraction: str) -> float:
    over, _, under = fraction.partition("/")
    return int(over) / int(under or 1)


__all__ = ["Pictures", "build", "embedded", "film_budget", "label"]
