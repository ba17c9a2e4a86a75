"""Prompt syntax of other programs is refused with its place; text stays text."""

from __future__ import annotations

import contextlib

import pytest

from reel.emphasis import parse_emphasis
from reel.errors import UserError
from reel.prompt import check_prompt

REFUSED = [
    ("a [cat:dog:0.5] hat", "[cat:dog:0.5]", "[ ]"),
    ("[cat|dog]", "[cat|dog]", "[ ]"),
    ("one BREAK two", "BREAK", "BREAK"),
    ("dance <lora:ghibli:0.8> night", "<lora:ghibli:0.8>", "LoRA"),
    ("<lora:x", "<lora:x", "LoRA"),
    ("style <cat-toy> ", "<cat-toy>", "tag"),
    ("embedding:EasyNegative, ugly", "embedding:EasyNegative", "textual inversion"),
    ("a {red|green} coat", "{red|green}", "random choice"),
    ("__color__ hair", "__color__", "wildcard"),
    ("space ship::2 stars", "::2", "::"),
    ("a man --ar 16:9", "--ar", "option"),
]
TEXT = [
    "a dancer (on the left), smiling",
    "f(x) and g(y) at 10:30",
    "a girl in a (red:1.2) dress, ((masterpiece)), a [blue] hat",
    r"a \(red:1.2\) label",
    r"\[blue\] sign",
    "i <3 you, 3 > 2",
    "breakdance, BREAKING news",
    "1girl, long hair, it's 1984, null",
    "ratio 16:9, c++, rock-and-roll -- live",
    "踊る女の子、夕焼け (東京) 🎬",
    "${oc.env:HOME}",
    "snake_case and __ alone",
]


@pytest.mark.parametrize(("text", "part", "name"), REFUSED)
def test_refused_with_its_place_and_a_caret_under_it(text: str, part: str, name: str) -> None:
    with pytest.raises(UserError) as caught:
        check_prompt(text, "prompt")
    message = caught.value.message
    first, line, carets = message.splitlines()
    at = text.index(part)
    assert first.startswith("prompt: ")
    assert name in first
    assert f"character {at + 1} " in first
    assert line[carets.index("^") : carets.rindex("^") + 1] == part
    assert caught.value.fix


@pytest.mark.parametrize("text", TEXT)
def test_plain_text_passes(text: str) -> None:
    check_prompt(text, "prompt")


def test_the_first_of_several_is_named() -> None:
    with pytest.raises(UserError, match=r"character 3 "):
        check_prompt("a [b|c] <d> BREAK", "prompt")


def test_lines_are_counted_and_long_lines_cut_around_the_place() -> None:
    text = "first line\n" + "word " * 60 + "[red:blue:2]" + " word" * 60
    with pytest.raises(UserError) as caught:
        check_prompt(text, "negative_prompt")
    first, line, carets = caught.value.message.splitlines()
    assert "negative_prompt" in first
    assert "line 2, character 301" in first
    assert len(line) < 110
    assert line[carets.index("^") : carets.rindex("^") + 1] == "[red:blue:2]"


def test_carets_stand_under_wide_characters() -> None:
    with pytest.raises(UserError) as caught:
        check_prompt("東京 [x|y]", "prompt")
    _, line, carets = caught.value.message.splitlines()
    assert carets.index("^") == line.index("[") + 2  # two characters of two columns before it


def test_escaped_brackets_are_text() -> None:
    (phrase,) = parse_emphasis(r"a \(red:1.2\) \[b\] C:\dir \n")
    assert phrase.text == r"a (red:1.2) [b] C:\dir \n"
    assert phrase.weight == 1


@pytest.mark.parametrize(("text", "bracket"), [("smile :)", ")"), ("a (b", "("), ("東京 [x", "["), ("(a]", "]")])
def test_a_bracket_without_its_partner_is_refused_with_its_place(text: str, bracket: str) -> None:
    with pytest.raises(UserError, match="has no partner") as caught:
        parse_emphasis(text, "negative_prompt")
    assert caught.value.message.startswith(f"negative_prompt: {bracket!r} at character {text.index(bracket) + 1} ")
    assert f"\\{bracket}" in str(caught.value.fix)


def test_a_textual_inversion_that_is_there_is_text():
    check_prompt("embedding:EasyNegative, (embedding:a.b-c:1.2), ugly", "prompt", {"EasyNegative", "a.b-c"})
    with pytest.raises(UserError, match=r"there are: EasyNegative") as caught:
        check_prompt("embedding:easynegative", "prompt", {"EasyNegative"})
    assert "stylize.embeddings={easynegative:" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("text", "at", "wrong"),
    [
        ("(girl:nan)", 7, "'nan'"),
        ("a (girl: -INF) b", 10, "'-INF'"),
        ("(girl:1e5)", 7, "'1e5'"),
        ("(girl:1,2)", 7, "'1,2'"),
        ("(girl:1.2.3)", 7, "'1.2.3'"),
        ("(girl:120%)", 7, "'120%'"),
        ("(girl:)", 7, "''"),
        ("(girl:11)", 7, "'11'"),
        ("(girl:-11)", 7, "'-11'"),
        (f"(girl:{'9' * 45})", 7, f"'{'9' * 45}'"),
        (f"(girl:{'9' * 400})", 7, "'9999"),
    ],
)
def test_what_stands_for_a_weight_and_is_none_is_refused_with_its_place(text: str, at: int, wrong: str) -> None:
    with pytest.raises(UserError, match="is not a weight: a number from -10 to 10") as caught:
        parse_emphasis(text, "prompt")
    assert caught.value.message.startswith(f"prompt: {wrong}")
    assert f"at character {at} is not a weight" in caught.value.message


@pytest.mark.parametrize("text", ["a girl: smiling", "title: nancy", "ratio: two", "nan: infinite"])
def test_a_colon_before_words_is_text(text: str) -> None:
    assert "".join(phrase.text for phrase in parse_emphasis(f"({text})")) == text
    assert "".join(phrase.text for phrase in parse_emphasis(rf"\({text}:nan\)")) == f"({text}:nan)"


def test_weights_that_brackets_multiply_up() -> None:
    (phrase,) = parse_emphasis("(((girl:2)))")
    assert phrase.weight == pytest.approx(2 * 1.1**2)
    with pytest.raises(UserError, match=r"its brackets give 'girl' a weight of 45.3, at most 10"):
        parse_emphasis("(" * 40 + "girl" + ")" * 40)
    with pytest.raises(UserError, match=r"its brackets give 'girl' a weight of 81, at most 10"):
        parse_emphasis("((girl:9):9)")
    with pytest.raises(UserError, match="brackets stand more than 50 deep in one another at character 51"):
        parse_emphasis("(" * 9000 + "girl" + ")" * 9000)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["[:", "{|", "/__a", "<", "[::::::::", "(", "\\", "embedding:", "_", ":"])
def test_no_text_of_the_greatest_length_takes_long(piece: str) -> None:
    text = piece * (20_000 // len(piece))
    for read in (check_prompt, parse_emphasis):
        with contextlib.suppress(UserError):
            read(text, "prompt")
