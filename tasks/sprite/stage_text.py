"""Stage `text`: the text encoder learns to state every attribute of a caption before it meets a picture.

A linear reading of each attribute (with a class "not said") must be possible from any position after the text's end:
what the UNet's cross-attention then needs is a linear map instead of a grammar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.sprite.attributes import CHOICES, Choices, random_attributes
from tasks.sprite.captions import Caption, random_caption, random_empty
from tasks.sprite.diffusion import token_ids
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.networks import TEXT_WIDTH, build_text_encoder

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer


class TextStage:
    """Loss and check of the text encoder's warm start."""

    def __init__(self, tokenizer: CLIPTokenizer, batch: int, encoder: CLIPTextModel | None = None,
                 choices: Choices = CHOICES) -> None:  # fmt: skip
        self.tokenizer, self.batch, self.choices = tokenizer, batch, choices
        self.sizes = [len(values) + 1 for values in choices.values()]  # the last class: not said
        self.encoder = encoder or build_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
        self.heads = nn.Linear(TEXT_WIDTH, sum(self.sizes))

    def stage(self) -> Stage:
        return Stage("text", {"text_encoder": self.encoder, "heads_embedding": self.heads}, self.loss, self.check)

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        logits, targets, after = self._read(self._captions(draw.rng, self.batch))
        total = sum(
            functional.cross_entropy(part[after], target[:, None].expand(after.shape)[after])
            for part, target in zip(logits, targets, strict=True)
        )
        assert isinstance(total, Tensor)
        return total, {}

    def check(self, step: int) -> dict[str, float]:
        """Share of right readings at the last position, worst attribute and mean, on 512 fresh captions."""
        logits, targets, _ = self._read(self._captions(np.random.default_rng([7, 7]), 512))
        right = [float((part[:, -1].argmax(-1) == t).float().mean()) for part, t in zip(logits, targets, strict=True)]
        return {"right_worst": min(right), "right_mean": float(np.mean(right))}

    def _captions(self, rng: np.random.Generator, count: int) -> list[Caption]:
        known = self.choices
        drawn = [random_caption(random_attributes(rng, known), rng, known) for _ in range(count)]
        return [random_empty(rng, known) if rng.random() < 0.05 else caption for caption in drawn]

    def _read(self, captions: list[Caption]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        ids = token_ids(self.tokenizer, [c.text for c in captions]).to(self.encoder.device)
        hidden = self.encoder(ids).last_hidden_state  # (B, 77, 96)
        labels = torch.from_numpy(np.stack([caption.labels for caption in captions])).to(ids.device)
        targets = [torch.where(labels[:, i] < 0, size - 1, labels[:, i]) for i, size in enumerate(self.sizes)]
        after = ids == self.tokenizer.eos_token_id  # the end and all padding
        return list(self.heads(hidden).split(self.sizes, dim=-1)), targets, after
