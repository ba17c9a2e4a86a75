"""Property tests: fixed examples in the suite, random ones in the search, which leaves none of them out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.property_search import files


def test_every_run_draws_the_same_examples():
    drawn: list[list[int]] = []

    @settings(max_examples=20)
    @given(st.lists(st.integers()))
    def draw(numbers: list[int]) -> None:
        drawn.append(numbers)

    draw()
    first = len(drawn)
    draw()
    assert drawn[:first] == drawn[first:]


def test_the_search_runs_every_property_test(request: pytest.FixtureRequest):
    found = {str(item.path) for item in request.session.items if item.get_closest_marker("hypothesis")}
    assert found <= set(files())
