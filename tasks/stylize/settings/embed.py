"""Settings of the op `embed`: the texts of a render, and the encoder that reads them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import model_validator

from reel.config import Config, Field, Text
from reel.emphasis import parse_emphasis
from reel.models.source import LoraSource, ModelSource
from reel.prompt import check_prompt
from tasks.stylize.settings.compute import Dtype


class Embed(Config):
    """Texts to embeddings."""

    base: ModelSource
    """The family's base model, for its text encoder and tokenizer."""
    architecture: Literal["sd15", "sdxl"] = Field(default="sd15", exclude_if=lambda one: one == "sd15")
    """The family's; SDXL has two encoders. Keys of other renders are those from before there was a choice."""
    base_config: ModelSource | None = None
    """For a base that is one checkpoint file: where its tokenizer and settings come from."""
    loras: list[LoraSource] = Field(default_factory=list)
    """The family's and the style LoRAs: they may change the text encoder."""
    embeddings: dict[str, ModelSource] = Field(default_factory=dict)
    """The textual inversions that the texts name."""
    texts: list[tuple[Text, Text]] = Field(min_length=1)
    """The render's distinct (positive, negative) texts; emphasis as (text:1.2), (text), [text]."""
    clip_skip: int | None = Field(default=None, ge=1, le=11)
    """Layers left out at the text encoder's end."""
    dtype: Dtype = "float32"
    """Number format."""

    @model_validator(mode="after")
    def _readable(self) -> Embed:
        if self.architecture == "sdxl" and (self.loras or self.embeddings or self.base.single):
            raise ValueError("architecture sdxl takes no loras, no embeddings, and no base that is one file")
        for pair in self.texts:
            for text in pair:
                check_text(text, "texts", self.embeddings)
        return self


def check_text(text: str, key: str, embeddings: Collection[str]) -> None:
    """Whether a text is in the syntax that the encoder is given.

    Args:
        key: the setting that holds the text, for the message.
        embeddings: names of the textual inversions that it may use.

    Raises:
        UserError: what is not understood, with its place.
    """
    check_prompt(text, key, embeddings)
    parse_emphasis(text, key)
