"""RIFE, the network: real-time intermediate flow estimation (Huang et al., ECCV 2022, arXiv 2011.06294), version 3.

Written to the names of its published weights. From two frames three blocks, from coarse to fine, estimate how far each
pixel of the frame half-way between has moved from either side, and how much of each side shows there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

WIDTH = 90
SCALES = (4, 2, 1)
"""At which part of the size each block works."""
MULTIPLE = 32
"""Sides that the blocks take are multiples of this, px."""


def _convolution(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1), nn.PReLU(outer))


def _enlarging(inner: int, outer: int) -> nn.Sequential:
    half = inner // 2
    return nn.Sequential(
        nn.ConvTranspose2d(inner, half, 4, 2, 1), nn.PReLU(half), nn.ConvTranspose2d(half, outer, 4, 2, 1)
    )


class Block(nn.Module):
    """Corrects motion ``(B, 4, H, W)``, two of x and y, and the mask ``(B, 1, H, W)``, at a part of the size."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(_convolution(channels, width // 2, 2), _convolution(width // 2, width, 2))
        for number in range(4):
            pair = nn.Sequential(_convolution(width, width), _convolution(width, width))
            self.add_module(f"convblock{number}", pair)
        self.conv1 = _enlarging(width, 4)
        self.conv2 = _enlarging(width, 1)

    def forward(self, seen: torch.Tensor, motion: torch.Tensor, scale: int) -> tuple[torch.Tensor, torch.Tensor]:
        small = [_resized(seen, 1 / scale), _resized(motion, 1 / scale) / scale]
        features = self.conv0(torch.cat(small, 1))
        for number in range(4):
            features = features + self.get_submodule(f"convblock{number}")(features)
        return _resized(self.conv1(features), scale) * scale, _resized(self.conv2(features), scale)


class Rife(nn.Module):
    """The frame half-way between two."""

    def __init__(self) -> None:
        super().__init__()
        for number in range(len(SCALES)):
            self.add_module(f"block{number}", Block(11, WIDTH))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """From frames ``(B, 3, H, W)``, 0 to 1, sides multiples of `MULTIPLE`, to one of the same shape."""
        motion = first.new_zeros(len(first), 4, *first.shape[2:])
        mask = motion[:, :1]
        moved = [first, second]
        for number, scale in enumerate(SCALES):
            block = self.get_submodule(f"block{number}")
            onward = block(torch.cat([*moved, mask], 1), motion, scale)
            backward = block(torch.cat([*moved[::-1], -mask], 1), _swapped(motion), scale)
            motion = motion + (onward[0] + _swapped(backward[0])) / 2
            mask = mask + (onward[1] - backward[1]) / 2
            moved = [_warped(first, motion[:, :2]), _warped(second, motion[:, 2:])]
        share = torch.sigmoid(mask)
        return moved[0] * share + moved[1] * (1 - share)


def load(weights: dict[str, Any]) -> Rife:
    """The network with its published weights; what was there for training alone is left out."""
    network = Rife()
    network.load_state_dict({name: tensor for name, tensor in weights.items() if not name.startswith("block_tea.")})
    return network.eval()


def _swapped(motion: torch.Tensor) -> torch.Tensor:
    return torch.cat([motion[:, 2:], motion[:, :2]], 1)


def _resized(picture: torch.Tensor, scale: float) -> torch.Tensor:
    if scale == 1:
        return picture
    return F.interpolate(picture, scale_factor=scale, mode="bilinear", align_corners=False)


def _warped(picture: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
    """Each pixel taken from where ``motion`` (px) says it was; beyond the edges, the edge."""
    height, width = picture.shape[2:]
    rows = torch.arange(height, device=picture.device, dtype=picture.dtype)
    columns = torch.arange(width, device=picture.device, dtype=picture.dtype)
    x = (columns[None, None] + motion[:, 0]) * 2 / (width - 1) - 1
    y = (rows[None, :, None] + motion[:, 1]) * 2 / (height - 1) - 1
    grid = torch.stack([x, y], -1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=True)
