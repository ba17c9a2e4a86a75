"""Flow matching with pictures given at frames, as LTXConditionPipeline denoises it.

Every token has a noise level of its own. A picture of strength s at the first frame takes the place of the first latent
frame; elsewhere it is a further frame of tokens at its own time. Its tokens are never noisier than 1 - s: at strength 1
they are clean (timestep 0) and stay as they are, but for a little noise that falls with the level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.sprite.ltx.networks import SPACE, TIME

PICTURE_NOISE = 0.15  # the pipeline's `image_cond_noise_scale`: of clean tokens, times the squared level
LEAST = 1e-3  # a token below this level has no noise that could be predicted


@dataclass(frozen=True)
class Picture:
    """A picture at a frame other than the first: latents `(B, C, 1, h, w)`, frames `(B,)`, strengths `(B,)` in 0..1."""

    latents: Tensor
    frames: Tensor
    strengths: Tensor


@dataclass(frozen=True)
class Noisy:
    """A transformer's input and what it shall predict, S tokens each.

    tokens `(B, S, C)`, timesteps `(B, S)` in 0..1000, coords `(B, 3, S)` seconds and px, target `(B, S, C)` (noise
    minus clean), weights `(B, S)`: 0 where there is nothing to predict, more than 1 where something moves.
    """

    tokens: Tensor
    timesteps: Tensor
    coords: Tensor
    target: Tensor
    weights: Tensor


def pack(latents: Tensor) -> Tensor:
    """`(B, C, f, h, w)` -> tokens `(B, f h w, C)`."""
    return latents.permute(0, 2, 3, 4, 1).flatten(1, 3)


def unpack(tokens: Tensor, shape: Sequence[int]) -> Tensor:
    """The reverse of `pack` for latents of `shape` `(B, C, f, h, w)`."""
    _, channels, frames, height, width = shape
    return tokens.unflatten(1, (frames, height, width)).movedim(-1, 1).reshape(-1, channels, frames, height, width)


def coordinates(frames: int, height: int, width: int, first: Tensor | None = None) -> Tensor:
    """Pixel frame, y and x `(B or 1, 3, f h w)` float of latent cells; `first` `(B,)` moves them in time."""
    axes = (torch.arange(frames) * TIME + 1 - TIME, torch.arange(height) * SPACE, torch.arange(width) * SPACE)
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1).float()[None]
    grid[:, 0].clamp_(min=0)
    if first is None:
        return grid
    grid = grid.repeat(len(first), 1, 1)
    grid[:, 0] += first[:, None]
    return grid


def mix(clean: Tensor, noise: Tensor, level: Tensor, strengths: Tensor | float, generator: torch.Generator
        ) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Tokens `(B, S, C)` at `level` `(B,)` and their own levels `(B, S)`, under strengths `(B, S)`, `(B, 1)` or one for
    all."""
    own = torch.minimum(level[:, None].expand(clean.shape[:2]), 1 - torch.as_tensor(strengths))
    tokens = (1 - own[..., None]) * clean + own[..., None] * noise
    still = own < LEAST
    if still.any():
        shiver = torch.randn(clean.shape, generator=generator) * (PICTURE_NOISE * level.square())[:, None, None]
        tokens = torch.where(still[..., None], clean + shiver, tokens)
    return tokens, own


def moved(latents: Tensor) -> Tensor:
    """How much cells of normalised clips `(B, C, f, h, w)` are others than at the first frame: `(B, 1, f, h, w)`, 0..1.

    Latents have variance 1, so 1 is half of what two cells have that have nothing to do with one another.
    """
    return (latents - latents[:, :, :1]).square().mean(1, keepdim=True).clamp(max=1)


def noisy(
    latents: Tensor, noise: Tensor, level: Tensor, first: Tensor, pictures: Sequence[Picture], fps: Tensor,
    generator: torch.Generator, emphasis: float = 0.0,
) -> Noisy:  # fmt: skip
    """Clips `(B, C, f, h, w)` at noise levels `(B,)` in 0..1, with what is given of them.

    first: strengths `(B,)` of the first frame's picture, which is the clip's own first latent frame; 0: none is given.
    pictures: stand before the clip's tokens, as in the pipeline.
    fps: frame rates `(B,)`.
    emphasis: how much more a cell weighs that is another one than at the first frame, see `moved`.
    """
    batch, _, frames, height, width = latents.shape
    cells = height * width
    strengths = torch.zeros(batch, frames * cells)
    strengths[:, :cells] = first[:, None]
    weights = 1 + emphasis * pack(moved(latents))
    parts = [(pack(latents), pack(noise), strengths, coordinates(frames, height, width).repeat(batch, 1, 1), weights)]
    for picture in pictures:
        clean = pack(picture.latents)
        given = torch.randn(clean.shape, generator=generator)
        at = coordinates(1, height, width, picture.frames)
        strength = picture.strengths[:, None].expand(batch, cells)
        parts.insert(len(parts) - 1, (clean, given, strength, at, torch.ones(batch, cells, 1)))
    clean, random, strength, weights = (torch.cat([part[i] for part in parts], dim=1) for i in (0, 1, 2, 4))
    coords = torch.cat([part[3] for part in parts], dim=2)
    coords[:, 0] /= fps[:, None]
    tokens, own = mix(clean, random, level, strength, generator)
    return Noisy(tokens, own * 1000, coords, random - clean, (own >= LEAST) * weights[..., 0])


def thin(given: Noisy, latents: Tensor, share: float, generator: torch.Generator) -> Noisy:
    """A share of the tokens: of clips `(B, C, f, h, w)` those whose cells move, of their first frame and of pictures
    those near which something moves later, and others by chance. Most cells of a clip are background, and cost as much;
    each token says where and when it is, so they are not missed."""
    move = moved(latents)
    where = torch.nn.functional.max_pool2d(move.amax(2), 3, 1, 1).flatten(1)  # (B, h w)
    score = torch.cat([where, move[:, 0, 1:].flatten(1)], dim=1)
    pictures = given.tokens.shape[1] - score.shape[1]
    score = torch.cat([where.repeat(1, pictures // where.shape[1]), score], dim=1)
    score = score + torch.rand(score.shape, generator=generator) * 0.2
    rows = score.topk(round(share * score.shape[1]), dim=1).indices.sort(dim=1).values

    def of(values: Tensor) -> Tensor:
        return values.gather(1, rows[..., None].expand(-1, -1, values.shape[-1]))

    coords = given.coords.gather(2, rows[:, None].expand(-1, 3, -1))
    return Noisy(of(given.tokens), given.timesteps.gather(1, rows), coords, of(given.target),
                 given.weights.gather(1, rows))  # fmt: skip


def predict(transformer: torch.nn.Module, given: Noisy, hidden: Tensor, mask: Tensor) -> Tensor:
    """The transformer's velocity `(B, S, C)`."""
    result: Tensor = transformer(
        hidden_states=given.tokens, encoder_hidden_states=hidden, timestep=given.timesteps,
        encoder_attention_mask=mask, video_coords=given.coords, return_dict=False,
    )[0]  # fmt: skip
    return result


def loss(found: Tensor, given: Noisy, channels: Tensor) -> Tensor:
    """Mean square of the velocity over all tokens that are noisy, by their weights and those of the channels `(C,)`."""
    square = ((found - given.target).square() * channels).mean(-1)
    return (square * given.weights).sum() / given.weights.sum().clamp(min=1)


def levels(count: int, shift: float, generator: torch.Generator) -> Tensor:
    """Random noise levels `(count,)` in 0..1, denser at high ones the larger `shift` is."""
    u = torch.rand(count, generator=generator)
    return shift * u / (1 + (shift - 1) * u)
