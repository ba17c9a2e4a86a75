"""Stage `vae`: an autoencoder for crisp flat drawings that also encodes photo-like frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tasks.sprite.backdrops import random_backdrop
from tasks.sprite.data import DataSet
from tasks.sprite.drawing import EYES
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.networks import LATENT_CHANNELS
from tasks.sprite.spec import Spec

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

CROP = 64  # px
FULL_FROM = 0.75  # share of the stage after which whole frames are used instead of crops
SQUARE = 8.0  # weight of the mean square: what is left of the error lies at edges, where it is large
FACE = 4.0  # weight of eyes, mouth and what is next to them: few pixels, on which two attributes hang
UNSEEN = 512  # the last stills are never trained on, in any stage


class VaeStage:
    """Loss and check of the autoencoder.

    decoder_only: the encoder keeps its weights, so that latents and the networks trained on them stay valid; only whole
    frames are used then, since the norms (one group over a whole frame) see other statistics in a crop.
    """

    def __init__(self, data: DataSet, batch: int, vae: AutoencoderKL, decoder_only: bool = False) -> None:
        self.vae = vae.to(memory_format=torch.channels_last)
        self.batch, self.stills, self.crops = batch, data.stills, not decoder_only
        if decoder_only:
            for part in (vae.encoder, vae.quant_conv):
                part.requires_grad_(False)
        self.side = data.spec.frame
        self.rgb, self.parts, self.people = data.read("rgb"), data.read("parts"), data.read("people")

    def stage(self) -> Stage:
        return Stage("vae", {"vae": self.vae}, self.loss, self.check)

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        crops = self.crops and progress < FULL_FROM
        side, count = (CROP, self.batch) if crops else (self.side, max(1, self.batch * CROP**2 // self.side**2))
        pictures, faces = zip(*(self._picture(draw.rng, side) for _ in range(count)), strict=True)
        x = to_signed(np.stack(pictures)).to(draw.device)
        weight = 1 + (FACE - 1) * torch.from_numpy(np.stack(faces)).to(draw.device).float()[:, None]
        weight = weight / weight.mean()
        posterior = self.vae.encode(x).latent_dist
        z = posterior.mean + posterior.std * draw.normal(*posterior.mean.shape)
        y = self.vae.decode(z).sample
        mean, logvar = posterior.mean, posterior.logvar
        error = y - x
        absolute, square = (error.abs() * weight).mean(), (error.square() * weight).mean()
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        loss = absolute + SQUARE * square + 0.5 * edges + 1e-4 * kl
        return loss, {"psnr": psnr(float(error.detach().square().mean())), "kl": float(kl.detach())}

    def _picture(self, rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
        """A square `(side, side, 3)` uint8 and where its face is, bool `(side, side)`.

        A drawn figure (four of five), one before a texture, or a texture alone.
        """
        kind = rng.random()
        if kind > 0.92:
            return random_backdrop(rng, side), np.zeros((side, side), bool)
        row = int(rng.integers(self.stills - UNSEEN))
        joint = self.people[row, rng.integers(18), :2]
        free = self.side - side
        x, y = np.clip(joint - side / 2 + rng.normal(0, side / 6, 2), 0, free).astype(int)
        crop, parts = (array[row, y : y + side, x : x + side] for array in (self.rgb, self.parts))
        if kind > 0.82:
            crop = np.where(parts[..., None] > 0, crop, random_backdrop(rng, side))
        step = -1 if rng.random() < 0.5 else 1
        return crop[:, ::step], _face(parts[:, ::step])

    def check(self, step: int) -> dict[str, float]:
        """PSNR (dB, peak 255) over 64 unseen whole drawings, around their eyes and mouths, and over 32 textures."""
        drawn = to_signed(self.rgb[self.stills - 64 : self.stills])
        rng = np.random.default_rng(5)
        textures = to_signed(np.stack([random_backdrop(rng, self.side) for _ in range(32)]))
        figures = {}
        for name, x in (("drawn", drawn), ("texture", textures)):
            y = torch.cat([self.vae.decode(self.vae.encode(p.to(self.vae.device)).latent_dist.mean).sample.cpu()
                           for p in x.split(16)])  # fmt: skip
            error = (y.clamp(-1, 1) - x).square()
            figures[f"psnr_{name}"] = psnr(float(error.mean()))
            if name == "drawn":
                faces = torch.from_numpy(np.stack([_face(p) for p in self.parts[self.stills - 64 : self.stills]]))
                figures["psnr_face"] = psnr(float(error.movedim(1, -1)[faces].mean()))
        return figures


def _face(parts: np.ndarray) -> np.ndarray:
    """Pixels of eyes and mouth and those next to them: bool `(H, W)` of a part map."""
    import cv2

    return np.asarray(cv2.dilate((parts >= EYES).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)


def psnr(mean_square: float) -> float:
    """dB for pictures in -1..1."""
    return 10 * float(np.log10(4 / max(mean_square, 1e-10)))


def to_signed(pictures: np.ndarray) -> Tensor:
    """`(N, H, W, 3)` uint8 -> `(N, 3, H, W)` float in -1..1, channels last in memory."""
    return (
        torch.from_numpy(np.require(pictures, requirements=["C", "W"])).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    )


def to_pictures(x: Tensor) -> np.ndarray:
    """The reverse of `to_signed`, clipped."""
    return (
        x.detach().float().clamp(-1, 1).add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).cpu().contiguous().numpy()
    )


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, pictures: np.ndarray) -> None:
    """Fold a per-channel shift and scale into the 1x1 convolutions around the latent, so that latents of drawn
    pictures have mean 0 and deviation 1 and `scaling_factor` stays 1."""
    moments = torch.cat([vae.quant_conv(vae.encoder(p.to(vae.device))) for p in to_signed(pictures).split(16)])
    mean = moments[:, :LATENT_CHANNELS].mean((0, 2, 3))
    std = moments[:, :LATENT_CHANNELS].std((0, 2, 3))
    weight, bias = vae.quant_conv.weight, vae.quant_conv.bias
    weight[:LATENT_CHANNELS] /= std[:, None, None, None]
    bias[:LATENT_CHANNELS] = (bias[:LATENT_CHANNELS] - mean) / std
    bias[LATENT_CHANNELS:] -= 2 * std.log()
    weight, bias = vae.post_quant_conv.weight, vae.post_quant_conv.bias
    bias += weight[:, :, 0, 0] @ mean
    weight *= std[None, :, None, None]


@torch.no_grad()
def textures(vae: AutoencoderKL, count: int, spec: Spec) -> Tensor:
    """Latents `(count, 8, h, w)` of photo-like pictures."""
    rng = np.random.default_rng(11)
    pictures = np.stack([random_backdrop(rng, spec.frame) for _ in range(count)])
    return torch.from_numpy(encode_rows(vae, pictures, np.arange(count), batch=16)).float()


def no_latents(count: int, spec: Spec) -> np.ndarray:
    """Room for latents `(count, 8, h, w)` float16; all zero: not encoded yet."""
    return np.zeros((count, LATENT_CHANNELS, spec.cells, spec.cells), np.float16)


@torch.no_grad()
def encode_rows(vae: AutoencoderKL, pictures: np.ndarray, rows: np.ndarray, batch: int = 64) -> np.ndarray:
    """Latent means `(R, 8, h, w)` float16 of those rows of pictures `(N, S, S, 3)` uint8."""
    parts = [vae.encode(to_signed(pictures[rows[i : i + batch]]).to(vae.device)).latent_dist.mean.half().cpu().numpy()
             for i in range(0, len(rows), batch)]  # fmt: skip
    return np.concatenate(parts)
