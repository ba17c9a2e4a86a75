"""Stages `joint` (UNet + openpose ControlNet) and `controls` (the other ControlNets on a frozen base)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tasks.sprite.diffusion import Noising, token_ids
from tasks.sprite.latents import Latents
from tasks.sprite.loop import Draw, Stage

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

Check = Callable[[int], dict[str, float]]
BLANKED = ("lineart", "depth")  # maps in which a blank region means: unknown


def weighted_loss(v: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Uniform v-loss with cell weights; reports the plain mean square as well."""
    square = (v - target).square()
    return (square * weights).mean(), {"v_mse": float(square.detach().mean())}


class JointStage:
    """UNet and openpose ControlNet as one; the share `with_pose` of a batch sees its skeleton.

    The text encoder is frozen here: stage `text` has made every attribute linearly readable, and its share of a step
    buys more when it goes into pictures.
    """

    def __init__(self, latents: Latents, tokenizer: CLIPTokenizer, text_encoder: nn.Module, unet: nn.Module,
                 openpose: nn.Module, batch: int, with_pose: float = 0.6,
                 check: Check | None = None) -> None:  # fmt: skip
        self.latents, self.tokenizer, self.noising = latents, tokenizer, Noising()
        self.text_encoder, self.unet, self.openpose = text_encoder, unet, openpose
        self.batch, self.posed, self.check = batch, round(batch * with_pose), check
        text_encoder.requires_grad_(False)

    def stage(self) -> Stage:
        nets = {"unet": self.unet, "controlnet_openpose": self.openpose}
        return Stage("joint", nets, self.loss, self.check, [self.text_encoder])

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        rows = self.latents.rows(draw.rng, self.batch)
        z = self.latents.latents(rows)
        t = draw.times(self.batch)
        noisy, target = self.noising.mix(z, draw.normal(*z.shape), t)
        with torch.no_grad():
            captions = self.latents.captions(rows, draw.rng)
            hidden = self.text_encoder(token_ids(self.tokenizer, captions).to(draw.device)).last_hidden_state
        k = self.posed
        maps = self.latents.maps("openpose", rows[:k], draw.rng)
        down, mid = self.openpose(noisy[:k], t[:k], hidden[:k], maps, return_dict=False)
        down, mid = [_pad(d, self.batch) for d in down], _pad(mid, self.batch)
        v = self.unet(noisy, t, hidden, down_block_additional_residuals=down, mid_block_additional_residual=mid).sample
        return weighted_loss(v, target, self.latents.cell_weights(rows))


class ControlsStage:
    """ControlNets on the frozen text encoder and UNet.

    Each net has its share of the batch; lineart and depth, when both are trained, see one more share together, as they
    are used. `blank` of their maps lack a region, see `Latents.maps_with_blanks`.
    """

    def __init__(self, latents: Latents, tokenizer: CLIPTokenizer, text_encoder: nn.Module, unet: nn.Module,
                 nets: dict[str, nn.Module], batch: int, blank: float = 0.0,
                 check: Check | None = None) -> None:  # fmt: skip
        self.latents, self.tokenizer, self.noising = latents, tokenizer, Noising()
        self.text_encoder, self.unet, self.nets = text_encoder, unet, nets
        self.groups: list[tuple[str, ...]] = [(kind,) for kind in nets]
        if set(BLANKED) <= set(nets):
            self.groups.append(BLANKED)
        self.each, self.blank, self.check = max(1, batch // len(self.groups)), blank, check
        for net in (text_encoder, unet):
            net.requires_grad_(False)

    def stage(self) -> Stage:
        nets = {f"controlnet_{kind}": net for kind, net in self.nets.items()}
        return Stage("controls", nets, self.loss, self.check, [self.text_encoder, self.unet])

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        batch = self.each * len(self.groups)
        rows = self.latents.rows(draw.rng, batch)
        z = self.latents.latents(rows)
        t = draw.times(batch)
        noisy, target = self.noising.mix(z, draw.normal(*z.shape), t)
        with torch.no_grad():
            captions = self.latents.captions(rows, draw.rng)
            hidden = self.text_encoder(token_ids(self.tokenizer, captions).to(draw.device)).last_hidden_state
        outputs: list[list[Tensor]] = []
        for i, kinds in enumerate(self.groups):
            part = slice(i * self.each, (i + 1) * self.each)
            share = self.blank if set(kinds) <= set(BLANKED) else 0.0
            maps = self.latents.maps_with_blanks(kinds, rows[part], draw.rng, share)
            each = [self._residuals(kind, m, noisy[part], t[part], hidden[part])
                    for kind, m in zip(kinds, maps, strict=True)]  # fmt: skip
            outputs.append([torch.stack(level).sum(0) for level in zip(*each, strict=True)])
        *down, mid = (torch.cat(level) for level in zip(*outputs, strict=True))
        v = self.unet(noisy, t, hidden, down_block_additional_residuals=down, mid_block_additional_residual=mid).sample
        return weighted_loss(v, target, self.latents.cell_weights(rows))

    def _residuals(self, kind: str, maps: Tensor, noisy: Tensor, t: Tensor, hidden: Tensor) -> list[Tensor]:
        down, mid = self.nets[kind](noisy, t, hidden, maps, return_dict=False)
        return [*down, mid]


def _pad(x: Tensor, count: int) -> Tensor:
    """Zero residuals for the samples without a skeleton."""
    return torch.cat([x, x.new_zeros(count - len(x), *x.shape[1:])])
