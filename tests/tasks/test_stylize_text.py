"""The words of a render: long texts, unknown words, emphasis."""

from __future__ import annotations

import pytest

from reel import op
from reel.compute import Compute
from reel.errors import UserError
from reel.store import Store
from tests.tasks.tiny_family import LIMIT
from tests.tasks.tiny_render import inputs, render, stylized
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_text_longer_than_the_encoder_loses_nothing(world: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    long = "abcdefghij " * 3 + "the end"
    context = op.Context(world, Compute(device="cpu", threads=1))
    digest = stylized(world, settings(controls={}, prompt=long), inputs(world, 2), context)
    assert context.facts["prompt_tokens"][0] == len(long.replace(" ", "")) > LIMIT  # one letter a token
    assert "encoded in 2 pieces" in caplog.text
    assert digest != render(world, 2, controls={}, prompt=f"{long}s")  # the last letter counts


def test_words_that_the_vocabulary_lacks_are_said(world: Store, caplog: pytest.LogCaptureFixture) -> None:
    render(world, 2, controls={}, prompt="a \u732b dancer")
    assert "not in the model's vocabulary" in caplog.text


def test_emphasis_changes_the_picture_and_escaped_brackets_are_text(world: Store) -> None:
    plain = render(world, prompt="a red hat")
    assert render(world, prompt="a (red:1.0) hat") == plain
    assert render(world, prompt="a (red:1.5) hat") != plain
    assert render(world, prompt=r"a \(red\) hat") != plain


def test_negative_words_that_nothing_reads_are_told(caplog: pytest.LogCaptureFixture) -> None:
    settings(negative_prompt="blurred", guidance_scale=4.0)
    settings(guidance_scale=1.0)
    assert "not read" not in caplog.text
    assert settings(negative_prompt="blurred", guidance_scale=1.0).embed.texts == [("a dancer", "")]
    assert "negative_prompt: its negative words are not read" in caplog.text


def test_negative_words_that_nothing_reads_must_be_sound_all_the_same() -> None:
    with pytest.raises(UserError, match="negative_prompt: 'nan' at character 4 is not a weight"):
        settings(negative_prompt="(x:nan)", guidance_scale=1.0)
