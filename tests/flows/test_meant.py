"""What somebody meant who typed a name of another tool, a flag, or a text without its quotes."""

from __future__ import annotations

import shlex

import pytest

from flows.config.meant import check_words, flag, nearest, written
from flows.config.quoting import TextKey
from reel.errors import UserError

KNOWN = ["clip", "seed", "prompt", "negative_prompt", "extract.fps", "stylize.num_inference_steps", "paths.output",
         "model.advice.num_inference_steps", "stylize.windows.context_length", "controls.pose.weight", "stylize",
         "extract", "controls.pose"]  # fmt: skip
TEXTS = [TextKey(("prompt",), is_path=False, optional=False), TextKey(("clip",), is_path=True, optional=False)]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("steps", "stylize.num_inference_steps"),
        ("stylize.steps", "stylize.num_inference_steps"),
        ("model.advice.steps", "model.advice.num_inference_steps"),
        ("weight", "controls.pose.weight"),
        ("context", "stylize.windows.context_length"),
        ("out", "paths.output"),
        ("sed", "seed"),
    ],
)
def test_the_nearest_key(typed: str, meant: str) -> None:
    assert nearest(typed, KNOWN)[0] == meant


def test_nothing_is_near() -> None:
    assert nearest("xyzzy", KNOWN) == []


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("--steps", "20", "stylize.num_inference_steps=20"),
        ("--seed=3", "", "seed=3"),
        ("--negative-prompt", "a, b", 'negative_prompt="a, b"'),
        ("-o", "out.mp4", "paths.output=out; the film in it is movie.mp4"),
        ("--multrun", "", "--help shows the usage"),
    ],
)
def test_a_flag_that_is_a_setting(name: str, value: str, fix: str) -> None:
    assert flag(name, value, KNOWN, ["--multirun", "-m"]).fix == fix


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("prompt=a girl with red hair", 'prompt="a girl with red hair"'),
        ("clip=my video.mp4 seed=3", 'clip="my video.mp4"'),
        ("seed=3 my.mp4", "clip=my.mp4"),
        ("prompt=$5 or so", "prompt='$5 or so'"),
        ("seed=3 dance", "write a key in front of it, such as seed=3; --help lists the keys"),
    ],
)
def test_words_that_set_nothing(line: str, fix: str) -> None:
    with pytest.raises(UserError, match="not of the form key=value") as error:
        check_words(line.split(" "), TEXTS, lambda: "clip")
    assert error.value.fix == fix


def test_what_sets_something_is_let_through() -> None:
    check_words(["prompt=a girl, in red", "~local", "seed=1,2"], TEXTS, lambda: "clip")


@pytest.mark.parametrize("value", ["a b", "it's", 'say "hi"', "$HOME (x)", "a\\b", "5%"])
def test_a_fix_can_be_pasted_into_a_shell(value: str) -> None:
    assert shlex.split(written("prompt", value)) == [f"prompt={value}"]
