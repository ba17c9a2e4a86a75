"""Stage `motion`: the adapter learns how drawn dancers move, on the frozen UNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.sprite.diffusion import Noising, token_ids
from tasks.sprite.latents import Latents
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.networks import build_motion_adapter
from tasks.sprite.skeleton import CLIP_FRAMES
from tasks.sprite.stage_joint import Check, weighted_loss

if TYPE_CHECKING:
    from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
    from transformers import CLIPTokenizer

WITH_POSE = 0.8  # share of clips trained under the pose ControlNet


class MotionStage:
    """Only the motion modules are trained; all frames of a clip share one timestep and one caption.

    `steady` weighs the error's change from frame to frame beside the error itself: both have the same best answer, but
    the adapter's few parameters are spent on what flickers. `shared_noise` of the clips have noise that their frames
    share in part or as a whole, as a user may start a render from (Ge et al., PYoCo, https://arxiv.org/abs/2305.10474).

    What a prompt leaves open must be one thing in all frames. All frames of a drawn clip share it, so the adapter can
    learn to agree on it, if it is asked to: `leave_out` is the chance of each clause of a caption to be left out, and
    `early` the share of clips whose timestep is among the noisiest quarter, where such a choice is made.
    """

    def __init__(self, latents: Latents, tokenizer: CLIPTokenizer, text_encoder: nn.Module,
                 unet: UNet2DConditionModel, openpose: nn.Module, adapter: MotionAdapter, batch: int,
                 steady: float = 0.0, shared_noise: float = 0.0, leave_out: float = 0.08, early: float = 0.0,
                 check: Check | None = None) -> None:  # fmt: skip
        from diffusers import UNetMotionModel

        self.steady, self.shared_noise, self.leave_out, self.early = steady, shared_noise, leave_out, early
        self.latents, self.tokenizer, self.noising = latents, tokenizer, Noising()
        self.text_encoder, self.openpose, self.batch, self.check = text_encoder, openpose, batch, check
        self.unet: UNetMotionModel = UNetMotionModel.from_unet2d(unet, adapter)
        for net in (self.unet, text_encoder, openpose):
            net.requires_grad_(False)
        for name, p in self.unet.named_parameters():
            p.requires_grad_("motion_modules" in name)

    def stage(self) -> Stage:
        return Stage("motion", {"unet_motion": self.unet}, self.loss, self.check, [self.text_encoder, self.openpose])

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        clips = draw.rng.integers(self.latents.clips, size=self.batch)
        rows = np.concatenate([self.latents.data.clip_rows(int(clip)) for clip in clips])
        z = self.latents.latents(rows)
        t = draw.times(self.batch)
        noisiest = torch.from_numpy(draw.rng.random(self.batch) < self.early).to(draw.device)
        t = torch.where(noisiest, 750 + t // 4, t)
        every = t.repeat_interleave(CLIP_FRAMES)
        noisy, target = self.noising.mix(z, clip_noise(draw, self.batch, z.shape[1:], self.shared_noise), every)
        down: Any = None
        mid: Any = None
        with torch.no_grad():
            captions = self.latents.captions(rows[::CLIP_FRAMES], draw.rng, self.leave_out)
            hidden = self.text_encoder(token_ids(self.tokenizer, captions).to(draw.device)).last_hidden_state
            hidden = hidden.repeat_interleave(CLIP_FRAMES, 0)
            if draw.rng.random() < WITH_POSE:
                maps = self.latents.maps("openpose", rows, draw.rng)
                down, mid = self.openpose(noisy, every, hidden, maps, return_dict=False)
        video = noisy.unflatten(0, (self.batch, CLIP_FRAMES)).transpose(1, 2)  # (B, 8, 16, h, w)
        v = self.unet(video, t, hidden, down_block_additional_residuals=down, mid_block_additional_residual=mid).sample
        v = v.transpose(1, 2).flatten(0, 1)
        loss, figures = weighted_loss(v, target, self.latents.cell_weights(rows))
        change = (v - target).unflatten(0, (self.batch, CLIP_FRAMES)).diff(dim=1).square().mean()
        return loss + self.steady * change, figures | {"change": float(change.detach())}

    def adapter(self) -> MotionAdapter:
        """The motion modules as they are now, as a MotionAdapter of their own."""
        adapter = build_motion_adapter()
        adapter.load_state_dict({k: v for k, v in self.unet.state_dict().items() if "motion_modules" in k})
        return adapter


def clip_noise(draw: Draw, clips: int, shape: torch.Size, share: float, frames: int = CLIP_FRAMES) -> Tensor:
    """Noise `(clips * frames, *shape)` of deviation 1: u * common + sqrt(1 - u²) * each frame's own.

    u is 0 but in `share` of the clips; there it is 0.5 or more, and 1, one noise for all frames, in half of them.
    """
    own = draw.normal(clips, frames, *shape)
    common = draw.normal(clips, 1, *shape)
    shares = draw.rng.random(clips) < share
    u = torch.from_numpy(np.where(shares, np.minimum(draw.rng.uniform(0.5, 1.5, clips), 1), 0)).to(own.device).float()
    u = u.view(-1, *[1] * (own.ndim - 1))
    return (u * common + (1 - u.square()).sqrt() * own).flatten(0, 1)
