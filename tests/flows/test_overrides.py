"""Overrides read without Hydra's parser: whatever is read must be what Hydra reads."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.config.overrides import quoted, read
from tests.examples import examples

PARSER = OverridesParser.create()


def hydras(text: str) -> tuple[Any, ...] | None:
    try:
        [one] = PARSER.parse_overrides([text])
    except HydraException:
        return None
    told = (one.type.name, one.key_or_group, one.package, one.input_line, one.is_sweep_override())
    return (*told, None if one.is_sweep_override() else repr(one.value()))


def ours(text: str) -> tuple[Any, ...] | None:
    one = read(text)
    if one is None:
        return None
    return (one.type.name, one.key_or_group, one.package, one.input_line, False, repr(one.value()))


PLAIN = [
    "seed=3",
    "seed=",
    "seed=-0",
    "seed=007",
    "seed=1_000",
    "seed=1__000",
    "strength=.5",
    "strength=1.",
    "strength=1e-3",
    "strength=1_0.2_5e+1",
    "strength=-inf",
    "strength=NaN",
    "flag=TrUe",
    "flag=null",
    "clip=/tmp/a_b-c.mp4",
    "extract.start=1:30.5",
    "model=sd15",
    "experiment=dance/new_character",
    "hydra/launcher=ray",
    "control=[pose,lineart]",
    "control=[]",
    "sizes=[1,2.5,null,true,a/b]",
    "prompt='a, (b:1.2) \\${c}'",
    "prompt='it\\'s \\\\\\'so\\\\'",
    "prompt=''",
    "key=?|*@%$+-./:",
]
"""Everything that a person types every day: all of it must be read here, or it is read slowly."""


@pytest.mark.parametrize("text", PLAIN)
def test_plain_forms_are_read_as_hydra_reads_them(text: str):
    assert ours(text) is not None
    assert ours(text) == hydras(text)


@pytest.mark.parametrize(
    "text",
    ["seed=1,2", "seed=range(1,3)", "seed=${x}", "+seed=1", "~seed", "seed = 1", "a={b: 1}", "a@b=c", "seed",
     "a=[1,[2]]", "prompt='a' 'b'", "prompt='a", "prompt=\"a\"", "a=b\\,c", "1a=2", "loras.0.weight=1", "a.=1",
     "seed=\u0663", "a= b", "a=[b, c]", "a=[b,]", "control=[a]b", "a='b'c", "a=:", ""],
)  # fmt: skip
def test_other_forms_are_left_to_hydra(text: str):
    assert read(text) is None


PIECES = st.sampled_from(
    [
        *"0123456789abeEinfNau._-+/$%*@?|:[],='\\\" \t{}()~\n",
        "null",
        "true",
        "inf",
        "nan",
        "\\'",
        "''",
        "${",
        "1e5",
        "é",
    ]
)
KEYS = st.sampled_from(
    ["seed", "a.b", "hydra/launcher", "a-b.c_d", "a.0", "_x", "a/b.c", "", "$a", "a@b", "+a", "null", "1"]
)


@settings(max_examples=examples(3000), deadline=None)
@given(KEYS, st.lists(PIECES, max_size=8).map("".join))
def test_whatever_is_read_is_what_hydra_reads(key: str, value: str):
    text = f"{key}={value}"
    if (told := ours(text)) is not None:
        assert told == hydras(text)


@settings(max_examples=examples(1000), deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_quoted_text_is_hydras_and_is_read_back(text: str):
    assert quoted(text) == QuotedString(text, Quote.single).with_quotes()
    one = read(f"prompt={quoted(text)}")
    assert one is not None
    assert one.value() == text
    assert ours(f"prompt={quoted(text)}") == hydras(f"prompt={quoted(text)}")
