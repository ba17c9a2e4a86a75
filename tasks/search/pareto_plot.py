"""The trade-off that a search found, drawn: every trial by its two first numbers, and the front's frames."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from reel.clip import Clip
from reel.search.goals import Goal
from tasks.media.panels import contact_sheet
from tasks.search.optuna_study import Trial

_FRONT, _QUIET, _KNEE = "#2a58c8", "#a9a9b2", "#b4451f"


def plot(trials: Mapping[str, Sequence[Trial]], goals: Sequence[Goal], front: Sequence[int], knee: int) -> bytes:
    """A PNG of the finalists over the two first goals, better to the right and up; the front is joined and listed, its
    knee ringed.

    Args:
        trials: by rung, cheapest first; what was measured on a proxy is drawn small.
        front: numbers of the trials on the front, in the order of the first goal.
    """
    from matplotlib.figure import Figure

    x, y = goals[0], goals[1]
    figure = Figure(figsize=(7, 5), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    *cheaper, full = trials
    for rung, marker in zip(cheaper, ".x", strict=False):
        points = [trial for trial in trials[rung] if not trial.failed]
        axes.scatter(*_columns(points, x, y), s=14, marker=marker, color=_QUIET, label=f"{rung} ({len(points)})")
    finalists = {trial.number: trial for trial in trials[full] if not trial.failed}
    inside = [trial for trial in finalists.values() if trial.violation <= 0]
    outside = [trial for trial in finalists.values() if trial.violation > 0]
    axes.scatter(*_columns(inside, x, y), s=34, color=_FRONT, label=f"in full ({len(inside)})")
    if outside:
        axes.scatter(*_columns(outside, x, y), s=34, facecolors="none", edgecolors=_FRONT, label="beyond a constraint")
    line = [finalists[number] for number in front]
    axes.plot(*_columns(line, x, y), color=_FRONT, linewidth=1, alpha=0.6)
    axes.scatter(
        *_columns([finalists[knee]], x, y), s=110, facecolors="none", edgecolors=_KNEE, linewidths=2, label="knee"
    )
    for goal, invert, text in ((x, axes.invert_xaxis, axes.set_xlabel), (y, axes.invert_yaxis, axes.set_ylabel)):
        text(f"{goal.label or goal.key}: better {'right' if goal is x else 'up'}")
        if not goal.higher:
            invert()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="best")  # where the fewest points lie
    _names(figure, axes, line, knee, (x, y), _columns(inside, x, y))
    return _png(figure)


def sheet(clips: Mapping[str, Clip], columns: int = 8) -> bytes:
    """A PNG with a row of frames for each trial on the front."""
    return contact_sheet(clips, columns, thumb=112)


def _names(figure: Any, axes: Any, front: Sequence[Trial], knee: int, goals: tuple[Goal, Goal], others: Any) -> None:
    """The front's numbers beside their points, where none covers another, and their settings in a list."""
    from adjustText import adjust_text
    from matplotlib.lines import Line2D

    title = ", ".join(key.removesuffix(".weight").rpartition(".")[2] for key in front[0].point)
    figure.legend([Line2D([], [])] * len(front), [_name(trial) for trial in front], loc="outside right upper",
                  title=f"front: {title}", handlelength=0, handletextpad=0, frameon=False, fontsize=8)  # fmt: skip
    figure.draw_without_rendering()  # settles the layout: numbers are placed on what will be seen
    x, y = (goal.key for goal in goals)
    style = {trial.number: _KNEE if trial.number == knee else "#1b1b1e" for trial in front}
    numbers = [
        axes.text(trial.values[x], trial.values[y], str(trial.number), fontsize=8, color=style[trial.number])
        for trial in front
    ]
    line = {"arrowstyle": "-", "color": _QUIET, "lw": 0.6}
    adjust_text(numbers, *others, ax=axes, expand=(1.6, 2.0), arrowprops=line, iter_lim=500)  # not by the clock


def _columns(trials: Sequence[Trial], x: Goal, y: Goal) -> tuple[list[float], list[float]]:
    return [trial.values[x.key] for trial in trials], [trial.values[y.key] for trial in trials]


def _name(trial: Trial) -> str:
    return f"{trial.number}: " + ", ".join(f"{value:g}" for value in trial.point.values())


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
