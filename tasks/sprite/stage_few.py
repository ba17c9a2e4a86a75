"""Stage `few`: a LoRA with which UNet and motion adapter need 4 steps without guidance instead of 16 with it.

Progressive distillation (Salimans & Ho, https://arxiv.org/abs/2202.00512) with the guidance distilled as well (Meng et
al., https://arxiv.org/abs/2210.03142), in one go: from one of the student's own timesteps the teacher, which is the
same network with the LoRA switched off, takes `substeps` guided DDIM steps to the student's next timestep, and the
student learns the one v that gets there in one step.

Why not consistency distillation (LCM): its sampler draws new noise at every step, which frames do not share, so a clip
flickers and loses what frames had in common; its targets are its own guesses, a moving aim that takes longer to learn.
Here sampling stays DDIM, deterministic, on the family's own scheduler with trailing steps, and targets are exact. Why
not rectified flow: it would make a new model of another parametrisation, and every ControlNet with it. A LoRA leaves
the teacher's weights as they are: taken off, and with 16 steps and guidance, the family renders as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.sprite.diffusion import token_ids
from tasks.sprite.few_lora import Lora
from tasks.sprite.latents import Latents
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.networks import build_scheduler
from tasks.sprite.stage_joint import Check, weighted_loss
from tasks.sprite.stage_motion import clip_noise

if TYPE_CHECKING:
    from diffusers import UNetMotionModel
    from transformers import CLIPTokenizer

LORA = "few"
TARGETS = (
    r".*\.(conv1|conv2|time_emb_proj|conv_shortcut|to_q|to_k|to_v|to_out\.0|ff\.net\.0\.proj|ff\.net\.2)"
    r"|.*samplers\.0\.conv|.*\battentions\.\d+\.proj_(in|out)"
)
"""Layers that the LoRA changes: all but the outermost and the motion modules' own projections, which diffusers calls in
a way that a LoRA's layers do not understand."""


@dataclass(frozen=True)
class Distillation:
    """What is distilled: `steps` steps of the student, each from `substeps` guided ones of the teacher.

    frames: of a training clip; rollout: share of clips that the student itself has brought to their timestep;
    other_source: share that begin from another clip or a texture, as a render of a live-action clip does;
    leave_out: chance of each clause of a caption to be left out; shared_noise: see `clip_noise`.
    """

    steps: int = 4
    substeps: int = 2
    guidance_scale: float = 4.0
    frames: int = 16
    rollout: float = 0.4
    other_source: float = 0.4
    leave_out: float = 0.25
    shared_noise: float = 0.4


class FewStage:
    """Only the LoRA is trained. `nets` are ControlNets by kind; openpose has most of the clips."""

    def __init__(self, latents: Latents, tokenizer: CLIPTokenizer, text_encoder: nn.Module, unet: UNetMotionModel,
                 nets: dict[str, nn.Module], textures: Tensor, rank: int, batch: int, how: Distillation,
                 check: Check | None = None) -> None:  # fmt: skip
        from peft import LoraConfig

        self.latents, self.tokenizer, self.batch, self.how, self.check = latents, tokenizer, batch, how, check
        self.text_encoder, self.unet, self.nets, self.textures = text_encoder, unet, nets, textures
        for net in (unet, text_encoder, *nets.values()):
            net.requires_grad_(False)
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS), adapter_name=LORA)
        self.alphas = build_scheduler().alphas_cumprod.double()
        self.times = trailing(how.steps)
        self.teacher_times = trailing(how.steps * how.substeps)

    def stage(self) -> Stage:
        return Stage("few", {"unet_few": self.unet}, self.loss, self.check, [self.text_encoder, *self.nets.values()])

    def lora(self) -> Lora:
        """The LoRA as it is now."""
        from peft.utils import get_peft_model_state_dict

        return Lora(get_peft_model_state_dict(self.unet, adapter_name=LORA))

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """One of the student's steps of each clip; all clips of a batch take the same one and the same ControlNet."""
        how, rng = self.how, draw.rng
        place = int(rng.integers(how.steps))
        rows = self._rows(rng)
        with torch.no_grad():
            given = self._conditions(draw, rows)
            noise = clip_noise(draw, self.batch, self.latents.shape, how.shared_noise, how.frames)
            z = self._start(draw, rows, noise, given, place)
            aim = self._teacher(z, given, place)
            target = velocity(z, aim, self._alpha(self.times, place), self._alpha(self.times, place + 1))
        v = self._v(z, given, self.times[place], guided=False)
        loss, figures = weighted_loss(v, target, self.latents.cell_weights(rows))
        return loss, figures | {f"v_mse_{self.times[place]}": figures["v_mse"]}

    def _rows(self, rng: np.random.Generator) -> np.ndarray:
        """Rows `(batch * frames,)`: neighbouring frames of random clips."""
        data, frames = self.latents.data, self.how.frames
        clips = rng.integers(self.latents.clips, size=self.batch)
        firsts = rng.integers(len(data.clip_rows(0)) - frames + 1, size=self.batch)
        return np.concatenate([data.clip_rows(int(c))[f : f + frames] for c, f in zip(clips, firsts, strict=True)])

    def _conditions(self, draw: Draw, rows: np.ndarray) -> _Given:
        rng, frames = draw.rng, self.how.frames
        captions = self.latents.captions(rows[::frames], rng, self.how.leave_out, empty=0.0)
        ids = token_ids(self.tokenizer, [*captions, ""]).to(draw.device)
        hidden = self.text_encoder(ids).last_hidden_state
        prompted = hidden[:-1].repeat_interleave(frames, 0)
        kinds = [*self.nets, ""]
        shares = np.array([_SHARES.get(kind, 0.08) for kind in kinds])
        kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
        maps = self.latents.maps(kind, rows, rng) if kind else None
        weight = 1.0 if kind in ("openpose", "") else float(rng.uniform(0.3, 1))
        return _Given(prompted, hidden[-1:].expand_as(prompted), kind, maps, weight)

    def _start(self, draw: Draw, rows: np.ndarray, noise: Tensor, given: _Given, place: int) -> Tensor:
        """Noisy latents `(batch * frames, 8, h, w)` at the student's timestep."""
        if place == 0:
            return noise
        chance = draw.rng.random()
        if chance < self.how.rollout:
            z = noise
            for earlier in range(place):
                v = self._v(z, given, self.times[earlier], guided=False)
                z = moved(z, v, self._alpha(self.times, earlier), self._alpha(self.times, earlier + 1))
            return z
        z = self.latents.latents(rows)
        if draw.rng.random() < self.how.other_source:
            z = self._other(draw)
        a = self._alpha(self.times, place)
        return a**0.5 * z + (1 - a) ** 0.5 * noise

    def _other(self, draw: Draw) -> Tensor:
        if draw.rng.random() < 0.5:
            return self.latents.latents(self._rows(draw.rng))
        chosen = self.textures[draw.rng.integers(len(self.textures), size=self.batch)]
        return chosen.repeat_interleave(self.how.frames, 0)

    def _teacher(self, z: Tensor, given: _Given, place: int) -> Tensor:
        """Where `substeps` guided steps without the LoRA lead."""
        self.unet.disable_adapters()
        try:
            for k in range(place * self.how.substeps, (place + 1) * self.how.substeps):
                v = self._v(z, given, self.teacher_times[k], guided=True)
                z = moved(z, v, self._alpha(self.teacher_times, k), self._alpha(self.teacher_times, k + 1))
        finally:
            self.unet.enable_adapters()
        return z

    def _v(self, z: Tensor, given: _Given, time: int, guided: bool) -> Tensor:
        hidden, maps = given.prompted, given.maps
        if guided:
            z, hidden = torch.cat([z, z]), torch.cat([given.empty, hidden])
            maps = None if maps is None else torch.cat([maps, maps])
        down: Any = None
        mid: Any = None
        if maps is not None:
            t = torch.full((len(z),), time, device=z.device)
            down, mid = self.nets[given.kind](z, t, hidden, maps, given.weight, return_dict=False)
        clips = len(z) // self.how.frames
        video = z.unflatten(0, (clips, self.how.frames)).transpose(1, 2)  # (B, 8, F, h, w)
        t = torch.full((clips,), time, device=z.device)
        v = self.unet(video, t, hidden, down_block_additional_residuals=down, mid_block_additional_residual=mid).sample
        v = v.transpose(1, 2).flatten(0, 1).float()  # guidance would magnify the error of a short format
        if guided:
            plain, prompted = v.chunk(2)
            v = plain + self.how.guidance_scale * (prompted - plain)
        return v

    def _alpha(self, times: list[int], place: int) -> float:
        """The cumulative product of alphas at a timestep of a list; after its end: 1, no noise at all."""
        return float(self.alphas[times[place]]) if place < len(times) else 1.0


@dataclass(frozen=True)
class _Given:
    """Conditions of a batch: hidden states `(B * F, 77, W)` of the captions and of the empty text, a ControlNet."""

    prompted: Tensor
    empty: Tensor
    kind: str
    maps: Tensor | None
    weight: float


_SHARES = {"openpose": 0.62, "": 0.14}


def trailing(steps: int) -> list[int]:
    """The scheduler's timesteps, the noisiest first."""
    scheduler = build_scheduler()
    scheduler.set_timesteps(steps)
    return [int(t) for t in scheduler.timesteps]


def moved(z: Tensor, v: Tensor, alpha: float, after: float) -> Tensor:
    """One DDIM step without noise (Song et al., https://arxiv.org/abs/2010.02502) from noise level to noise level."""
    a, s, b, u = alpha**0.5, (1 - alpha) ** 0.5, after**0.5, (1 - after) ** 0.5
    return b * (a * z - s * v) + u * (a * v + s * z)


def velocity(z: Tensor, aim: Tensor, alpha: float, after: float) -> Tensor:
    """The v with which `moved` gets from z to `aim`."""
    a, s, b, u = alpha**0.5, (1 - alpha) ** 0.5, after**0.5, (1 - after) ** 0.5
    return (aim - (a * b + s * u) * z) / (a * u - s * b)
