"""Captions say what their labels claim, and the tokenizer knows their words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.sprite.attributes import CHOICES, Attributes, random_attributes
from tasks.sprite.captions import (
    BOTTOM_WORDS,
    FACE,
    HAIR_WORDS,
    NOT_SAID,
    plain_caption,
    random_caption,
    vocabulary,
)

NAMES = list(CHOICES)


def many(count=400):
    rng = np.random.default_rng(4)
    for _ in range(count):
        attributes = random_attributes(rng)
        yield attributes, random_caption(attributes, rng)


def test_labels_are_the_attributes_or_not_said():
    seen = dict.fromkeys(NAMES, 0)
    for attributes, caption in many():
        said = caption.labels != NOT_SAID
        np.testing.assert_array_equal(caption.labels[said], attributes.to_indices()[said])
        for name in np.array(NAMES)[said]:
            seen[name] += 1
    assert all(count > (60 if name in ("skin", *FACE) else 240) for name, count in seen.items())  # mostly said,
    assert all(count < 400 for count in seen.values())  # and each is sometimes left out


def test_what_is_said_stands_in_the_text():
    for attributes, caption in many():
        said = dict(zip(NAMES, caption.labels != NOT_SAID, strict=True))
        words = caption.text.replace(",", " ").split()
        if said["hair_color"]:
            assert any(word in words for word in HAIR_WORDS[attributes.hair_color])
        if said["hair_length"]:
            assert attributes.hair_length in words
        assert said["bottom"] == any(word in words for word in sum(BOTTOM_WORDS.values(), ()))
        if not said["hair_length"] and not said["hair_color"]:
            assert "hair" not in words


def test_wordings_differ():
    rng = np.random.default_rng(0)
    attributes = Attributes("long", "pink", "red", "skirt", "blue", "green", "light")
    texts = {random_caption(attributes, rng).text for _ in range(200)}
    assert len(texts) > 180
    whole = "a dancer with long pink hair, open eyes, closed mouth, red top, blue skirt, green background"
    assert plain_caption(attributes) == whole
    known = {name: values for name, values in CHOICES.items() if name not in FACE}
    assert plain_caption(attributes, known) == "a dancer with long pink hair, red top, blue skirt, green background"
    dress = replace(attributes, bottom="dress", top_color="blue")
    assert plain_caption(dress, known) == "a dancer with long pink hair, blue dress, green background"


def test_a_family_is_asked_for_nothing_that_it_does_not_know():
    """Captions of one that draws no face, no dress and no red hair name none of them."""
    known = {name: values for name, values in CHOICES.items() if name not in FACE}
    known |= {"hair_color": ("black", "blonde", "pink", "blue"), "bottom": ("trousers", "skirt")}
    rng = np.random.default_rng(2)
    for _ in range(300):
        caption = random_caption(random_attributes(rng, known), rng, known)
        assert len(caption.labels) == len(known)
        assert not {"eyes", "mouth", "dress", "gown", "ginger"} & set(caption.text.replace(",", " ").split())


def test_more_is_left_out_where_it_is_asked_for():
    rng = np.random.default_rng(3)
    attributes = Attributes("long", "pink", "red", "skirt", "blue", "green", "light")
    background = NAMES.index("background")
    said = [np.mean([random_caption(attributes, rng, leave_out=chance).labels[background] >= 0 for _ in range(300)])
            for chance in (0.08, 0.5)]  # fmt: skip
    assert said[0] > 0.85
    assert 0.4 < said[1] < 0.6


@pytest.fixture(scope="module")
def tokenizer():
    from tasks.sprite.tokenizer import build_tokenizer

    return build_tokenizer()


def test_each_word_is_one_token_and_unknown_words_are_bytes(tokenizer, tmp_path):
    from transformers import CLIPTokenizer

    words = [word for word in vocabulary() if word.isalpha()]
    assert len(words) > 120
    assert [word for word in words if len(tokenizer(word).input_ids) != 3] == []
    ids = tokenizer("zebrafish ünter 42").input_ids
    assert tokenizer.unk_token_id not in ids[1:-1]
    tokenizer.save_pretrained(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path)
    assert again("a girl with long pink hair").input_ids == tokenizer("a girl with long pink hair").input_ids
    assert again.model_max_length == 77


def test_every_caption_fits(tokenizer):
    longest = max(len(tokenizer(caption.text).input_ids) for _, caption in many())
    assert 20 < longest <= 77
