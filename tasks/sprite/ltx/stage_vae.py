"""Stage `ltx_vae`: a video autoencoder for drawn clips, 8 frames and 16 x 16 px a latent cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from tasks.sprite.backdrops import random_backdrop
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.ltx.data import ClipSet
from tasks.sprite.ltx.stills import quicken
from tasks.sprite.ltx.video import decode, encode, frames_psnr, to_video
from tasks.sprite.skeleton import FRAME
from tasks.sprite.stage_vae import psnr

if TYPE_CHECKING:
    from diffusers import AutoencoderKLLTXVideo

    from tasks.sprite.ltx.settings import LtxVaeSettings

SQUARE = 8.0  # weight of the mean square: what is left of the error lies at edges, where it is large
EDGES = 0.5  # weight, at the end, of errors of the gradient in the picture: shapes come first
CHANGE, KL = 0.5, 1e-5  # weights of errors of the gradient in time, and of the prior
CHECKED = 32  # unseen clips of a check


class LtxVaeStage:
    """Loss and check of the autoencoder.

    Every norm of this VAE looks at one place alone, so that crops around the figure show it nothing else than whole
    clips do, but for the padding at their edges: hence whole clips at the end.
    """

    def __init__(self, data: ClipSet, vae: AutoencoderKLLTXVideo, cfg: LtxVaeSettings, shards: int = 1) -> None:
        self.data, self.vae, self.cfg, self.shards = data, vae, cfg, shards
        self.batch = max(1, cfg.batch // shards)
        self.rgb, self.people = data.read("rgb"), np.array(data.read("people"))
        quicken(vae)

    def stage(self) -> Stage:
        return Stage("ltx_vae", {"vae": self.vae}, self.loss, self.check, shards=self.shards, muon=self.cfg.muon)

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        x = to_video(self._batch(draw.rng, progress))
        posterior = self.vae.encode(x).latent_dist
        z = posterior.mean + posterior.std * draw.normal(*posterior.mean.shape)
        error = self.vae.decode(z).sample - x
        square = error.square().mean()
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        change = error.diff(dim=2).abs().mean() if error.shape[2] > 1 else error.new_zeros(())
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        loss = error.abs().mean() + SQUARE * square + progress * EDGES * edges + CHANGE * change + KL * kl
        return loss, {"psnr": psnr(float(square.detach())), "kl": float(kl.detach())}

    def _batch(self, rng: np.random.Generator, progress: float) -> np.ndarray:
        """`(B, F, H, W, 3)` uint8: crops of clips, then whole clips; whole pictures in between."""
        if rng.random() < self.cfg.pictures:
            return np.stack([self._sample(rng, FRAME, 1) for _ in range(2 * self.batch)])
        if progress >= self.cfg.whole_from:
            return np.stack([self._sample(rng, FRAME, self.data.frames) for _ in range(max(1, self.batch // 4))])
        return np.stack([self._sample(rng, self.cfg.crop, self.data.frames) for _ in range(self.batch)])

    def _sample(self, rng: np.random.Generator, side: int, frames: int) -> np.ndarray:
        """A part of a seen clip `(frames, side, side, 3)` uint8 around one of the figure's joints."""
        clip, first = int(rng.integers(self.data.seen)), int(rng.integers(self.data.frames - frames + 1))
        joint = self.people[clip, first + frames // 2, rng.integers(18), :2]
        x, y = np.clip(joint - side / 2 + rng.normal(0, side / 6, 2), 0, FRAME - side).astype(int)
        part = self.rgb[clip, first : first + frames, y : y + side, x : x + side]
        if rng.random() < self.cfg.textures:
            backdrop = random_backdrop(rng, side)
            flat = self.rgb[clip, 0, 0, 0]  # the clip's background, which the figure stands before
            part = np.where((part == flat).all(-1, keepdims=True), backdrop, part)
        return part[:, :, ::-1] if rng.random() < 0.5 else part

    def check(self, step: int) -> dict[str, float]:
        """PSNR (dB, peak 255) of unseen whole clips, of their first and worst frames, of pictures, of textures."""
        clips = np.array(self.rgb[self.data.seen : self.data.seen + CHECKED])
        found = self._psnr(clips)  # (B, F)
        rng = np.random.default_rng(5)
        textures = np.stack([random_backdrop(rng, FRAME) for _ in range(16)])[:, None]
        return {
            "psnr_clips": mean_psnr(found),
            "psnr_first": mean_psnr(found[:, 0]),
            "psnr_worst_frame": min(mean_psnr(column) for column in found.T),
            "psnr_picture": mean_psnr(self._psnr(clips[:, self.data.frames // 2][:, None])),
            "psnr_texture": mean_psnr(self._psnr(textures)),
        }

    def _psnr(self, clips: np.ndarray) -> np.ndarray:
        """dB of each frame `(B, F)` of clips through the VAE."""
        return frames_psnr(decode(self.vae, encode(self.vae, clips)), clips)


def mean_psnr(values: np.ndarray) -> float:
    """dB of the mean square over all pictures, from each one's dB."""
    return float(-10 * np.log10(np.mean(10 ** (-np.asarray(values) / 10))))
