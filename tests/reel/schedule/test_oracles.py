"""Each dialect's meaning against a frame-by-frame model of its tool, written from the tool's rules alone."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reel.schedule.compile import PromptTrack, compile_prompts, compile_values
from reel.schedule.read import parse
from tests.examples import examples

N = st.integers(2, 40)
KEYS = st.dictionaries(st.integers(0, 44), st.sampled_from(["a", "b", "c", "d e", "f, g"]), min_size=1, max_size=6)
Weights = dict[str, float]


def weights_at(track: PromptTrack, f: int) -> Weights:
    result: Weights = {}
    for text, weight in ((track.a[f], 1 - track.blend[f]), (track.b[f], track.blend[f])):
        if weight > 0:
            name = track.texts[text][0]
            result[name] = result.get(name, 0.0) + float(weight)
    return result


def mix(a: str, b: str, share: float) -> Weights:
    if a == b or share <= 0:
        return {a: 1.0}
    return {a: 1 - share, b: share}


def same(track: PromptTrack, frames: list[Weights]) -> None:
    for f, expected in enumerate(frames):
        assert weights_at(track, f) == pytest.approx(expected, abs=1e-9), f"frame {f}"


def fizz(keys: dict[int, str], n: int) -> list[Weights]:
    """Sorted keys; a copy of the first at 0, of the last at N; straight steps of 1 / distance."""
    rows = sorted(keys.items())
    if rows[0][0] != 0:
        rows.insert(0, (0, rows[0][1]))
    if rows[-1][0] < n:
        rows.append((n, rows[-1][1]))
    out: list[Weights] = [{} for _ in range(n)]
    for (k0, p0), (k1, p1) in itertools.pairwise(rows):
        for f in range(k0, min(k1, n)):
            out[f] = mix(p0, p1, (f - k0) / (k1 - k0))
    return out


@settings(max_examples=examples(1000), deadline=None, database=None)
@given(KEYS, N)
def test_fizznodes(keys: dict[int, str], n: int) -> None:
    text = ",\n".join(f'"{k}": "{p}"' for k, p in keys.items())
    schedule = parse(text, "fizz").schedule
    assert schedule is not None
    same(compile_prompts(schedule, n), fizz(keys, n))


def webui(keys: dict[int, str], n: int) -> list[Weights]:
    order = list(keys)
    out = []
    for f in range(n):
        before, after = order[0], order[-1]
        for k in order:
            if k > f:
                after = k
                break
            before = k
        back, ahead = f - before, after - f
        back, ahead = back + n * (back < 0), ahead + n * (ahead < 0)
        out.append(
            {keys[before]: 1.0}
            if before == after or not back + ahead
            else mix(keys[before], keys[after], back / (back + ahead))
        )
    return out


@settings(max_examples=examples(1000), deadline=None, database=None)
@given(KEYS, N)
def test_webui(keys: dict[int, str], n: int) -> None:
    keys = {k: p for k, p in sorted(keys.items()) if k < n} or {0: "a"}
    schedule = parse("\n".join(["head", *(f"{k}: {p}" for k, p in keys.items()), "tail"]), "webui").schedule
    assert schedule is not None
    same(compile_prompts(schedule, n), webui({k: f"head, {p}, tail" for k, p in keys.items()}, n))


def travel(keys: dict[int, str], ratio: float, n: int) -> list[Weights]:
    """Keys below N; each repeated where its hold ends; then every frame between its neighbours around the circle."""
    rows = dict(sorted((k, p) for k, p in keys.items() if k < n))
    places = list(rows)
    for k0, k1 in zip(places, [*places[1:], n], strict=True):
        end = k0 + round((k1 - k0) * ratio)
        end -= end == k1
        if end != k0:
            rows[end] = rows[k0]
    rows = dict(sorted(rows.items()))
    order, out = list(rows), []
    for f in range(n):
        before, after = order[-1], order[0]
        for k in order:
            if k > f:
                after = k
                break
            before = k
        back, ahead = f - before, after - f
        back, ahead = back + n * (back < 0), ahead + n * (ahead < 0)
        out.append(
            {rows[before]: 1.0}
            if before == after or not back + ahead
            else mix(rows[before], rows[after], back / (back + ahead))
        )
    return out


@settings(max_examples=examples(1000), deadline=None, database=None)
@given(KEYS, st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]), N)
def test_prompt_travel(keys: dict[int, str], ratio: float, n: int) -> None:
    keys = {**keys, min(min(keys), n - 1): "first"}
    schedule = parse(
        json.dumps({"prompt_map": {str(k): p for k, p in keys.items()}, "prompt_fixed_ratio": ratio}), "travel"
    ).schedule
    assert schedule is not None
    same(compile_prompts(schedule, n), travel(keys, ratio, n))


def evolved(pairs: list[tuple[int, str, bool]], n: int) -> list[Weights]:
    """Pairs in order; each step mixes the frame before with the next prompt by the share of the way."""
    out: list[Weights | None] = [None] * n
    for f in range(min(pairs[0][0] + 1, n)):
        out[f] = {pairs[0][1]: 1.0}
    for (k0, p0, hold), (k1, p1, _) in itertools.pairwise(pairs):
        left = 1.0
        for f in range(k0 + 1, min(k1, n - 1) + 1):
            left *= 1 - (f - k0) / (k1 - k0)
            out[f] = {p1: 1.0} if f == k1 else {p0: 1.0} if hold else mix(p0, p1, 1 - left)
    last: Weights = {}
    for f in range(n):
        last = out[f] or ({pairs[-1][1]: 1.0} if f > pairs[-1][0] else last)
        out[f] = last
    return [frame or {} for frame in out]


@settings(max_examples=examples(1000), deadline=None, database=None)
@given(KEYS, st.integers(0, 2**6 - 1), N)
def test_animatediff_evolved(keys: dict[int, str], holds: int, n: int) -> None:
    rows = sorted(keys.items())
    pairs = [(k, p, bool(holds >> i & 1)) for i, (k, p) in enumerate(rows)]
    schedule = parse(
        ", ".join(f'{k}{":" if hold else ""} = "{p}"' for k, p, hold in pairs), "evolved", "prompt"
    ).schedule
    assert schedule is not None
    same(compile_prompts(schedule, n), evolved(pairs, n))


@settings(max_examples=examples(500), deadline=None, database=None)
@given(
    st.dictionaries(
        st.integers(1, 44),
        st.integers(-40, 40).map(lambda n: n / 8) | st.sampled_from(["t*2", "max_f-t", "5-t%3"]),
        max_size=5,
    ),
    N,
)
def test_value_schedules(rest: dict[int, float | str], n: int) -> None:
    keys: dict[int, float | str] = {0: 0.5, **rest}
    out = np.full(n, np.nan)
    current: float | str = 0.5
    formulas = {"t*2": lambda t: t * 2, "max_f-t": lambda t: n - 1 - t, "5-t%3": lambda t: 5 - t % 3}
    for f in range(n):
        current = keys.get(f, current)
        if isinstance(current, str):
            out[f] = formulas[current](f)
        elif f in keys:
            out[f] = current
    known = np.flatnonzero(~np.isnan(out))
    expected = np.interp(np.arange(n), known, out[known])
    text = ", ".join(f"{k}:({v!r})" if isinstance(v, float) else f"{k}:({v})" for k, v in keys.items())
    schedule = parse(text, "fizz-value").schedule
    assert schedule is not None
    np.testing.assert_allclose(compile_values(schedule, n), expected, atol=1e-9)


@settings(max_examples=examples(500), deadline=None, database=None)
@given(
    st.lists(
        st.tuples(st.integers(-40, 40), st.integers(1, 6), st.sampled_from([0.25, 0.5, 1.0])), min_size=1, max_size=4
    ),
    N,
)
def test_latent_keyframes(entries: list[tuple[int, int, float]], n: int) -> None:
    entries = sorted(({e[0] % n: (e[0] % n, *e[1:]) for e in entries}).values())
    kept, free = [], 0
    for a, length, strength in entries:  # overlapping entries have no defined order in the tool
        if a >= free:
            kept.append((a, min(a + length, n), strength))
            free = a + length
    expected = np.zeros(n)
    for a, b, strength in kept:
        expected[a:b] = strength
    schedule = parse(", ".join(f"{a}:{b} = {s}" for a, b, s in kept), "latent").schedule
    assert schedule is not None
    np.testing.assert_array_equal(compile_values(schedule, n), expected)
