"""Shows a schedule: a table of frames, and a timeline of prompts, curves and pictures in the terminal."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from reel.pictures import opened
from reel.schedule.compile import PictureInterval, PromptTrack, compile_pictures, compile_prompts, compile_values
from reel.schedule.model import Schedule
from reel.schedule.segments import runs

_BARS = " ▁▂▃▄▅▆▇█"
_SHADES = " ░▒▓█"
SHOWN = 11
"""Prompts with a colour of their own in a plot."""
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#e68310", "#11a579", "#7f3c8d",
            "#a5aa99", "#882255")  # fmt: skip


def table(schedule: Schedule, frames: int, fps: float = 12.0, seed: int = 0, every: int = 1) -> str:
    """One row for each frame (or stretch of equal frames): number, time, and what it shows.

    Args:
        every: only each n-th frame; 1 gives all of them.

    Raises:
        UserError: as the compilers.
    """
    columns = _columns(schedule, frames, fps, seed)
    rows = list(zip(*columns, strict=True))
    lines = ["  frame     time  content"]
    first = 0
    for f in range(1, frames + 1):
        if f < frames and every == 1 and rows[f] == rows[first]:
            continue
        if f < frames and every > 1 and f % every:
            continue
        span = f"{first}" if f - first == 1 or every > 1 else f"{first}-{f - 1}"
        lines.append(f"{span:>7} {first / fps:7.2f}s  {'; '.join(cell for cell in rows[first] if cell)}")
        first = f
    return "\n".join(lines)


def _columns(schedule: Schedule, frames: int, fps: float, seed: int) -> list[list[str]]:
    columns: list[list[str]] = []
    if any(key.prompt is not None for key in schedule.keys):
        columns.append(_prompt_cells(compile_prompts(schedule, frames, fps, seed)))
    if schedule.what == "value":
        columns.append([f"{v:.4f}" for v in compile_values(schedule, frames, fps, seed).tolist()])
    if schedule.has_pictures:
        cells: list[list[str]] = [[] for _ in range(frames)]
        for interval in compile_pictures(schedule, frames, fps, seed):
            for f, strength in zip(range(interval.start, interval.stop), interval.strength.tolist(), strict=True):
                cells[f].append(f"{interval.picture} {strength:.2f}")
        columns.append([" + ".join(cell) for cell in cells])
    return columns


def _prompt_cells(track: PromptTrack) -> list[str]:
    names = [positive + (f" --neg {negative}" if negative else "") for positive, negative in track.texts]
    return [
        names[a] if w == 0 else f"{1 - w:.3f} {names[a]} | {w:.3f} {names[b]}"
        for a, b, w in zip(track.a.tolist(), track.b.tolist(), track.blend.tolist(), strict=True)
    ]


def timeline(schedule: Schedule, frames: int, fps: float = 12.0, seed: int = 0, width: int = 72) -> str:
    """Bars over the clip's frames: the weight of each prompt, the curve of values, the strength of each picture."""
    width = min(width, frames)
    lines = [_ruler(frames, fps, width)]
    if any(key.prompt is not None for key in schedule.keys):
        track = compile_prompts(schedule, frames, fps, seed, formulas=False)
        for i, (positive, _) in enumerate(track.texts[:20]):
            lines.append(f"{_shaded(track.weights(i), width, _SHADES, 1.0)}  {_short(positive)}")
        if len(track.texts) > 20:
            lines.append(f"(and {len(track.texts) - 20} more prompts)")
    if schedule.what == "value":
        values = compile_values(schedule, frames, fps, seed)
        low, high = float(values.min()), float(values.max())
        lines.append(f"{_shaded(values - low, width, _BARS, high - low)}  {low:.4g} to {high:.4g}")
    for interval in compile_pictures(schedule, frames, fps, seed)[:40]:
        strength = np.zeros(frames)
        strength[interval.start : interval.stop] = interval.strength
        lines.append(f"{_shaded(strength, width, _SHADES, max(1.0, float(strength.max())))}  {interval.picture}")
    return "\n".join(lines)


def _ruler(frames: int, fps: float, width: int) -> str:
    step = max(1, -(-12 * frames // width))
    marks = [" "] * (width + 12)
    for f in range(0, frames, step):
        at, label = f * width // frames, f"|{f}"
        marks[at : at + len(label)] = label
    return f"{''.join(marks).rstrip():<{width}}  frames of {frames} at {fps:g} fps ({frames / fps:.2f} s)"


def _shaded(values: np.ndarray, width: int, signs: str, top: float) -> str:
    """(N,) values 0 .. top as one row of signs; each column shows the mean of its frames."""
    edges = np.linspace(0, len(values), width + 1).round().astype(int)
    means = [float(values[a : max(b, a + 1)].mean()) for a, b in itertools.pairwise(edges)]
    best = len(signs) - 1
    return "".join(
        signs[0 if m <= 1e-9 else max(1, min(best, round(m / top * best)))] if top > 0 else signs[best] for m in means
    )


def _short(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def thumbnails(schedule: Schedule, folder: Path, width: int = 24) -> str:
    """The schedule's pictures as coloured half blocks, for terminals with 24-bit colour; missing files are named."""
    blocks = []
    for picture in dict.fromkeys(key.picture for key in schedule.keys if key.picture):
        path = folder / picture
        if not path.is_file():
            blocks.append(f"{picture}: not found")
            continue
        with opened(path) as image:
            height = max(2, round(width * image.height / image.width) // 2 * 2)
            pixels = np.asarray(image.convert("RGB").resize((width, height)))
        rows = [
            "".join(
                f"\x1b[38;2;{r};{g};{b}m\x1b[48;2;{R};{G};{B}m▀" for (r, g, b), (R, G, B) in zip(top, low, strict=True)
            )
            + "\x1b[0m"
            for top, low in zip(pixels[::2].tolist(), pixels[1::2].tolist(), strict=True)
        ]
        blocks.append("\n".join([picture, *rows]))
    return "\n".join(blocks)


def plot(
    schedule: Schedule, path: Path, frames: int, fps: float = 12.0, seed: int = 0, folder: Path | None = None
) -> None:
    """Draw the timeline into a PNG or SVG file, with thumbnails of the pictures that are found in ``folder``.

    Raises:
        UserError: as the compilers, or a file name that is neither ``.png`` nor ``.svg``.
    """
    from reel.errors import UserError

    if path.suffix.lower() not in (".png", ".svg"):
        raise UserError(f"the picture's name must end in .png or .svg, got '{path.name}'")
    from matplotlib.figure import Figure

    prompted = any(key.prompt is not None for key in schedule.keys)
    prompts = compile_prompts(schedule, frames, fps, seed, formulas=False) if prompted else None
    pictures = compile_pictures(schedule, frames, fps, seed)
    panels = (prompts is not None) + (schedule.what == "value") + bool(pictures)
    figure = Figure(figsize=(11, 0.8 + 2.2 * panels), layout="constrained")
    axes = iter(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])
    if prompts is not None:
        _plot_prompts(next(axes), prompts)
    if schedule.what == "value":
        axis = next(axes)
        values = compile_values(schedule, frames, fps, seed)
        axis.step(np.arange(frames + 1), np.append(values, values[-1]), where="post", color="#24496b")
        axis.set_ylabel("value")
    if pictures:
        _plot_pictures(next(axes), pictures, folder)
    for axis in figure.axes:
        axis.set_xlim(0, frames)
    figure.axes[-1].set_xlabel(f"frame ({fps:g} fps)")
    temporary = path.with_name(f".{path.name}.part{path.suffix}")
    figure.savefig(temporary, dpi=110)
    temporary.replace(path)


def _plot_prompts(axis: Any, track: PromptTrack) -> None:
    labels = [_short(positive, 48).replace("$", r"\$") for positive, _ in track.texts[:SHOWN]]
    rows = [track.weights(i) for i in range(len(labels))]
    if len(track.texts) > SHOWN:
        labels.append(f"{len(track.texts) - SHOWN} more")
        rows.append(1 - np.sum(rows, axis=0))
    stacked = [np.append(row, row[-1]) for row in rows]
    axis.stackplot(
        np.arange(len(track.a) + 1), *stacked, step="post", labels=labels, colors=[*_COLOURS[:SHOWN], "#dddddd"]
    )
    axis.set_ylim(0, 1)
    axis.set_ylabel("prompt weight")
    axis.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize="x-small"
    )  # clear of the frames' labels


def _plot_pictures(axis: Any, intervals: list[PictureInterval], folder: Path | None) -> None:
    names = list(dict.fromkeys(i.picture for i in intervals))
    for interval in intervals:
        row = names.index(interval.picture)
        for a, b, strength in runs(interval.strength):
            axis.barh(row, b - a, left=interval.start + a, height=0.7, alpha=min(1.0, strength), color="#b0672b")
        if folder is not None and (folder / interval.picture).is_file():
            _thumbnail(axis, folder / interval.picture, interval.start, row)
    axis.set_yticks(range(len(names)), [name.replace("$", r"\$") for name in names], fontsize="x-small")
    axis.invert_yaxis()
    axis.set_ylabel("picture")


def _thumbnail(axis: Any, path: Path, at: int, row: int) -> None:
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    with opened(path) as image:
        image.thumbnail((40, 40))
        box = OffsetImage(np.asarray(image.convert("RGB")))
    axis.add_artist(AnnotationBbox(box, (at, row), box_alignment=(0, 0.5), frameon=False))
