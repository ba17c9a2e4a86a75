"""The walk through a settings class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest

from reel.config import TEXT, Config, Marker, Text, leaves, parse, places, tag, told_apart
from reel.errors import UserError

ELSEWHERE = Marker("elsewhere")


class Inner(Config):
    words: Text = ""
    number: int = 0


class Tree(Config):
    own: Tree | None = None
    plain: int = 0
    file: Path | None = None
    note: Text | None = None
    either: Inner | Path = Path("x")
    named: dict[str, Inner | None] = {}
    options: Mapping[str, dict[str, Any]] = {}
    listed: list[Inner] = []
    values: list[float] = []
    away: Annotated[Inner, ELSEWHERE] = Inner()


def test_every_place_of_a_class():
    found = {place.key: place for place in places(Tree)}
    assert list(found) == [
        "own",
        "plain",
        "file",
        "note",
        "either",
        "either.words",
        "either.number",
        "named",
        "named.*",
        "named.*.words",
        "named.*.number",
        "options",
        "options.*",
        "options.*.*",
        "listed",
        "listed.[]",
        "listed.[].words",
        "listed.[].number",
        "values",
        "away",
        "away.words",
        "away.number",
    ]
    inner = [key for key, place in found.items() if place.inner]
    assert inner == ["either", "named", "named.*", "options", "options.*", "listed", "listed.[]", "away"]
    assert [leaf.key for leaf in leaves(Tree)] == [key for key in found if key not in inner]
    assert found["file"].annotation == Path | None
    assert found["options.*.*"].annotation is Any
    assert found["named.*.words"].field is Inner.model_fields["words"]
    assert found["named.*"].field is Tree.model_fields["named"]


def test_markers_hold_for_all_that_stands_under_a_field():
    marked = {place.key: {marker.name for marker in place.markers} for place in places(Tree) if place.markers}
    assert marked == {
        "note": {"text"},
        "either.words": {"text"},
        "named.*.words": {"text"},
        "listed.[].words": {"text"},
        "away": {"elsewhere"},
        "away.words": {"elsewhere", "text"},
        "away.number": {"elsewhere"},
    }
    assert TEXT in next(place for place in leaves(Tree) if place.key == "note").markers


def test_a_place_is_found_by_names_and_numbers():
    by_key = {place.key: place for place in places(Tree)}
    assert by_key["named.*.words"].matches(["named", "anything", "words"])
    assert not by_key["named.*.words"].matches(["named", "anything"])
    assert by_key["named.*.words"].begins(["named", "anything"])
    assert not by_key["named.*.words"].begins(["named", "anything", "number"])
    assert by_key["listed.[].words"].matches(["listed", "3", "words"])
    assert not by_key["listed.[].words"].matches(["listed", "x", "words"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"plaim": 1}, "unknown key 'plaim'; nearest: plain"),
        ({"away": {"nmber": 1}}, "unknown key 'away.nmber'; nearest: number"),
        ({"named": {"x": {"word": 1}}}, "unknown key 'named.x.word'; nearest: words"),
        ({"listed": [{"word": 1}]}, "unknown key 'listed.0.word'; nearest: words"),
    ],
)
def test_a_wrong_key_is_told_with_its_nearest_neighbours(data: dict[str, Any], message: str):
    with pytest.raises(UserError) as error:
        parse(Tree, data)
    assert error.value.message == message


class Round(Config):
    radius: float = 1


class Square(Config):
    side: float = 1
    inner: Round | None = None


def _shape(data: Mapping[str, Any]) -> type[Config]:
    return Square if "side" in data else Round


class Drawn(Config):
    shape: Annotated[Annotated[Round, tag(Round)] | Annotated[Square, tag(Square)], told_apart(_shape)]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"side": 1, "radius": 2}, "unknown key 'shape.radius'; known: side, inner"),
        ({"radus": 2}, "unknown key 'shape.radus'; nearest: radius"),
        ({"side": 1, "inner": {"side": 1}}, "unknown key 'shape.inner.side'; known: radius"),
    ],
)
def test_a_key_of_another_class_of_a_union_is_not_called_known(shape: dict[str, Any], message: str):
    with pytest.raises(UserError) as caught:
        parse(Drawn, {"shape": shape})
    assert caught.value.message == message
