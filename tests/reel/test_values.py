"""What single values may be, in every settings class: the kinds of value that were taken for something else before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reel.config import Config, Field, LocalPath, Text, parse
from reel.errors import UserError
from reel.values import MOST_CHARACTERS


class Inner(Config):
    share: float = 0.5


class Settings(Config):
    count: int = 1
    share: float = 0.5
    limit: int | None = None
    on: bool = False
    either: bool | int = 0
    name: str = ""
    text: Text = ""
    path: LocalPath = Path()
    mask: LocalPath | None = None
    folders: list[LocalPath] = []
    slots: dict[str, int] = Field(default_factory=dict)
    weights: list[float] | None = None
    bounds: dict[str, float | str] = {}
    pairs: list[list[int]] = []
    parts: dict[str, Inner] = {}
    anything: dict[str, dict[str, Any]] = {}


def told(**values: Any) -> str:
    with pytest.raises(UserError) as caught:
        parse(Settings, values)
    return caught.value.message


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("key", ["count", "share", "limit"])
def test_a_truth_value_is_no_number(key: str, value: bool):
    assert told(**{key: value}) == f"{key}: must be a number, {str(value).lower()} is not one (got {value})"


def test_nor_is_it_one_within_lists_and_mappings():
    assert told(slots={"gpu": True}) == "slots.gpu: must be a number, true is not one (got True)"
    assert told(weights=[1.0, False]) == "weights.1: must be a number, false is not one (got False)"
    assert told(bounds={"flicker.mean": True}).startswith("bounds.flicker.mean: must be a number")
    assert told(pairs=[[1, 2], [3, True]]).startswith("pairs.1.1: must be a number")
    assert told(parts={"a": {"share": True}}).startswith("parts.a.share: must be a number")
    assert told(count=True, share=False).count("must be a number") == 2


def test_truth_values_where_they_belong():
    found = parse(Settings, {"on": True, "either": True, "anything": {"a": {"film": True}}})
    assert (found.on, found.either, found.anything) == (True, True, {"a": {"film": True}})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_every_number_is_finite(value: float):
    assert "share: must be a finite number" in told(share=value)
    assert "count: must be a finite number" in told(count=value)
    assert "weights.1: must be a finite number" in told(weights=[1.0, value])


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**400])
def test_whole_numbers_end_somewhere(value: int):
    message = told(count=value)
    assert message.startswith("count: must lie between -9223372036854775808 and 18446744073709551615")
    assert len(message) < 200
    assert parse(Settings, {"count": 2**64 - 1}).count == 2**64 - 1


def test_a_text_has_no_nul_and_an_end():
    assert "text: holds a NUL (character 4)" in told(text="red\0top")
    assert f"text: has {MOST_CHARACTERS + 1} characters, at most {MOST_CHARACTERS}" in told(
        text="a" * (MOST_CHARACTERS + 1)
    )
    assert len(told(text="a" * 10**6)) < 200
    assert parse(Settings, {"text": "a" * MOST_CHARACTERS}).text == "a" * MOST_CHARACTERS


@pytest.mark.parametrize("key", ["path", "mask", "folders"])
def test_a_path_is_one_that_can_be(key: str):
    def wrong(text: str) -> str:
        return told(**{key: [text] if key == "folders" else text})

    assert "is empty: name a file or folder" in wrong("")
    assert "holds a NUL" in wrong("a\0b")
    assert "a name in the path has 256 bytes, at most 255" in wrong(f"x/{'a' * 256}")
    assert "a name in the path has 256 bytes" in wrong("é" * 128)
    assert "the path has 4096 bytes, at most 4095" in wrong("a/" * 2047 + "ab")
    assert str(parse(Settings, {"path": f"x/{'a' * 255}"}).path) == f"x/{'a' * 255}"


def test_a_group_that_is_none():
    for value in (5, "text", [1], None):
        with pytest.raises(UserError, match="must be a group of keys, each with its value"):
            parse(Settings, value)  # type: ignore[arg-type]
