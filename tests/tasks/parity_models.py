"""Families that the engine is held to the stock pipelines with: tiny, the embedded one, and SD 1.5's full width."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, ControlNetModel, SparseControlNetModel

from benchmarks.engine_models import SPRITE, build
from tasks.bench.random_models import KINDS, SIZES, draw
from tests.tasks import engine_models as tiny

MOTION_KINDS = ("CrossAttnDownBlockMotion",) * 3 + ("DownBlockMotion",)


@dataclass(frozen=True)
class Family:
    """What a pipeline and the engine compute with.

    Attributes:
        side: px of a frame; ``factor``: px of a latent.
        frames: of a clip.
    """

    unet: Any
    nets: tuple[Any, Any]
    sparse: Any
    vae: Any
    text: Callable[[int], torch.Tensor]
    side: int
    factor: int
    frames: int

    def pictures(self, count: int, seed: int = 0) -> np.ndarray:
        return tiny.pictures(count, seed, self.side)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the latents."""
        side = self.side // self.factor
        return (1, int(self.unet.config.in_channels), self.frames, side, side)


def words(width: int) -> Callable[[int], torch.Tensor]:
    """Embeddings ``(1, 77, width)`` by seed."""
    return lambda seed: torch.randn(1, 77, width, generator=torch.Generator().manual_seed(seed))


@functools.cache
def family(name: str) -> Family:
    return {"tiny": _tiny, "sprite": _sprite, "full": _full}[name]()


def _tiny() -> Family:
    nets = (tiny.controlnet(2), tiny.controlnet(3))
    return Family(tiny.unet(), nets, tiny.sparse(), tiny.vae(), tiny.text, side=16, factor=2, frames=4)


def _sprite() -> Family:
    """The embedded family; it has no SparseCtrl, so that one's net is random, of the family's widths."""
    models = build("sprite", "float32")
    config = models.nets[0].config
    names = ("in_channels", "block_out_channels", "layers_per_block", "cross_attention_dim", "attention_head_dim")
    kinds = tuple(kind.replace("2D", "Motion") for kind in config.down_block_types)
    sparse = SparseControlNetModel(
        **{name: config[name] for name in (*names, "norm_num_groups")},
        down_block_types=kinds,
        conditioning_channels=3,
        motion_num_attention_heads=2,
        use_simplified_condition_embedding=False,
    )
    return Family(
        models.unet,
        (models.nets[0], ControlNetModel.from_pretrained(SPRITE / "controlnet_lineart").eval()),
        tiny.redrawn(sparse, 3),
        AutoencoderKL.from_pretrained(SPRITE / "vae").eval(),
        words(models.words),
        side=64,
        factor=8,
        frames=2,
    )


def _full() -> Family:
    """Random networks of SD 1.5's widths, with a small VAE: it is no part of the denoising."""
    models = build("sd15", "float32")
    with init_empty_weights():
        other = ControlNetModel(down_block_types=KINDS, attention_head_dim=8, **SIZES["sd15"])
        sparse = SparseControlNetModel(
            down_block_types=MOTION_KINDS,
            attention_head_dim=8,
            conditioning_channels=3,
            use_simplified_condition_embedding=False,
            **SIZES["sd15"],
        )
    for seed, net in enumerate((other, sparse)):
        draw(net, 5 + seed, torch.float32)
        net.eval()
    vae = AutoencoderKL(
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
    )
    nets = (models.nets[0], other)
    return Family(models.unet, nets, sparse, tiny.redrawn(vae, 4), words(768), side=64, factor=8, frames=2)
