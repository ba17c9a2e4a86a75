"""Single pictures through the video autoencoder at the price of pictures, with the same result.

A causal convolution before a single frame repeats it for each of its taps in time, and what halves or doubles frames
makes a second one that is the first again, or is dropped. For training alone: a step of pictures takes two fifths
of the time.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import conv2d

if TYPE_CHECKING:
    from diffusers import AutoencoderKLLTXVideo
    from diffusers.models.autoencoders.autoencoder_kl_ltx import (
        LTXVideoCausalConv3d,
        LTXVideoDownsampler3d,
        LTXVideoUpsampler3d,
    )


def quicken(vae: AutoencoderKLLTXVideo) -> None:
    """Let a causal VAE take the short way wherever it sees one frame; its weights and all else stay."""
    from diffusers.models.autoencoders import autoencoder_kl_ltx as ltx

    short = {ltx.LTXVideoCausalConv3d: _conv, ltx.LTXVideoDownsampler3d: _down, ltx.LTXVideoUpsampler3d: _up}
    for module in vae.modules():
        if type(module) in short:
            module.forward = MethodType(short[type(module)], module)


def _conv(self: LTXVideoCausalConv3d, x: Tensor) -> Tensor:
    """All taps in time see the same frame: their sum does."""
    if x.shape[2] > 1 or not self.is_causal:
        return type(self).forward(self, x)
    return _flat(self, x, self.conv.weight, self.conv.bias)


def _flat(self: LTXVideoCausalConv3d, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    stride, padding = self.conv.stride[1:], self.conv.padding[1:]
    return conv2d(x[:, :, 0], weight.sum(2), bias, stride, padding).unsqueeze(2)


def _down(self: LTXVideoDownsampler3d, x: Tensor) -> Tensor:
    """`(B, C, 1, H, W)`: the frame that it puts before the first one is the same, and comes out the same."""
    if x.shape[2] > 1 or not self.conv.is_causal:
        return type(self).forward(self, x)
    time = self.stride[0]
    around = fold(x.expand(-1, -1, time, -1, -1), self.stride).unflatten(1, (-1, self.group_size)).mean(2)
    return fold(self.conv(x).expand(-1, -1, time, -1, -1), self.stride) + around


def fold(x: Tensor, stride: tuple[int, int, int]) -> Tensor:
    """`(B, C, F, H, W)` -> `(B, C t h w, F / t, H / h, W / w)`: the places of each block become channels."""
    time, high, wide = stride
    parts = x.unflatten(4, (-1, wide)).unflatten(3, (-1, high)).unflatten(2, (-1, time))
    return parts.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4)


def _up(self: LTXVideoUpsampler3d, x: Tensor) -> Tensor:
    """`(B, C, 1, H, W)`: of the frames that a frame becomes all but the last are dropped, so none of them is made."""
    if x.shape[2] > 1 or not self.conv.is_causal:
        return type(self).forward(self, x)
    time, high, wide = self.stride

    def last(values: Tensor) -> Tensor:
        return values.unflatten(0, (-1, time, high, wide))[:, -1].flatten(0, 2)

    def unfold(frame: Tensor) -> Tensor:  # (B, c high wide, 1, H, W)
        return torch.pixel_shuffle(frame.squeeze(2), high).unsqueeze(2)

    made = unfold(_flat(self.conv, x, last(self.conv.conv.weight), last(self.conv.conv.bias)))
    if not self.residual:
        return made
    around = unfold(x.unflatten(1, (-1, time, high, wide))[:, :, -1].flatten(1, 3))
    return made + around.repeat(1, time * high * wide // self.upscale_factor, 1, 1, 1)
