"""How the video autoencoder begins: as the best linear code of drawn clips, found by least squares.

Residual blocks add nothing before the first step, and all else that this network has between a picture and its latents
is convolutions and the ways around them: linear, but for a norm and a SiLU at either end, which a constant beside the
content makes nearly so. Least squares then give in minutes more than the same network of random weights learns in an
hour, and training goes on from there.

The encoder keeps, wherever it folds places into channels, the combinations that tell most of the pixels (reduced-rank
regression, Izenman 1975, https://doi.org/10.1016/0047-259X(75)90042-1). The decoder is fitted, place by place and with
its neighbours, to the principal components of the pixels that it comes to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tasks.sprite.ltx.networks import QUIET
from tasks.sprite.ltx.stills import fold

if TYPE_CHECKING:
    from diffusers import AutoencoderKLLTXVideo
    from diffusers.models.autoencoders.autoencoder_kl_ltx import (
        LTXVideoCausalConv3d,
        LTXVideoDecoder3d,
        LTXVideoEncoder3d,
        LTXVideoUpsampler3d,
    )

CONSTANT = 3.0  # what stands beside the content before a norm, in deviations of the content
PLACES = 30_000  # of all clips, by which a convolution is fitted
PIXELS = 512  # principal components that stand for a block's pixels where it has more
OWN, AROUND = 1e-4, 3e-2  # ridge of a place's own tap, and of what its neighbours add


@torch.no_grad()
def begin_linear(vae: AutoencoderKLLTXVideo, clips: Tensor) -> None:
    """Set all weights of an untrained VAE (`networks.build_vae`).

    clips: `(N, 3, F, H, W)` in -1..1; a few hundred, since the 6,000 numbers of a cell become 128.
    """
    pixels = patches(clips, vae.config.patch_size)
    _fit_decoder(vae.decoder, _fit_encoder(vae.encoder, pixels), pixels)


def patches(clips: Tensor, side: int) -> Tensor:
    """`(N, 3, F, H, W)` -> `(N, 3 side side, F, H / side, W / side)`, in diffusers' order: colour, across, down."""
    parts = clips.unflatten(4, (-1, side)).unflatten(3, (-1, side))
    return parts.permute(0, 1, 6, 4, 2, 3, 5).flatten(1, 3)


def _fit_encoder(encoder: LTXVideoEncoder3d, pixels: Tensor) -> Tensor:
    """Returns the latents `(N, C, f, h, w)`."""
    flat = _rows(pixels)
    channels = flat.shape[1]
    whole = min(channels, encoder.conv_in.out_channels)
    others = torch.randn(channels, encoder.conv_in.out_channels - whole) * 0.3 / channels**0.5
    _set_own(encoder.conv_in, torch.cat([_components(flat, whole), others], 1), flat.mean(0))
    x, told = encoder.conv_in(pixels), pixels
    for block in encoder.down_blocks:
        for layer in block.resnets:
            x = layer(x)
        (down,) = block.downsamplers
        before = _led(x, down.stride[0])
        keep = _most_telling(_rows(before), _rows(_led(told, down.stride[0])), down.conv.out_channels)
        scale = _rows(before).std() / (_rows(before) @ keep).std()  # the way around adds as much: neither is drowned
        _set_own(down.conv, keep * scale, _rows(before).mean(0))
        x, told = down(x), fold(_led(told, down.stride[0]), down.stride)
    constant = CONSTANT * x.std()
    down.conv.conv.bias += constant
    x = encoder.mid_block(x + constant)
    x = encoder.conv_act(encoder.norm_out(x.movedim(1, -1)).movedim(-1, 1))
    count = encoder.conv_out.out_channels - 1  # the last is the log variance of all
    keep = _most_telling(_rows(x), _rows(told), count)
    keep = keep / (_rows(x) @ keep).std(0).mean()
    _set_own(encoder.conv_out, torch.cat([keep, torch.zeros(len(keep), 1)], 1), _rows(x).mean(0))
    encoder.conv_out.conv.bias[-1] = QUIET
    return encoder.conv_out(x)[:, :count]


def _fit_decoder(decoder: LTXVideoDecoder3d, latents: Tensor, pixels: Tensor) -> None:
    ups = [up for block in decoder.up_blocks for up in block.upsamplers or []]
    shown = [pixels]  # blocks of pixels at each resolution, the coarsest first
    for up in reversed(ups):
        shown.insert(0, fold(_led(shown[0], up.stride[0]), up.stride))
    width = decoder.conv_in.out_channels
    flat, kept = _rows(latents), torch.eye(latents.shape[1], max(width, latents.shape[1]))[:, :width]
    if width < latents.shape[1]:
        kept = _most_telling(flat, _rows(shown[0]), width)
    _set_own(decoder.conv_in, kept, torch.zeros(len(kept)))
    x = decoder.mid_block(decoder.conv_in(latents))
    for block in decoder.up_blocks:
        for up in block.upsamplers or []:
            del shown[0]
            constant = CONSTANT if len(shown) == 1 else 0.0  # the next is a norm
            x = _fit_upsampler(up, x, _principal(shown[0], up.conv.out_channels // _size(up)) + constant)
        for layer in block.resnets:
            x = layer(x)
    x = decoder.conv_act(decoder.norm_out(x.movedim(1, -1)).movedim(-1, 1))
    _fit(decoder.conv_out, x, pixels)


def _fit_upsampler(up: LTXVideoUpsampler3d, x: Tensor, wanted: Tensor) -> Tensor:
    """Let it make `wanted` of `x`, with what its way around makes already; returns what it makes."""
    up.conv.conv.weight.zero_()
    up.conv.conv.bias.zero_()
    _fit(up.conv, x, fold(_led(wanted - up(x), up.stride[0]), up.stride))
    return up(x)


def _size(up: LTXVideoUpsampler3d) -> int:
    return up.stride[0] * up.stride[1] * up.stride[2]


def _led(x: Tensor, time: int) -> Tensor:
    """With the first frame once more for each frame that is folded with it."""
    return torch.cat([x[:, :, : time - 1], x], 2)


def _rows(x: Tensor) -> Tensor:
    """`(N, C, F, H, W)` -> `(places, C)`."""
    return x.movedim(1, -1).flatten(0, -2)


def _set_own(conv: LTXVideoCausalConv3d, matrix: Tensor, mean: Tensor) -> None:
    """A causal convolution that looks at a place alone: `(x - mean) @ matrix`; in time the last tap is the own one."""
    weight = conv.conv.weight
    weight.zero_()
    weight[:, :, -1, weight.shape[3] // 2, weight.shape[4] // 2] = matrix.T
    conv.conv.bias.copy_(-(mean @ matrix))


def _fit(conv: LTXVideoCausalConv3d, x: Tensor, wanted: Tensor) -> None:
    """Least squares at places drawn from all clips: a place's own channels first, then what its neighbours add."""
    around, own, rows = _drawn(x, wanted)
    first, bias = _solved(own, rows, OWN)
    rest, more = _solved(around, rows - own @ first - bias, AROUND)
    weight: nn.Parameter = conv.conv.weight
    weight.copy_(rest.T.view_as(weight))
    weight[:, :, -1, weight.shape[3] // 2, weight.shape[4] // 2] += first.T
    conv.conv.bias.copy_(bias + more)


def _drawn(x: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """At `PLACES` by chance: the 27 places that a causal convolution sees `(places, 27 C)`, the own one, the target."""
    count, _, frames, height, width = x.shape
    padded = nn.functional.pad(torch.cat([x[:, :, :1]] * 2 + [x], 2), (1, 1, 1, 1))
    n, f, h, w = (torch.randint(size, (PLACES,)) for size in (count, frames, height, width))
    f[: PLACES // 10] = 0  # a clip's first frame is a picture by itself
    taps = [padded[n, :, f + t, h + i, w + j] for t in range(3) for i in range(3) for j in range(3)]
    return torch.stack(taps, 2).flatten(1), x[n, :, f, h, w], wanted[n, :, f, h, w]


def _solved(x: Tensor, y: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Matrix and bias with which `x` `(places, A)` gives `y` `(places, B)` best."""
    mean, goal = x.mean(0), y.mean(0)
    gram = (x - mean).T @ (x - mean)
    gram.diagonal().add_(ridge * gram.diagonal().mean())
    matrix = torch.linalg.solve(gram, (x - mean).T @ (y - goal))
    return matrix, goal - mean @ matrix


def _most_telling(x: Tensor, y: Tensor, rank: int) -> Tensor:
    """The `(A, rank)` combinations of `x` `(places, A)` that tell most of `y` `(places, B)`; chance ones past `B`."""
    some = torch.randperm(len(x))[: 2 * PLACES]
    x, y = x[some], y[some]
    y = y @ _components(y, PIXELS) if y.shape[1] > PIXELS else y
    matrix, _ = _solved(x, y, OWN)
    values, vectors = torch.linalg.eigh(torch.cov(x.T))
    spread = vectors * values.clamp(min=0).sqrt()
    best = matrix @ torch.linalg.svd(spread.T @ matrix, full_matrices=False).Vh[:rank].T
    return torch.cat([best, torch.randn(len(best), rank - best.shape[1]) * best.std()], 1)


def _principal(pixels: Tensor, count: int) -> Tensor:
    """`(N, B, F, H, W)` -> the first `count` principal components of unit deviation, zeros where there are fewer."""
    flat = _rows(pixels)
    parts = (flat - flat.mean(0)) @ _components(flat, min(count, flat.shape[1]))
    parts = nn.functional.pad(parts / parts.std(), (0, count - parts.shape[1]))
    return parts.unflatten(0, (len(pixels), *pixels.shape[2:])).movedim(-1, 1)


def _components(y: Tensor, count: int) -> Tensor:
    """The first principal directions `(B, count)` of `(places, B)`; of very many numbers nearly those."""
    some = y[torch.randperm(len(y))[: PLACES if y.shape[1] <= 4096 else 2000]]
    some = some - some.mean(0)
    if some.shape[1] > 4096:
        return torch.svd_lowrank(some, min(count, len(some)), niter=1)[2]
    return torch.linalg.eigh(some.T @ some).eigenvectors[:, -count:].flip(1)
