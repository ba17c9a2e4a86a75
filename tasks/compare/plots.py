"""Plots of a comparison as PNG files: for reports, for MLflow, and for whoever cannot open the page."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.files import write_atomic
from reel.history.comparison import Comparison, Metric, Places, Point, number, places
from tasks.compare.page import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLE: Any = {
    "text.parse_math": False,  # a prompt may hold a dollar sign
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8b8b93",
    "axes.labelcolor": "#1b1b1e",
    "text.color": "#1b1b1e",
    "xtick.color": "#5e5e66",
    "ytick.color": "#5e5e66",
    "figure.dpi": 130,
}
_ACCENT, _QUIET, _REFERENCE = "#2a58c8", "#a9a9b2", "#9a5b00"


def draw(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the plots that the renders' numbers allow; fewer than two numbers allow none of the first.

    Returns:
        paths of ``tradeoff.png``, ``numbers.png`` (each number over the grid) and ``parallel.png``, those written.
    """
    import matplotlib

    written = []
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # an emoji in a prompt
        for name, figure in _figures(comparison):
            path = folder / name
            write_atomic(path, _png(figure))
            written.append(path)
    return written


def _figures(comparison: Comparison) -> Iterator[tuple[str, Figure]]:
    points = [point for point in comparison.points if point.metrics]
    shown = [metric for metric in comparison.metrics if len({p.metrics.get(metric.key) for p in points}) > 1]
    if not shown:
        return
    x, y = comparison.front or (shown[0], shown[min(1, len(shown) - 1)])
    if x is not y:
        yield "tradeoff.png", _tradeoff(comparison, points, x, y)
    where = places(comparison)
    if where.is_grid:
        yield "numbers.png", _numbers(comparison, shown[:9], where)
    if len(points) > 1:
        yield "parallel.png", _parallel(comparison, points, shown[:8])


def front(points: Sequence[Point], x: Metric, y: Metric) -> list[Point]:
    """Points that no other beats in both numbers, by ``x``; a number without a direction counts upwards."""
    signs = [-1 if metric.better == "lower" else 1 for metric in (x, y)]
    known = [point for point in points if x.key in point.metrics and y.key in point.metrics]
    known.sort(key=lambda point: (-signs[0] * point.metrics[x.key], -signs[1] * point.metrics[y.key]))
    best, most = [], -math.inf
    for point in known:
        if signs[1] * point.metrics[y.key] > most:
            most = signs[1] * point.metrics[y.key]
            best.append(point)
    return sorted(best, key=lambda point: point.metrics[x.key])


def _tradeoff(comparison: Comparison, points: Sequence[Point], x: Metric, y: Metric) -> Figure:
    figure = _figure(6.4, 4.6)
    axes = figure.subplots()
    known = [point for point in points if x.key in point.metrics and y.key in point.metrics]
    best = front(known, x, y)
    axes.scatter([p.metrics[x.key] for p in known], [p.metrics[y.key] for p in known], s=34, c=_QUIET, linewidths=0)
    across, up = [p.metrics[x.key] for p in best], [p.metrics[y.key] for p in best]
    axes.plot(across, up, "--o", c=_ACCENT, ms=6.5, lw=1.2, label="not beaten in both")
    for point in known:
        if point.name == comparison.reference:
            axes.plot(point.metrics[x.key], point.metrics[y.key], "o", mfc="none", mec=_REFERENCE, ms=12, mew=1.6,
                      label="reference")  # fmt: skip
    if len(best) <= 12:
        for point in best:
            axes.annotate(_values(comparison, point), (point.metrics[x.key], point.metrics[y.key]), fontsize=7.5,
                          xytext=(7, 5), textcoords="offset points", color="#5e5e66")  # fmt: skip
    axes.set_xlabel(_directed(x))
    axes.set_ylabel(_directed(y))
    axes.grid(color="#ececea", lw=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8)
    axes.margins(0.12)
    return figure


def _numbers(comparison: Comparison, metrics: Sequence[Metric], where: Places) -> Figure:
    import numpy as np

    columns = min(3, len(metrics))
    rows = math.ceil(len(metrics) / columns)
    figure = _figure(4.2 * columns, min(1.4 + 0.42 * len(where.rows), 5) * rows + 0.3)
    spots: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for spot in spots[len(metrics) :]:
        spot.set_axis_off()
    for spot, metric in zip(spots, metrics, strict=False):
        values = np.full((len(where.rows), len(where.columns)), np.nan)
        for index, place in where.at.items():
            values[place] = comparison.points[index].metrics.get(metric.key, np.nan)
        spot.imshow(values, cmap="cividis_r" if metric.better == "lower" else "cividis", aspect="auto")
        _written(spot, values)
        spot.set_title(_directed(metric), fontsize=9, loc="left")
        spot.set_xticks(range(len(where.columns)), [_cut(text, 14) for text in where.columns])
        spot.set_yticks(range(len(where.rows)), [_cut(" · ".join(values), 18) for values in where.rows])
        spot.set_xlabel(label(comparison.axes[0].key, [axis.key for axis in comparison.axes]))
        spot.spines[:].set_visible(False)
        spot.tick_params(length=0)
    return figure


def _written(spot: Axes, values: Any) -> None:
    """The numbers into a small grid's fields, in ink that stands out from them."""
    import numpy as np

    if values.size > 60:
        return
    low, high = np.nanmin(values), np.nanmax(values)
    image = spot.images[0]
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value)) if high > low else (0, 0, 0, 1)
            ink = "#1b1b1e" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#ffffff"
            spot.text(column, row, f"{_short(value)}", ha="center", va="center", fontsize=7.5, color=ink)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _parallel(comparison: Comparison, points: Sequence[Point], metrics: Sequence[Metric]) -> Figure:
    axes = [axis for axis in comparison.axes if axis.numeric][:6]
    names = [label(axis.key, [one.key for one in comparison.axes]) for axis in axes]
    names += [metric.label for metric in metrics]  # up is better wherever a direction is known
    rows = [
        [number(p.values.get(axis.key, "")) for axis in axes] + [p.metrics.get(m.key) for m in metrics] for p in points
    ]
    ends = [(min(known), max(known)) if (known := [v for v in column if v is not None]) else (0.0, 1.0)
            for column in zip(*rows, strict=True)]  # fmt: skip
    flipped = [False] * len(axes) + [metric.better == "lower" for metric in metrics]
    figure = _figure(max(5.0, 1.15 * len(names)), 4.4)
    plot = figure.subplots()
    for point, row in zip(points, rows, strict=True):
        is_reference = point.name == comparison.reference
        heights = [_height(value, end, down) for value, end, down in zip(row, ends, flipped, strict=True)]
        plot.plot(heights, c=_REFERENCE if is_reference else _ACCENT, lw=1.8 if is_reference else 0.9,
                  alpha=1 if is_reference else 0.45, zorder=3 if is_reference else 2)  # fmt: skip
    for place, ((low, high), down) in enumerate(zip(ends, flipped, strict=True)):
        plot.axvline(place, c="#8b8b93", lw=0.8, zorder=1)
        bottom, top = (high, low) if down else (low, high)
        plot.text(place, -0.05, f"{bottom:.4g}", ha="center", va="top", fontsize=7.5, color="#5e5e66")
        plot.text(place, 1.03, f"{top:.4g}", ha="center", va="bottom", fontsize=7.5, color="#5e5e66")
    plot.set_xticks(range(len(names)), [textwrap.fill(_cut(name, 60), 14) for name in names], fontsize=8)
    plot.tick_params(length=0, pad=16)
    plot.set_yticks([])
    plot.spines[:].set_visible(False)
    return figure


def _height(value: float | None, ends: tuple[float, float], down: bool) -> float:
    if value is None:
        return math.nan
    share = (value - ends[0]) / ((ends[1] - ends[0]) or 1)
    return 1 - share if down else share


def _values(comparison: Comparison, point: Point) -> str:
    return _cut(" · ".join(point.values.get(axis.key, "") for axis in comparison.axes[:3]), 28)


def _directed(metric: Metric) -> str:
    unit = f", {metric.unit}" if metric.unit else ""
    return f"{metric.label}{unit}" + (f" ({metric.better} is better)" if metric.better else "")


def _cut(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()
