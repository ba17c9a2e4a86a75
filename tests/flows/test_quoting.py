"""Text is literal: hostile prompts and file names come out of Hydra and OmegaConf byte for byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flows.config.quoting import TextKey, hydra_quoted, literal_overrides, split_choice, text_keys, unmarked
from reel.config import TEXT, Config, Text
from reel.errors import UserError
from tests.examples import examples
from tests.flows.hostile import HOSTILE

PROMPT = TextKey(("prompt",), is_path=False, optional=False)
CLIP = TextKey(("clip",), is_path=True, optional=False)
MASK = TextKey(("mask",), is_path=True, optional=True)
KEYS = [PROMPT, CLIP, MASK]
PARSER = OverridesParser.create()


def read_back(override: str) -> Any:
    """What a config holds after Hydra's parser, its sweeper (which writes overrides anew) and OmegaConf."""
    parsed = PARSER.parse_overrides([override])
    assert not parsed[0].is_sweep_override()
    again = PARSER.parse_override(BasicSweeper.split_arguments(parsed, None)[0][0][0])
    assert again.value() == parsed[0].value()
    cfg = OmegaConf.create({again.key_or_group: None})
    cfg[again.key_or_group] = again.value()
    return unmarked(OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True), KEYS)[again.key_or_group]


def given_text(override: str, *, multirun: bool = False) -> Any:
    return read_back(literal_overrides([override], KEYS, multirun=multirun)[0])


def test_there_are_at_least_thirty_hostile_texts():
    assert len(set(HOSTILE)) >= 30


@pytest.mark.parametrize("multirun", [False, True])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_literal(text, multirun):
    if text == "@":
        assert given_text(f"clip={text}", multirun=multirun) == text
    else:
        assert given_text(f"prompt={text}", multirun=multirun) == text
    assert given_text(f"clip=/tmp/{text}.mp4", multirun=multirun) == f"/tmp/{text}.mp4"


FRAGMENTS = st.sampled_from(
    [*"\\'\"${}[](),=:?@#~a1 \n\t\r", "${", "\\'", "${oc.env:HOME}", "null", "\ue000", "é", "😀"]
)
TEXTS = st.lists(FRAGMENTS, max_size=20).map("".join) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=examples(500), deadline=None)
@given(TEXTS)
def test_any_text_survives(text):
    assert read_back(f"prompt={hydra_quoted(text)}") == text


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_any_quoted_choice_items_survive(texts):
    items = ", ".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    [override] = literal_overrides([f"prompt=choice({items})"], KEYS, multirun=True)
    points = BasicSweeper.split_arguments(PARSER.parse_overrides([override]), None)[0]
    assert [read_back(point[0]) for point in points] == texts


def choices(value: str) -> list[str]:
    [override] = literal_overrides([f"prompt={value}"], KEYS, multirun=True)
    return [read_back(point[0]) for point in BasicSweeper.split_arguments(PARSER.parse_overrides([override]), None)[0]]


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("choice(a dancer, a diver)", ["a dancer", "a diver"]),
        ("choice((red:1.2) girl, [blue, green] boy)", ["(red:1.2) girl", "[blue, green] boy"]),
        ("choice('a, b', \"c, d\")", ["a, b", "c, d"]),
        ("choice(1984, null, ${oc.env:HOME})", ["1984", "null", "${oc.env:HOME}"]),
        ("choice(it's, that's)", ["it's", "that's"]),
        ('choice("", x)', ["", "x"]),
        ("choice( only one )", ["only one"]),
    ],
)
def test_choice_is_an_axis_of_literal_items(value, items):
    assert choices(value) == items


@pytest.mark.parametrize("value", ["choice(a, b", "choice(a), b)", "choice(a,,b)", "choice()", "choice(a,)"])
def test_broken_choice_is_explained(value):
    with pytest.raises(UserError, match=r"prompt=choice\(\.\.\.\)"):
        split_choice("prompt", value)


def test_choice_in_a_single_run_asks_for_multirun():
    with pytest.raises(UserError, match="axis of a sweep") as caught:
        literal_overrides(["prompt=choice(a,b)"], KEYS, multirun=False)
    assert "-m" in caught.value.fix


def test_backslash_takes_the_meaning_away():
    assert given_text("prompt=\\@file.txt") == "@file.txt"
    assert given_text("prompt=\\\\@file.txt") == "\\@file.txt"
    assert given_text("prompt=\\choice(a, b)") == "choice(a, b)"
    assert given_text("prompt=\\n stays") == "\\n stays"


def test_file_gives_the_text(tmp_path):
    path = tmp_path / "p (1).txt"
    path.write_bytes("\ufeffa ${b}, 'c'\nsecond line  \r\n".encode())
    assert given_text(f"prompt=@{path}") == "a ${b}, 'c'\nsecond line  "
    assert choices(f"choice(@{path}, other)") == ["a ${b}, 'c'\nsecond line  ", "other"]


def test_at_is_literal_in_a_path():
    assert given_text("clip=@x.mp4") == "@x.mp4"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("absent.txt", None, "no such file"),
        ("latin.txt", "caf\xe9".encode("latin-1"), "not UTF-8 at byte 3"),
    ],
)
def test_unreadable_file_is_named(tmp_path, name, data, said):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=said) as caught:
        given_text(f"prompt=@{tmp_path / name}")
    assert name in caught.value.message


def test_a_folder_is_no_text_file(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        given_text(f"prompt=@{tmp_path}")


@pytest.mark.timeout(20)
def test_a_file_that_never_ends_is_no_text_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(UserError, match=f"prompt=@{name}: is not a regular file"):
            given_text(f"prompt=@{name}")


@pytest.mark.timeout(20)
def test_a_text_that_is_too_long_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "long.txt").write_text("red top, " * 155_556)  # 1.4 MB
    with pytest.raises(UserError, match=r"long.txt: has 1400004 bytes, at most 80000 are read"):
        given_text(f"prompt=@{tmp_path / 'long.txt'}")
    with pytest.raises(UserError, match="prompt: has 20001 characters, at most 20000 are taken"):
        given_text("prompt=" + "a" * 20_001)
    assert given_text("prompt=" + "a" * 20_000) == "a" * 20_000


def test_what_no_text_and_no_path_can_be(tmp_path):
    (tmp_path / "nul.txt").write_bytes(b"red\0top")
    with pytest.raises(UserError, match=r"prompt: holds a NUL \(character 4\)"):
        given_text(f"prompt=@{tmp_path / 'nul.txt'}")
    with pytest.raises(UserError, match="clip: a name in the path has 5000 bytes, at most 255"):
        given_text("clip=" + "a" * 5000)
    with pytest.raises(UserError, match=r"prompt=@a+\.\.\.a+: a name in the path has 5000 bytes, at most 255"):
        given_text("prompt=@" + "a" * 5000)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(UserError, match=r"clip: character 4 is not valid UTF-8"):
        given_text("clip=bad\udcff.mp4")


def test_an_empty_optional_path_is_none():
    assert given_text("mask=") is None
    assert given_text("prompt=") == ""


class Inner(Config):
    note: Text
    file: Path | None = None
    number: int = 0


class Outer(Config):
    prompt: Text
    maybe: Text | None = None
    marked: Annotated[str, TEXT] = ""
    name: str = ""
    clip: Path
    inner: Inner
    many: dict[str, Inner]
    either: Inner | None = None


def test_text_keys_are_found_in_a_class():
    found = {".".join(key.path): (key.is_path, key.optional) for key in text_keys(Outer)}
    assert found == {
        "prompt": (False, False),
        "maybe": (False, True),
        "marked": (False, False),
        "clip": (True, False),
        "inner.note": (False, False),
        "inner.file": (True, True),
        "many.*.note": (False, False),
        "many.*.file": (True, True),
        "either.note": (False, False),
        "either.file": (True, True),
    }


def test_only_text_keys_are_quoted():
    keys = text_keys(Outer)
    given = ["name=a", "inner.number=1,2", "many.x.note=a,b", "+inner.note=a,b", "many.note=a,b", "~prompt"]
    assert literal_overrides(given, keys, multirun=True) == [
        "name=a",
        "inner.number=1,2",
        "many.x.note='a,b'",
        "+inner.note='a,b'",
        "many.note=a,b",
        "~prompt",
    ]
