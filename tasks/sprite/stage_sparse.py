"""Stage `sparse`: a SparseCtrl learns to carry pictures on a few frames to the others (arXiv:2311.16933).

UNet, motion adapter and text encoder are frozen. The net begins as their encoder half, motion modules included, and
reads the latents of the given pictures and which frames have one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.sprite import probe
from tasks.sprite.attributes import random_attributes
from tasks.sprite.captions import FACE, plain_caption
from tasks.sprite.clips import TEACHER, Sampling, drawn_clip, flicker
from tasks.sprite.diffusion import Noising, token_ids
from tasks.sprite.latents import Latents
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.networks import build_scheduler
from tasks.sprite.poses import clip_of
from tasks.sprite.skeleton import CLIP_FRAMES
from tasks.sprite.spec import Spec
from tasks.sprite.stage_joint import Check, weighted_loss
from tasks.sprite.stage_motion import clip_noise
from tasks.sprite.stage_vae import to_pictures, to_signed
from tasks.stylize.engine.loop import denoise, pure_noise, timesteps_of
from tasks.stylize.engine.network import Network
from tasks.stylize.engine.prompts import Conditioning, TextTrack
from tasks.stylize.engine.sparse import SparseTrack, all_residuals

if TYPE_CHECKING:
    from diffusers import SparseControlNetModel, UNetMotionModel
    from transformers import CLIPTokenizer

MOST_KNOWN = 4
"""Pictures of a clip at most; there is at least one."""


class SparseStage:
    """Only the SparseCtrl is trained.

    `cut` of the clips turn into another one at some frame, words too, as pictures on ranges of frames do: a given
    picture must rule its surroundings even where the motion adapter would rather have one figure throughout. `held`
    weighs the given frames once more: they are few, and what they show is known to the last line.
    """

    def __init__(self, latents: Latents, tokenizer: CLIPTokenizer, text_encoder: nn.Module, unet: UNetMotionModel,
                 net: SparseControlNetModel, batch: int, cut: float = 0.0, shared_noise: float = 0.0,
                 leave_out: float = 0.08, steady: float = 0.0, held: float = 1.0,
                 check: Check | None = None) -> None:  # fmt: skip
        self.latents, self.tokenizer, self.noising = latents, tokenizer, Noising()
        self.text_encoder, self.unet, self.net, self.batch, self.check = text_encoder, unet, net, batch, check
        self.cut, self.shared_noise, self.leave_out, self.steady, self.held = cut, shared_noise, leave_out, steady, held
        for frozen in (text_encoder, unet):
            frozen.requires_grad_(False)
        net.requires_grad_(True)

    def stage(self) -> Stage:
        return Stage("sparse", {"sparsectrl": self.net}, self.loss, self.check, [self.text_encoder, self.unet])

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        rows, known = self.drawn(draw.rng)
        z = self.latents.latents(rows.ravel())
        t = draw.times(self.batch)
        every = t.repeat_interleave(CLIP_FRAMES)
        noisy, target = self.noising.mix(z, clip_noise(draw, self.batch, z.shape[1:], self.shared_noise), every)
        with torch.no_grad():
            hidden = self._words(rows, draw)
        given = torch.from_numpy(known).to(z)[:, None]  # (B, 1, F)
        given = given[..., None, None].expand(-1, -1, -1, *z.shape[-2:])
        down, mid = self.net(_video(noisy, self.batch), t, hidden, controlnet_cond=_video(z, self.batch) * given,
                             conditioning_mask=given, return_dict=False)  # fmt: skip
        v = self.unet(_video(noisy, self.batch), t, hidden, down_block_additional_residuals=down,
                      mid_block_additional_residual=mid).sample  # fmt: skip
        v = v.transpose(1, 2).flatten(0, 1)
        loss, figures = weighted_loss(v, target, self.latents.cell_weights(rows.ravel()))
        change = (v - target).unflatten(0, (self.batch, CLIP_FRAMES)).diff(dim=1).square().mean()
        at = torch.from_numpy(known.ravel() > 0).to(z.device)
        held = (v - target)[at].square().mean()
        return loss + self.steady * change + self.held * held, figures | {"held_mse": float(held.detach())}

    def drawn(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Rows `(B, F)` of the clips' frames, and which of them are given `(B, F)`, 0 or 1."""
        rows, known = [], np.zeros((self.batch, CLIP_FRAMES), np.float32)
        for index in range(self.batch):
            own = self.latents.data.clip_rows(int(rng.integers(self.latents.clips))).copy()
            at = rng.choice(CLIP_FRAMES, rng.integers(1, MOST_KNOWN + 1), replace=False)
            if rng.random() < self.cut:
                border = int(rng.integers(2, CLIP_FRAMES - 1))
                own[border:] = self.latents.data.clip_rows(int(rng.integers(self.latents.clips)))[border:]
                at = np.append(at, [rng.integers(border), rng.integers(border, CLIP_FRAMES)])  # one on either side
            known[index, at] = 1
            rows.append(own)
        return np.stack(rows), known

    def _words(self, rows: np.ndarray, draw: Draw) -> Tensor:
        """Embeddings `(B * F, T, D)`: one wording for all frames of a figure."""
        changes = np.ones_like(rows, bool)
        changes[:, 1:] = np.diff(rows, axis=1) != 1  # where another clip begins
        number = np.cumsum(changes.ravel()) - 1
        captions = self.latents.captions(rows[changes], draw.rng, self.leave_out)
        hidden = self.text_encoder(token_ids(self.tokenizer, captions).to(draw.device)).last_hidden_state
        found: Tensor = hidden[torch.from_numpy(number).to(draw.device)]
        return found


def _video(frames: Tensor, clips: int) -> Tensor:
    """`(B * F, C, h, w)` -> `(B, C, F, h, w)`."""
    return frames.unflatten(0, (clips, CLIP_FRAMES)).transpose(1, 2)


class SparseCheck:
    """Called by the training loop: two dances held to their frames 0 and 8, rendered by the project's own engine.

    `held_psnr` is how near the given frames come to their round trip through the VAE (dB), `right` the share of frames
    that show what the pictures and the prompt do, face and skin apart. The sheet has renders above the drawn truth.
    """

    def __init__(self, tokenizer: CLIPTokenizer, text_encoder: nn.Module, vae: Any, unet: Any, net: Any,
                 probe_file: Path, sheets: Path, spec: Spec, sampling: Sampling = TEACHER) -> None:  # fmt: skip
        self.tokenizer, self.text_encoder, self.vae, self.unet, self.net = tokenizer, text_encoder, vae, unet, net
        self.probe_file, self.sheets, self.spec, self.sampling = probe_file, sheets, spec, sampling
        rng = np.random.default_rng(20260303)
        self.attributes = [random_attributes(rng, spec.choices) for _ in range(2)]
        self.truth = [drawn_clip(clip_of(rng, spec), wanted, spec) for wanted in self.attributes]

    def __call__(self, step: int) -> dict[str, float]:
        import cv2

        reader, rows, figures = probe.load(self.probe_file), [], []
        for truth, wanted in zip(self.truth, self.attributes, strict=True):
            clip, psnr = self.rendered(truth, plain_caption(wanted, self.spec.choices))
            found = probe.read(reader, clip)
            seen = found.right(np.broadcast_to(wanted.to_indices(self.spec.choices), found.labels.shape))
            right = np.mean([share for name, share in seen.items() if name not in ("skin", *FACE)])
            figures.append((psnr, float(right), flicker(clip)))
            rows += [np.hstack(list(clip)), np.hstack(list(truth))]
        self.sheets.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(self.sheets / f"{step:06d}.png"), np.vstack(rows)[..., ::-1])
        return dict(zip(("held_psnr", "right", "flicker"), np.mean(figures, 0).tolist(), strict=True))

    @torch.no_grad()
    def rendered(self, truth: np.ndarray, prompt: str) -> tuple[np.ndarray, float]:
        """A clip `(F, S, S, 3)` uint8 held to two frames of another, and the dB of these frames."""
        at, device = [0, CLIP_FRAMES // 2], next(self.unet.parameters()).device
        latents = self.vae.encode(to_signed(truth[at]).to(device)).latent_dist.mean
        texts = self.text_encoder(token_ids(self.tokenizer, [prompt, ""]).to(device)).last_hidden_state
        told, empty = (TextTrack.constant(texts[i : i + 1], CLIP_FRAMES) for i in range(2))
        guidance = np.full(CLIP_FRAMES, self.sampling.guidance_scale)
        track = SparseTrack("check", self.net, latents, at, np.ones(CLIP_FRAMES))
        network = Network(self.unet, Conditioning(told, empty, guidance, {}), extra=all_residuals([track]))
        scheduler, generator = build_scheduler(), torch.Generator().manual_seed(7)
        timesteps = timesteps_of(scheduler, self.sampling.steps, device=device)
        noise = pure_noise((1, *latents.shape[1:2], CLIP_FRAMES, *latents.shape[2:]), scheduler, generator, device)
        made = denoise(network, scheduler, timesteps, noise, generator)[0].transpose(0, 1)
        clip, trip = (to_pictures(self.vae.decode(one).sample) for one in (made, latents))
        error = np.square(clip[at].astype(np.float64) - trip).mean(axis=(1, 2, 3))
        return clip, float(np.mean(10 * np.log10(255**2 / np.maximum(error, 1e-9))))
