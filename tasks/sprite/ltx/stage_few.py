"""Stage `ltx_few`: few steps without guidance, from what the guided teacher makes of its noise.

The student learns the straight way from a noise to the very clip that the teacher made of it (rectified flow's second
round, Liu et al., https://arxiv.org/abs/2209.03003): guidance is in the clips, and a straight way needs few steps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from reel.files import write_atomic
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.ltx import flow
from tasks.sprite.ltx.data import ClipSet
from tasks.sprite.ltx.render import FPS, Pictures, Sampling, first_noise, render_latents
from tasks.sprite.ltx.stage_transformer import Drawn, Given, LtxTransformerStage, drawn_loss

if TYPE_CHECKING:
    from tasks.sprite.ltx.settings import FewSettings

BLOCK = 16  # pairs of one call of the teacher, all with a last picture or all without
WITH_LAST = 0.25  # share of blocks with one
ON_SCHEDULE = 0.7  # share of samples at the very levels that the student's steps have


@dataclass(frozen=True)
class Pairs:
    """What the teacher made: clips' rows `(N,)`, texts, noise and latents `(N, C, f, h, w)`, with a last picture or not
    `(N,)` bool."""

    rows: np.ndarray
    texts: list[str]
    noise: Tensor
    latents: np.ndarray
    last: np.ndarray


def make_pairs(folder: Path, pipe: Any, drawn: Drawn, data: ClipSet, cfg: FewSettings, seed: int, identity: str,
               report: Callable[[int, dict[str, float]], None] | None = None) -> Pairs:  # fmt: skip
    """Have the teacher make what is not there yet, block by block; a stopped run goes on.

    identity: names the teacher's weights; another one's pairs are thrown away.
    """
    blocks = -(-cfg.pairs // BLOCK)
    wanted = {"seed": seed, "steps": cfg.teacher_steps, "guidance": cfg.guidance, "teacher": identity,
              "clips": data.clips}  # fmt: skip
    note, begun = folder / "pairs.json", time.time()
    if not note.exists() or json.loads(note.read_text()) != wanted:
        for old in folder.glob("pairs_*.npy"):
            old.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(note, json.dumps(wanted).encode())
    rgb, parts, done = data.read("rgb"), [], 0
    sampling = Sampling(cfg.teacher_steps, cfg.guidance, data.frames)
    for block in range(blocks):
        file = folder / f"pairs_{block:05d}.npy"
        rows, texts, last = _plan(drawn, seed, block)
        if not file.exists():
            pictures = [Pictures(np.array(rgb[rows, 0]))]
            pictures += [Pictures(np.array(rgb[rows, -1]), data.frames - 1)] if last else []
            made = render_latents(pipe, texts, pictures, sampling, _noise_seed(seed, block)).half().numpy()
            draft = file.with_suffix(".new.npy")
            np.save(draft, made)
            draft.replace(file)
            done += 1
            if report and done % 10 == 0:
                report(block + 1, {"minutes_left": (time.time() - begun) / done * (blocks - block - 1) / 60})
        made = np.load(file)
        parts.append((rows, texts, first_noise(pipe, made.shape, _noise_seed(seed, block)), made, last))
    return Pairs(
        np.concatenate([part[0] for part in parts]), [text for part in parts for text in part[1]],
        torch.cat([part[2] for part in parts]), np.concatenate([part[3] for part in parts]),
        np.concatenate([np.full(len(part[0]), part[4]) for part in parts]),
    )  # fmt: skip


def _plan(drawn: Drawn, seed: int, block: int) -> tuple[np.ndarray, list[str], bool]:
    """Which clips a block shows, their prompts, and whether their last picture is given as well."""
    rng = np.random.default_rng([seed, 31, block])
    rows = rng.integers(drawn.seen, size=BLOCK)
    return rows, [drawn.caption(int(row), rng) for row in rows], bool(rng.random() < WITH_LAST)


def _noise_seed(seed: int, block: int) -> int:
    return int(np.random.SeedSequence([seed, 32, block]).generate_state(1)[0])


class LtxFewStage:
    """The student learns from pairs, and in a share of the steps from drawn clips as its teacher did."""

    def __init__(self, pairs: Pairs, like: LtxTransformerStage, cfg: FewSettings, schedule: Tensor) -> None:
        self.pairs, self.like, self.cfg, self.schedule = pairs, like, cfg, schedule

    def stage(self) -> Stage:
        like = self.like
        return Stage("ltx_few", {"transformer": like.transformer}, self.loss, like.check, [like.text_encoder],
                     shards=like.shards, muon=self.cfg.muon)  # fmt: skip

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        if draw.rng.random() < self.cfg.drawn:
            return self.like.loss(draw, step, progress)
        given, latents, noise = self._batch(draw.rng)
        between = flow.levels(len(latents), self.like.cfg.shift, draw.torch)
        on = torch.from_numpy(draw.rng.random(len(latents)) < ON_SCHEDULE)
        level = torch.where(on, self.schedule[draw.rng.integers(len(self.schedule), size=len(latents))], between)
        return drawn_loss(self.like, given, latents, noise, level, draw.torch), {}

    def _batch(self, rng: np.random.Generator) -> tuple[Given, Tensor, Tensor]:
        last = rng.random() < self.pairs.last.mean()
        which = rng.choice(np.flatnonzero(self.pairs.last == last), self.like.batch)
        rows, ones, pictures = self.pairs.rows[which], torch.ones(self.like.batch), []
        if last:
            stills, frames = self.like.drawn.latents.still(rows, np.zeros(len(rows), dtype=int))
            pictures = [flow.Picture(stills, torch.from_numpy(frames).float(), ones)]
        texts = [self.pairs.texts[i] for i in which]
        latents = torch.from_numpy(self.pairs.latents[which]).float()
        return Given(rows, texts, ones, pictures, ones * FPS), latents, self.pairs.noise[which]


def schedule_levels(steps: int) -> Tensor:
    """The noise levels that LTXConditionPipeline steps through, without the last one, 0."""
    from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule

    levels: Tensor = linear_quadratic_schedule(steps)
    return levels
