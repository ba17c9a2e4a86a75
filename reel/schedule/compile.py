"""Compiles a schedule to arrays: pairs of prompts with a weight, values, and pictures as sparse intervals."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reel.errors import UserError
from reel.schedule.expressions import Expression, parse_expression
from reel.schedule.model import Key, Schedule
from reel.schedule.plan import Plan, make_plan
from reel.schedule.texts import TextPair, Texts, checked


@dataclass(frozen=True)
class PromptTrack:
    """Prompts of N frames: frame f is ``texts[a[f]]`` mixed with ``texts[b[f]]``, the latter by ``blend[f]``."""

    texts: tuple[TextPair, ...]
    """The distinct (positive, negative) texts, in order of first use."""
    a: np.ndarray
    """(N,) int: index into ``texts``."""
    b: np.ndarray
    """(N,) int: index into ``texts``; equal to ``a`` where nothing is mixed."""
    blend: np.ndarray
    """(N,) float, 0..1: weight of ``b``."""
    mixing: Literal["lerp", "slerp"] = "lerp"

    def weights(self, text: int) -> np.ndarray:
        """(N,) float: weight of one of the texts at each frame."""
        return np.where(self.a == text, 1.0 - self.blend, 0.0) + np.where(self.b == text, self.blend, 0.0)

    def describe(self) -> str:
        """What shows when, in short: ``0-11: red top; 12-23: red top > blue top; 24-47: blue top``."""
        rows = [
            (positive if weight == 0 else f"{positive} > {after}")
            for (positive, _), (after, _), weight in self._named()
        ]
        starts = [0, *(f for f in range(1, len(rows)) if rows[f] != rows[f - 1])]
        ends = [*starts[1:], len(rows)]
        return "; ".join(f"{a}-{b - 1}: {rows[a]}" for a, b in zip(starts, ends, strict=True))

    def same(self, other: PromptTrack, tolerance: float = 1e-9) -> bool:
        """The two give the same texts with the same weights at every frame."""
        if len(self.a) != len(other.a):
            return False
        left, right = self._named(), other._named()
        return all(
            x[0] == y[0] and abs(x[2] - y[2]) <= tolerance and (x[1] == y[1] or max(x[2], y[2]) <= tolerance)
            for x, y in zip(left, right, strict=True)
        )

    def _named(self) -> Iterator[tuple[TextPair, TextPair, float]]:
        for a, b, w in zip(self.a.tolist(), self.b.tolist(), self.blend.tolist(), strict=True):
            yield self.texts[a], self.texts[b], w


@dataclass(frozen=True)
class PictureInterval:
    """A picture that is active on the frames ``start`` .. ``stop`` - 1."""

    picture: str
    start: int
    stop: int
    strength: np.ndarray
    """(stop - start,) float: strength at each frame, transitions included."""
    by: str | None = None
    """What holds the clip to it, one of `reel.schedule.model.BY`; None: as the renderer is set."""


def compile_prompts(
    schedule: Schedule, frames: int, fps: float = 12.0, seed: int = 0, *, formulas: bool = True
) -> PromptTrack:
    """Prompts per frame.

    Args:
        frames: number of frames N.
        fps: frames per second; needed by keys in seconds.
        seed: value of ``s`` in expressions.
        formulas: False leaves those in backticks as they are written: for showing, not for rendering.

    Raises:
        UserError: the schedule has no prompts, no key in the clip, or an expression undefined at some frame.
    """
    keyed = [key for key in schedule.keys if key.prompt is not None]
    if not keyed:
        raise UserError("this schedule has no prompts")
    plan = make_plan(schedule.with_keys(tuple(keyed)), frames, fps, seed)
    texts = Texts(plan, formulas)
    a = texts.at(plan.index)
    b = np.where(plan.weight > 0, texts.at(plan.target), a)
    blend = np.where(a == b, 0.0, plan.weight)
    a, b, blend = np.where(blend >= 1, b, a), b, np.where(blend >= 1, 0.0, blend)
    return PromptTrack(*_compact(texts.table, a, np.where(blend > 0, b, a)), blend, schedule.mixing)


def _compact(
    table: list[TextPair], a: np.ndarray, b: np.ndarray
) -> tuple[tuple[TextPair, ...], np.ndarray, np.ndarray]:
    """Only the texts that are used, numbered in order of first use."""
    both = np.stack([a, b], axis=1).ravel()
    used, first = np.unique(both, return_index=True)
    used = used[np.argsort(first)]
    number = np.zeros(len(table), dtype=np.int64)
    number[used] = np.arange(len(used))
    return tuple(table[i] for i in used), number[a], number[b]


def compile_values(schedule: Schedule, frames: int, fps: float = 12.0, seed: int = 0) -> np.ndarray:
    """Values per frame.

    A key's own value is computed at every frame that it holds; a transition mixes it with the value that the next key
    has on its first frame.

    Returns: (N,) float64.

    Raises:
        UserError: the schedule has no values, no key in the clip, or an expression undefined at some frame.
    """
    keyed = [key for key in schedule.keys if key.value is not None]
    if not keyed:
        raise UserError("this schedule has no values")
    plan = make_plan(schedule.with_keys(tuple(keyed)), frames, fps, seed)
    return _values(plan, lambda key: key.value or _ONE, outside=schedule.outside)


_ONE = parse_expression("1")


def _values(plan: Plan, formula_of: Callable[[Key], Expression], outside: float | None = None) -> np.ndarray:
    formulas = [formula_of(key) for key in plan.keys]
    own = _own_values(plan, formulas)
    moving = np.flatnonzero(plan.weight > 0)
    if len(moving):
        arrival = _arrivals(plan, formulas, np.unique(plan.target[moving]))
        weight = plan.weight[moving]
        own[moving] = own[moving] * (1 - weight) + arrival[plan.target[moving]] * weight
    if outside is not None:
        own = np.where((plan.at >= plan.start[plan.index]) & (plan.at < plan.stop[plan.index]), own, outside)
    return own


def _own_values(plan: Plan, formulas: list[Expression]) -> np.ndarray:
    """(N,) value of each frame's own key. Frames of equal formulas are computed together."""
    texts: dict[str, int] = {}
    number = np.array([texts.setdefault(formula.text, len(texts)) for formula in formulas])
    first = {texts[formula.text]: formula for formula in reversed(formulas)}
    constant = np.array([formulas[i].constant for i in range(len(formulas))])
    fixed = np.array([float(f.evaluate({"t": 0.0})) if f.constant else 0.0 for f in formulas])
    if not np.isfinite(fixed).all():
        raise UserError(f"'{formulas[int(np.flatnonzero(~np.isfinite(fixed))[0])].text}' is not a number")
    result = fixed[plan.index]
    live = np.flatnonzero(~constant[plan.index])
    order = live[np.argsort(number[plan.index[live]], kind="stable")]
    if len(order):
        for group in np.split(order, np.flatnonzero(np.diff(number[plan.index[order]])) + 1):
            formula = first[int(number[plan.index[group[0]]])]
            result[group] = checked(formula, formula.evaluate(plan.env(group)), group)
    return result


def _arrivals(plan: Plan, formulas: list[Expression], keys: np.ndarray) -> np.ndarray:
    """(K,) value that each of the given keys has on its first frame; 0 for the others."""
    result = np.zeros(len(plan.keys))
    for key in keys.tolist():
        at = plan.start[key : key + 1]
        result[key] = checked(formulas[key], formulas[key].evaluate(plan.env(at)), at)[0]
    return result


def compile_pictures(schedule: Schedule, frames: int, fps: float = 12.0, seed: int = 0) -> list[PictureInterval]:
    """Pictures as intervals in order of time; memory grows with the frames that show a picture, never N x K.

    A range shows its picture on its own frames; a transition fades it out while the next one fades in.

    Raises:
        UserError: no key in the clip, or a strength undefined or negative at some frame.
    """
    if not schedule.has_pictures:
        return []
    plan = make_plan(schedule, frames, fps, seed)
    pieces: dict[int, list[tuple[int, int, np.ndarray]]] = {}
    for first, after in _runs(plan):
        span = np.arange(first, after)
        key, target, weight = int(plan.index[first]), int(plan.target[first]), plan.weight[first:after]
        if _shows(plan, key, first):
            pieces.setdefault(key, []).append((first, after, _own(plan, key, span) * (1 - weight)))
        if target != key:
            pieces.setdefault(target, []).append((first, after, _own(plan, target, span) * weight))
    intervals = [interval for key, parts in pieces.items() for interval in _joined(plan.keys[key], parts)]
    return sorted(intervals, key=lambda interval: (interval.start, interval.stop))


def _runs(plan: Plan) -> Iterator[tuple[int, int]]:
    """Stretches of frames with the same key and target, wholly before, inside or after the key's own range."""
    begun = plan.at >= plan.start[plan.index]
    over = plan.at >= np.maximum(plan.stop, plan.held + 1)[plan.index]
    part = begun.astype(int) + over
    change = (np.diff(plan.index) != 0) | (np.diff(plan.target) != 0) | (np.diff(part) != 0)
    edges = [0, *(np.flatnonzero(change) + 1).tolist(), plan.frames]
    yield from itertools.pairwise(edges)


def _shows(plan: Plan, key: int, first: int) -> bool:
    """A key shows its picture from its start, on its range or while it fades; a single place: until the next key."""
    at = int(plan.at[first])
    if at < plan.start[key]:
        return False
    moving = bool(plan.weight[first] > 0)
    return moving or plan.keys[key].until is None or at < max(int(plan.stop[key]), int(plan.held[key]) + 1)


def _own(plan: Plan, key: int, span: np.ndarray) -> np.ndarray | float:
    formula = plan.keys[key].strength or _ONE
    if formula.root.op == "num":
        return float(formula.root.value)
    values = checked(formula, formula.evaluate(plan.env(span)), span)
    if (values < 0).any():
        raise UserError(f"strength '{formula.text}' is negative at frame {int(span[int(np.argmax(values < 0))])}")
    return values


def _joined(key: Key, parts: list[tuple[int, int, np.ndarray]]) -> Iterator[PictureInterval]:
    """Touching pieces of one key as one interval; pieces without a picture or without strength vanish."""
    if key.picture is None:
        return
    groups: list[list[tuple[int, int, np.ndarray]]] = []
    for part in sorted(parts, key=lambda p: p[0]):
        if groups and groups[-1][-1][1] == part[0]:
            groups[-1].append(part)
        else:
            groups.append([part])
    for group in groups:
        strength = np.concatenate([p[2] for p in group])
        if strength.any():
            yield PictureInterval(key.picture, group[0][0], group[-1][1], strength, key.by)
