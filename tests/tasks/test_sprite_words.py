"""Words that an embedded family does not know, and what a prompt leaves open."""

from __future__ import annotations

import pytest

from tasks.sprite.attributes import CHOICES
from tasks.sprite.captions import plain_caption, random_caption
from tasks.sprite.words import unknown, unsaid, warnings

FEW = {**{name: values for name, values in CHOICES.items() if name not in ("eyes", "mouth")},
       "hair_color": ("black", "blonde", "pink", "blue"), "bottom": ("trousers", "skirt")}  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a girl with long pink hair in a red top and a blue skirt, green background, dancing", []),
        ("masterpiece, best quality, 1girl, dark-haired, grey background, white t-shirt, jeans", []),
        ("long red hair", ["red hair"]),
        ("red, long hair", []),  # the comma parts them
        ("a warrior in a red coat", ["warrior", "coat"]),
        ("a purple top and a blue dress", ["purple", "dress"]),
        ("a pink top", ["pink top"]),
        ("closed eyes", ["eyes"]),
    ],
)
def test_unknown_words(prompt: str, words: list[str]) -> None:
    assert unknown(prompt, FEW) == words


def test_all_that_is_drawn_is_known() -> None:
    import numpy as np

    from tasks.sprite.attributes import random_attributes

    rng = np.random.default_rng(0)
    for _ in range(300):
        attributes = random_attributes(rng)
        assert unknown(random_caption(attributes, rng).text, CHOICES) == []
        assert unsaid(f"{plain_caption(attributes)}, {attributes.skin} skin", CHOICES) == []


def test_what_a_prompt_leaves_open() -> None:
    assert unsaid("a girl with long pink hair in a red top, blue skirt, light skin", FEW) == ["the background"]
    assert list(warnings("sprite", ["long pink hair, red top, blue skirt, green background"], FEW)) == [], (
        "the skin alone is left out by most"
    )
