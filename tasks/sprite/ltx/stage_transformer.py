"""Stage `ltx_transformer`: the first frame is the picture given, then the figure moves as the prompt names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from tasks.sprite.attributes import Attributes
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.ltx import flow
from tasks.sprite.ltx.captions import random_caption, random_empty
from tasks.sprite.ltx.data import ClipSet
from tasks.sprite.ltx.motions import Motion
from tasks.sprite.ltx.stage_latents import LatentSet
from tasks.sprite.ltx.stage_text import embed

if TYPE_CHECKING:
    from transformers import T5EncoderModel, T5Tokenizer

    from tasks.sprite.ltx.settings import FlowSettings

NO_CAPTION = 0.1  # share of samples trained without their caption, for guidance
FPS = (12.0, 24.0, 25.0)  # frame rates that a clip may be said to have: the motion is the same in frames
FIRST_GIVEN, FIRST_WHOLE = 0.93, 0.8  # shares of clips with a picture at the first frame, and of these at strength 1
THINNED = 0.9  # share of the stage that may look at a part of the cells
WHOLE = 0.6  # share of further pictures at strength 1

Check = Callable[[int], dict[str, float]]


@dataclass(frozen=True)
class Given:
    """What is known of a batch of clips: a text and its state, pictures and their strengths, the frame rate."""

    rows: np.ndarray
    texts: list[str]
    first: Tensor
    pictures: list[flow.Picture]
    fps: Tensor


class Drawn:
    """Batches of drawn clips with captions and given pictures; every draw depends on the step's number alone."""

    def __init__(self, data: ClipSet, latents: LatentSet, last_picture: float) -> None:
        self.latents, self.seen, self.last_picture = latents, data.seen, last_picture
        self.choices = data.spec.choices
        self.labels, self.motions = np.array(data.read("labels")), np.array(data.read("motions"))

    def batch(self, draw: Draw, count: int) -> Given:
        """Random seen clips; one further picture in a share of the batches, two in a tenth of these."""
        rng, rows = draw.rng, draw.rng.integers(self.seen, size=count)
        first = np.where(rng.random(count) < FIRST_WHOLE, 1.0, rng.uniform(0.2, 1.0, count))
        first = np.where(rng.random(count) < FIRST_GIVEN, first, 0.0)
        further = 0 if rng.random() >= self.last_picture else 1 + int(rng.random() < 0.1)
        pictures = [self._picture(rng, rows) for _ in range(further)]
        silent = NO_CAPTION + (0.2 if further else 0.0)  # so that a picture is followed, and not the words alone
        texts = [self.caption(int(row), rng, silent) for row in rows]
        fps = torch.from_numpy(rng.choice(FPS, count)).float()
        return Given(rows, texts, torch.from_numpy(first).float(), pictures, fps)

    def caption(self, row: int, rng: np.random.Generator, silent: float = 0.0) -> str:
        """One wording of a clip's prompt, or what stands on the unconditional side in a share of the calls."""
        if rng.random() < silent:
            return random_empty(rng).text
        motion = Motion.from_indices(self.motions[row])
        who = Attributes.from_indices(self.labels[row], self.choices)
        return random_caption(motion, who, rng, self.choices).text

    def _picture(self, rng: np.random.Generator, rows: np.ndarray) -> flow.Picture:
        stills = self.latents.at.shape[1]
        which = np.where(rng.random(len(rows)) < 0.5, 0, rng.integers(stills, size=len(rows)))  # 0: the last frame
        latents, frames = self.latents.still(rows, which)
        strengths = np.where(rng.random(len(rows)) < WHOLE, 1.0, rng.uniform(0.1, 1.0, len(rows)))
        return flow.Picture(latents, torch.from_numpy(frames).float(), torch.from_numpy(strengths).float())


class LtxTransformerStage:
    """Flow matching on drawn clips, the text encoder frozen.

    deviations: of the VAE's channels, `(C,)`. An error in a channel weighs what it does to the picture: a few of them
    are nearly all of it, and the many others would be nearly all of a loss that counts them alike.
    """

    def __init__(self, drawn: Drawn, tokenizer: T5Tokenizer, text_encoder: T5EncoderModel,
                 transformer: nn.Module, deviations: Tensor, cfg: FlowSettings, shards: int = 1) -> None:  # fmt: skip
        self.drawn, self.tokenizer, self.text_encoder, self.transformer = drawn, tokenizer, text_encoder, transformer
        self.cfg, self.shards, self.batch = cfg, shards, max(1, cfg.batch // shards)
        self.check: Check | None = None
        self.channels = deviations.square() / deviations.square().mean()
        text_encoder.requires_grad_(False)

    def stage(self) -> Stage:
        return Stage("ltx_transformer", {"transformer": self.transformer}, self.loss, self.check, [self.text_encoder],
                     shards=self.shards, muon=self.cfg.muon)  # fmt: skip

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        given = self.drawn.batch(draw, self.batch)
        level = flow.levels(self.batch, self.cfg.shift, draw.torch)
        latents = self.drawn.latents.clip(given.rows)
        cells = self.cfg.cells if progress < THINNED else 1.0
        value = drawn_loss(self, given, latents, draw.normal(*latents.shape), level, draw.torch, cells)
        return value, {}


def drawn_loss(stage: LtxTransformerStage, given: Given, latents: Tensor, noise: Tensor, level: Tensor,
               generator: torch.Generator, cells: float = 1.0) -> Tensor:  # fmt: skip
    """The velocity's mean square for clips at noise levels `(B,)` under what is given of them, of a share of cells."""
    with torch.no_grad():
        hidden, mask = embed(stage.tokenizer, stage.text_encoder, given.texts)
        state = flow.noisy(latents, noise, level, given.first, given.pictures, given.fps, generator,
                           stage.cfg.emphasis)  # fmt: skip
        if cells < 1:
            state = flow.thin(state, latents, cells, generator)
    return flow.loss(flow.predict(stage.transformer, state, hidden, mask), state, stage.channels)
