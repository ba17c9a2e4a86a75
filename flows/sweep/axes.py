"""What a sweep's command line spans: its settings (``sweep.*``), its axes and its points.

Keys that vary together are named by ``sweep.paired=[a,b]`` and are one axis. The points stand in the order of Hydra's
basic sweeper, the last axis varying fastest; they are run in another one (`run_order`).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.config import hydra_private
from flows.config.compose import part
from flows.config.diagnose import is_hydras
from flows.config.root import Root
from flows.sweep.settings import Sweep
from reel.canonical import canonical
from reel.config import Config, counts, parse
from reel.content import with_content
from reel.errors import UserError, suggest
from reel.files import canonical_json, sha256_bytes
from reel.history.sweep_files import Axis

_RELOAD = (
    r"model$|model\.(?!loras)",  # the base model, its motion module, its ControlNets
    r"compute\.dtype",
    r".*\bloras\b",
    r".*\b(vae|ip_adapter)\b",
    r"control$|controls\..*\.kind",
    r"clip$|extract\b|preprocess\b|controls\..*\.preprocess",  # no model of the renderer, but detectors
)
"""What a change of a key costs, the dearest first; everything else (weights, seeds, prompts) costs nothing."""


MOST_POINTS = 10_000
"""Of a sweep: each is composed and checked before the first one runs."""


@dataclass(frozen=True)
class Combination:
    """A point: its overrides, and the text of the value by key of every axis."""

    overrides: tuple[str, ...]
    values: Mapping[str, str]


@dataclass(frozen=True)
class Span:
    """All that the overrides of a sweep span."""

    axes: tuple[Axis, ...]
    points: tuple[Combination, ...]


@dataclass(frozen=True)
class _Choices:
    """What one override may be: one text for a setting, several for an axis."""

    key: str
    texts: tuple[str, ...]
    values: tuple[str, ...]
    swept: bool


def is_sweeps(one: Any) -> bool:
    """Whether a parsed override sets the sweep's own part (``sweep.plan``)."""
    return bool(one.key_or_group == "sweep" or one.key_or_group.startswith("sweep."))


def is_own(one: Any) -> bool:
    """Whether a parsed override is Hydra's or the sweep's, and so is not handed on to the points."""
    return is_hydras(one) or is_sweeps(one)


def settings(cfg: Any) -> Sweep:
    """The sweep's settings in a composed config; the defaults where its root takes in no ``sweep`` group.

    Raises:
        UserError: a wrong key or value.
    """
    return parse(Sweep, part(cfg, "sweep"), "sweep")


def span(parsed: Sequence[Any], pairs: Sequence[Sequence[str]] = ()) -> Span:
    """Axes and points of parsed overrides (Hydra's and the sweep's own left out).

    Raises:
        UserError: an axis without values, given twice or with a value twice, or pairs that do not fit.
    """
    _check_size(parsed, pairs)
    found: dict[str, _Choices] = {}
    for one in parsed:
        key = one.key_or_group
        choices = _choices(one)
        if key in found and (choices.swept or found[key].swept):
            raise UserError(f"{key} is given twice, and it is an axis", fix=f"put all values into one: {key}=a,b,c")
        found[key] = choices
    groups = _grouped(found, pairs)
    axes = [_axis([found[key] for key in group]) for group in groups if found[group[0]].swept]
    points = []
    for steps in itertools.product(*(range(len(found[group[0]].texts)) for group in groups)):
        picked = {key: step for group, step in zip(groups, steps, strict=True) for key in group}
        points.append(
            Combination(
                tuple(one.texts[picked[key]] for key, one in found.items()),
                {key: one.values[picked[key]] for key, one in found.items() if one.swept},
            )
        )
    return Span(tuple(axes), tuple(points))


def _check_size(parsed: Sequence[Any], pairs: Sequence[Sequence[str]]) -> None:
    """Count what is asked for before any of it is made: a range may have a thousand million values."""
    counts = {one.key_or_group: _count(one) for one in parsed if one.is_discrete_sweep()}
    joined = {key: pair[0] for pair in pairs for key in pair}
    lengths: dict[str, int] = {}
    for key, count in counts.items():
        axis = joined.get(key, key)
        lengths[axis] = max(lengths.get(axis, 1), count)
    if (points := math.prod(lengths.values())) > MOST_POINTS:
        told = ", ".join(f"{key} has {count}" for key, count in counts.items())
        raise UserError(
            f"the sweep would have {points} points, at most {MOST_POINTS} are possible ({told})",
            fix="fewer values, or a larger step: key=range(start,stop,step)",
        )


def _count(one: Any) -> int:
    """Number of an axis's values; glob(*) is one of the files that there are."""
    values = one.value()
    return len(getattr(values, "list", [values]))


def identity(root: Root[Any], parsed: Sequence[Any], pairs: Sequence[Sequence[str]]) -> list[str]:
    """The overrides that make the sweep what it is; the same ones, in any order, go on with it."""
    kept = [one.input_line for one in parsed if one.is_sweep_override() or counts(root.cls, one.key_or_group)]
    return kept + [f"sweep.paired=[{','.join(sorted(pair))}]" for pair in sorted(map(tuple, pairs))]


def digest(config: Config) -> str:
    """Digest of what a point's result is made of: its settings and the content of the files that they name."""
    return sha256_bytes(canonical_json(with_content(type(config), config.result_part())))


def run_order(axes: Sequence[Axis], points: Sequence[Mapping[str, str]]) -> list[int]:
    """Numbers of the points in the order to run them: what is dear to change (a model) changes least often.

    Args:
        points: text of the value by key of every axis.
    """
    ranked = sorted(axes, key=lambda axis: min(map(_reload, axis.keys)))  # stable: the user's order within one price
    steps = [{key: axis.values.index(key) for key in axis.values} for axis in ranked]

    def place(index: int) -> tuple[int, ...]:
        values = points[index]
        return tuple(step[tuple(values[key] for key in axis.keys)] for axis, step in zip(ranked, steps, strict=True))

    return sorted(range(len(points)), key=place)


def _reload(key: str) -> int:
    return next((price for price, pattern in enumerate(_RELOAD) if re.match(pattern, key)), len(_RELOAD))


def _choices(one: Any) -> _Choices:
    key = one.key_or_group
    if not one.is_delete() and one.input_line.endswith("="):  # a text may be empty: it is quoted then
        raise _no_values(one)
    if not one.is_sweep_override():
        [(text, _)] = hydra_private.split(one)
        return _Choices(key, (text,), ("",), swept=False)
    if not one.is_discrete_sweep():
        raise UserError(
            f"{one.input_line}: an interval has no points of its own",
            fix=f"{key}=range(start,stop,step) or {key}=a,b,c",
        )
    found = hydra_private.split(one)
    if not found:
        raise _no_values(one)
    texts, values = tuple(text for text, _ in found), tuple(_shown(value) for _, value in found)
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise UserError(f"{one.input_line}: {twice} is given twice", fix="name each value once")
    return _Choices(key, texts, values, swept=True)


def _no_values(one: Any) -> UserError:
    key = one.key_or_group
    return UserError(
        f"{one.input_line}: an axis without values", fix=f"{key}=a,b,c or {key}=range(start,stop,step); or leave it out"
    )


def _shown(value: Any) -> str:
    """A value of the override grammar as people read it: quotes and escapes taken off, 0.6000000000000001 as 0.6."""
    if (text := hydra_private.quoted_text(value)) is not None:
        return text.replace("\\${", "${")
    if isinstance(value, float):
        return str(canonical(value))
    if isinstance(value, list):
        return f"[{','.join(map(_shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _grouped(found: Mapping[str, _Choices], pairs: Sequence[Sequence[str]]) -> list[list[str]]:
    """Keys that vary together, in the order of the first of them."""
    axes = [key for key, one in found.items() if one.swept]
    partner: dict[str, list[str]] = {}
    for pair in pairs:
        for key in pair:
            if key not in axes:
                raise UserError(
                    f"sweep.paired: {key!r} is not an axis of this sweep{suggest(key, axes)}",
                    fix=f"axes: {', '.join(axes)}" if axes else "give each key its values: key=a,b,c",
                )
            if key in partner:
                raise UserError(
                    f"sweep.paired: {key} is named twice", fix="put all keys that vary together in one list"
                )
            partner[key] = list(pair)
        lengths = {key: len(found[key].texts) for key in pair}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{key} has {count}" for key, count in lengths.items())
            raise UserError(
                f"sweep.paired: paired axes need as many values each; {told}",
                fix="give each the same number of values; the first goes with the first, and so on",
            )
        if len(pair) < 2:
            raise UserError("sweep.paired: a pair takes two axes or more", fix="sweep.paired=[first.key,second.key]")
    groups: list[list[str]] = []
    for key in found:
        if not any(key in group for group in groups):
            groups.append([name for name in found if name in partner.get(key, [key])])
    return groups


def _axis(members: Sequence[_Choices]) -> Axis:
    return Axis(
        keys=tuple(one.key for one in members),
        values=tuple(zip(*(one.values for one in members), strict=True)),
    )
