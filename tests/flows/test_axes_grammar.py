"""The grammar of a sweep's axes against a reference of a few lines: what is written is what the points are."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.config import hydra_private
from flows.config.diagnose import parse_overrides
from flows.config.engine import Engine, hydra_ready
from flows.config.root import Root
from tests.flows import demo


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTOSCOPE_ROOT", str(tmp_path_factory.mktemp("place")))
        with hydra_ready(Root("demo", demo.Demo, Path(demo.__file__).parent / "demo_conf")) as ready:
            yield ready


WHOLE = st.integers(-40, 40).map(str)
DECIMAL = st.builds(
    lambda units, digits, exponent: f"{units / 10**digits:.{digits}f}" + ("e-1" if exponent else ""),
    st.integers(-4000, 4000),
    st.integers(1, 3),
    st.booleans(),
)
NUMBER = WHOLE | DECIMAL
FORMS = ("{}", "choice({})", "tag(x,choice({}))")
"""Of a choice."""


def reference(start: str, stop: str, step: str) -> list[Fraction]:
    """start, start + step, ... while below stop, in exact arithmetic."""
    value, end, by = (Fraction(text) for text in (start, stop, step))
    found = []
    while (value < end if by > 0 else value > end) and len(found) < 3000:
        found.append(value)
        value += by
    return found


@st.composite
def ranges(draw: st.DrawFn) -> tuple[str, list[Fraction]]:
    """A range as text, and what it holds."""
    start, stop = draw(NUMBER), draw(NUMBER)
    steps = NUMBER.filter(lambda text: Fraction(text) != 0)
    step = draw(steps.filter(lambda text: abs((Fraction(stop) - Fraction(start)) / Fraction(text)) < 200))
    form = draw(st.sampled_from(["range({},{},{})", "range({}, {}, {})", "range(start={},stop={},step={})"]))
    return form.format(start, stop, step), reference(start, stop, step)


def axis(engine: Engine, text: str) -> list[Any]:
    """The values of an axis; each is an override of its own that reads back as that value."""
    [one] = parse_overrides(engine, [f"strength={text}"])
    found = hydra_private.split(one)
    for override, value in found:
        [again] = parse_overrides(engine, [override])
        assert again.value() == (hydra_private.quoted_text(value) or value)
        assert not again.is_sweep_override()
    return [value for _, value in found]


SEARCH = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@SEARCH
@given(ranges())
def test_a_range_holds_what_its_numbers_say(engine: Engine, one: tuple[str, list[Fraction]]) -> None:
    text, expected = one
    assert axis(engine, text) == [float(value) for value in expected]


@SEARCH
@given(ranges(), st.sampled_from(["", ",reverse=true", ",reverse=false"]))
def test_sorting_a_range_sorts_what_it_holds(engine: Engine, one: tuple[str, list[Fraction]], order: str) -> None:
    text, expected = one
    found = sorted(map(float, expected), reverse=order.endswith("true"))
    assert axis(engine, f"sort({text}{order})") == found


@SEARCH
@given(ranges())
def test_shuffling_a_range_keeps_its_values_and_their_names(engine: Engine, one: tuple[str, list[Fraction]]) -> None:
    """A shuffled axis was read twice, in two orders: one for the points, one for what they were called."""
    text, expected = one
    assert sorted(axis(engine, f"shuffle({text})")) == sorted(map(float, expected))


@SEARCH
@given(
    st.lists(NUMBER, min_size=2, max_size=6, unique_by=Fraction),
    st.sampled_from(["{}", "choice({})", "tag(x,choice({}))"]),
)
def test_a_choice_holds_its_values_in_their_order(engine: Engine, texts: list[str], form: str) -> None:
    expected = [float(Fraction(text)) for text in texts]
    assert axis(engine, form.format(",".join(texts))) == expected
    assert axis(engine, f"sort({', '.join(texts)},reverse=true)") == sorted(expected, reverse=True)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("range(0.1,0.4,0.1)", [0.1, 0.2, 0.3]),
        ("range(0.2,1.0,0.2)", [0.2, 0.4, 0.6, 0.8]),
        ("range(0,1,0.1)", [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
        ("range(1.1,0.8,-0.1)", [1.1, 1.0, 0.9]),
        ("range(3)", [0, 1, 2]),
        ("sort(range(0,1,0.3),reverse=true)", [0.9, 0.6, 0.3, 0.0]),
        ("sort(range(0,10,3),reverse=true)", [9, 6, 3, 0]),
        ("sort(range(9,-1,-3))", [0, 3, 6, 9]),
        ("float(range(1,4))", [1.0, 2.0, 3.0]),
        ("choice('a, b',c)", ["a, b", "c"]),
        ("[pose],[pose,lineart]", [["pose"], ["pose", "lineart"]]),
        ("true,false", [True, False]),
        ("null,1", [None, 1]),
    ],
)
def test_axes_as_people_write_them(engine: Engine, text: str, values: list[Any]) -> None:
    found = axis(engine, text)
    assert [hydra_private.quoted_text(value) or value for value in found] == values
    assert [type(value) for value in found if isinstance(value, int | float)] == [
        type(value) if text != "range(0,1,0.1)" and "0.3" not in text else float
        for value in values
        if isinstance(value, int | float)
    ]
