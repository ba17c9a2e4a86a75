"""Stage `ltx_text`: the T5 encoder learns to state action and camera of a prompt before it meets a picture.

Both must be readable by a linear map at the end of the text and in the mean of its tokens: what the transformer's
cross-attention needs is then no grammar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.sprite.attributes import random_attributes
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.ltx.captions import Caption, random_caption, random_empty
from tasks.sprite.ltx.motions import ACTIONS, CAMERAS, random_motion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import T5EncoderModel, T5Tokenizer

SIZES = (len(ACTIONS) + 1, len(CAMERAS) + 1)  # the last class: not said


class LtxTextStage:
    """Loss and check of the text encoder."""

    def __init__(self, tokenizer: T5Tokenizer, encoder: T5EncoderModel, batch: int) -> None:
        self.tokenizer, self.encoder, self.batch = tokenizer, encoder, batch
        self.heads = nn.ModuleList(nn.Linear(encoder.config.d_model, sum(SIZES)) for _ in range(2))

    def stage(self) -> Stage:
        return Stage("ltx_text", {"text_encoder": self.encoder, "heads_embedding": self.heads}, self.loss, self.check)

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        logits, targets = self._read(self._captions(draw.rng, self.batch))
        parts = [functional.cross_entropy(part, target)
                 for row in logits for part, target in zip(row, targets, strict=True)]  # fmt: skip
        return torch.stack(parts).sum(), {}

    def check(self, step: int) -> dict[str, float]:
        """Share of 512 fresh captions whose action and whose camera are read right in both ways."""
        logits, targets = self._read(self._captions(np.random.default_rng([7, 8]), 512))
        right = [min(float((row[i].argmax(-1) == targets[i]).float().mean()) for row in logits) for i in range(2)]
        return {"right_action": right[0], "right_camera": right[1], "right_worst": min(right)}

    def _captions(self, rng: np.random.Generator, count: int) -> list[Caption]:
        drawn = [random_caption(random_motion(rng), random_attributes(rng), rng) for _ in range(count)]
        return [random_empty(rng) if rng.random() < 0.05 else caption for caption in drawn]

    def _read(self, captions: list[Caption]) -> tuple[list[Sequence[Tensor]], list[Tensor]]:
        hidden, mask = embed(self.tokenizer, self.encoder, [caption.text for caption in captions])
        end = hidden[torch.arange(len(hidden)), mask.sum(1) - 1]
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        logits = [head(x).split(SIZES, dim=-1) for head, x in zip(self.heads, (end, mean), strict=True)]
        labels = torch.from_numpy(np.stack([caption.labels for caption in captions]))
        return logits, [torch.where(labels[:, i] < 0, size - 1, labels[:, i]) for i, size in enumerate(SIZES)]


def embed(tokenizer: T5Tokenizer, encoder: T5EncoderModel, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Hidden states `(B, L, D)` and the mask of what is text `(B, L)` bool; padded to the longest alone, since what is
    masked changes nothing."""
    batch = tokenizer(list(texts), padding="longest", truncation=True, return_tensors="pt")
    mask = batch.attention_mask.bool()
    return encoder(batch.input_ids, attention_mask=mask)[0], mask
