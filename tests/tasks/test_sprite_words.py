"""Words that an embedded family does not know, and what a prompt leaves open."""

from __future__ import annotations

import pytest

from tasks.sprite.attributes import CHOICES
from tasks.sprite.captions import plain_caption, random_caption
from tasks.sprite.ltx.words import moves
from tasks.sprite.ltx.words import read as motion_read
from tasks.sprite.ltx.words import unknown as motion_unknown
from tasks.sprite.ltx.words import warnings as motion_warnings
from tasks.sprite.words import left_out, read, unknown, unsaid, warnings

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


def test_what_the_second_half_does_not_know_is_told() -> None:
    told = list(motion_warnings("sprite_ltx", ["The warrior waves her sword"]))
    assert len(told) == 1
    assert told[0].startswith("sprite_ltx does not know, and leaves out: warrior, sword. It knows: stands still, waves")
    (told_of_motion,) = motion_warnings("sprite_ltx", ["a girl in a red top"])
    assert told_of_motion.startswith("the prompt names no motion that sprite_ltx knows, so any may come: ")
    for prompt in ("she waves, slow push-in", "Camera pan to the left.", "he turns his back"):
        assert list(motion_warnings("sprite_ltx", [prompt])) == []


def test_all_that_the_second_half_is_trained_with_is_known() -> None:
    import numpy as np

    from tasks.sprite.attributes import random_attributes
    from tasks.sprite.ltx.captions import random_caption as random_motion_caption
    from tasks.sprite.ltx.motions import ACTIONS, CAMERAS, Motion

    rng = np.random.default_rng(0)
    for number in range(300):
        motion = Motion(ACTIONS[number % len(ACTIONS)], CAMERAS[number % len(CAMERAS)])
        caption = random_motion_caption(motion, random_attributes(rng), rng)
        assert motion_unknown(caption.text) == []
        if caption.labels[0] >= 0:
            assert moves(caption.text)


@pytest.mark.parametrize(
    ("prompt", "left"),
    [
        (
            "a girl with pink hair finds a lantern, on the pier, green background",
            "a girl with pink hair, green background",
        ),
        ("a short-haired woman in a t-shirt, flat cartoon", "a short-haired woman in a t-shirt, flat cartoon"),
        ("a dragon over the sea", ""),
        (
            "portrait of a girl with short brown hair, white background",
            "a girl with short brown hair, white background",
        ),
        ("a girl's lantern, a man who doesn't wave", "a girl, a man"),
        ("女の子 waves", ""),
        ("a girl - in a red top", "a girl in a red top"),
        ("", ""),
    ],
)
def test_a_picture_is_drawn_from_the_known_words(prompt: str, left: str) -> None:
    assert read(prompt, CHOICES) == left


@pytest.mark.parametrize(
    ("prompt", "left"),
    [
        (
            "a girl finds a lantern on an old pier, wide shot. She stands still. Static camera",
            "a girl. She stands still. Static camera",
        ),
        ("The warrior waves her sword; slow push-in!", "waves; slow push-in!"),
        ("A girl, a dragon! She waves", "A girl! She waves"),
        ("A girl. A dragon sleeps. She waves", "A girl. She waves"),
        ("a girl in a blue skirt and an angry woman", "a girl in a blue skirt woman"),
        ("worst quality, inconsistent motion, blurry, jittery, distorted", "worst quality, blurry, distorted"),
    ],
)
def test_a_film_is_made_from_the_known_words(prompt: str, left: str) -> None:
    assert motion_read(prompt) == left


def test_nothing_of_the_training_is_left_out() -> None:
    import numpy as np

    from tasks.sprite.attributes import random_attributes
    from tasks.sprite.ltx.captions import random_caption as random_motion_caption
    from tasks.sprite.ltx.motions import random_motion

    rng = np.random.default_rng(1)
    for _ in range(200):
        for text, left in (
            ((one := random_caption(random_attributes(rng), rng).text), read(one, CHOICES)),
            ((one := random_motion_caption(random_motion(rng), random_attributes(rng), rng).text), motion_read(one)),
        ):
            assert left.replace(" ", "").rstrip(".,!") == text.replace(" ", "").rstrip(".,!")


def test_words_of_other_scripts_and_colours_that_are_not_drawn_are_told() -> None:
    assert motion_unknown("女の子 waves") == ["女の子"]
    told = left_out("it", ["a girl with a hat in a pink top"], FEW)
    assert told.startswith("it does not know, and leaves out: hat; does not draw: pink top. It draws hair short")
    assert left_out("it", ["a girl in a red top"], FEW) == ""
