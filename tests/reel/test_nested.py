"""Nested plain data."""

from __future__ import annotations

import pytest

from reel.nested import at, flat, keys, mapped, placed

DATA = {"a": 1, "b": {"c": [1, {"d": "x"}], "e": {}, "f": {"g": None}}}


@pytest.mark.parametrize(
    ("key", "value"),
    [("a", 1), ("b.e", {}), ("b.f.g", None), ("b.c", [1, {"d": "x"}]), ("b.x", None), ("a.b", None), ("b.c.1", None)],
)
def test_at(key: str, value: object):
    assert at(DATA, key) == value


def test_placed_makes_a_copy():
    made = placed(DATA, {"b.f.g": 2, "b.new": 3})
    assert (made["b"]["f"], made["b"]["new"]) == ({"g": 2}, 3)
    assert DATA["b"]["f"] == {"g": None}
    with pytest.raises(KeyError):
        placed(DATA, {"none.x": 1})


def test_flat_and_keys():
    assert dict(flat(DATA)) == {"a": 1, "b.c": [1, {"d": "x"}], "b.e": {}, "b.f.g": None}
    assert list(keys(DATA)) == ["a", "b", "b.c", "b.e", "b.f", "b.f.g"]
    assert [*flat({}), *keys({})] == []


def test_mapped_tells_the_way_to_each_value():
    seen = {}

    def change(path, value):
        seen[".".join(path)] = value
        return value

    assert mapped(DATA, change) == DATA
    assert seen == {"a": 1, "b.c.0": 1, "b.c.1.d": "x", "b.f.g": None}
    assert mapped((1, 2), lambda path, value: value * 2) == [2, 4]
