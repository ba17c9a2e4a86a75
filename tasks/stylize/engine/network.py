"""One prediction for a clip of any length: the UNet and the ControlNets, told everything that they need.

Clips longer than the motion modules' window are cut into overlapping windows for these alone (`windows`), or as a whole
for comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reel.errors import UserError
from tasks.stylize.engine.buffers import Buffers
from tasks.stylize.engine.clock import Clock
from tasks.stylize.engine.controls import Controls
from tasks.stylize.engine.prompts import Conditioning, Text
from tasks.stylize.engine.reuse import RESET_EVERY, FirstBlock, PassKey, difference, state_of, total
from tasks.stylize.engine.walk import Pass, Walk
from tasks.stylize.engine.windows import Window, WindowPlan, make_windows

if TYPE_CHECKING:
    import torch

Extra = Callable[["torch.Tensor", Pass, np.ndarray, int, int], Any]
"""Gives residuals like `Controls.residuals`."""


@dataclass
class Network:
    """A UNetMotionModel with everything that it is conditioning, as one function of latents and time.

    Attributes:
        windows: how clips longer than a window are cut; the motion modules' limit is checked against it.
        scope: ``motion``: only motion modules run in windows. ``full``: every window is a full pass, and the
            predictions are fused: more work, for comparison.
        block: frames that spatial layers take at a time.
        guidance_end: part of the denoising after which there is no guidance.
        first_block: lets steps skip all but the first layer.
        channels_last: as in `Pass`.
    """

    unet: Any
    conditioning: Conditioning
    controls: Controls = field(default_factory=lambda: Controls([]))
    windows: WindowPlan = field(default_factory=WindowPlan)
    scope: str = "motion"
    block: int = 16
    buffers: Buffers = field(default_factory=Buffers)
    clock: Clock = field(default_factory=Clock)
    extra: Extra | None = None
    guidance_end: float = 1.0
    first_block: FirstBlock | None = None
    channels_last: bool = False

    @property
    def period(self) -> int:
        """Steps after which nothing of earlier steps is used any more: where a render can go on after a kill."""
        return math.lcm(self.controls.reuse.every, RESET_EVERY if self.first_block else 1)

    def __post_init__(self) -> None:
        most = int(self.unet.config.motion_max_seq_length)
        if self.windows.context_length > most:
            raise UserError(
                f"context_length ({self.windows.context_length}) is over the motion module's window ({most} frames)",
                fix=f"stylize.windows.context_length={most}",
            )

    def __call__(self, latents: torch.Tensor, timestep: Any, step: int, steps: int) -> torch.Tensor:
        """Scaled latents ``(1, C, F, H, W)`` to the guided prediction of the same shape."""
        import torch

        count, conditioning = latents.shape[2], self.conditioning
        if step / steps >= self.guidance_end:
            conditioning = conditioning.unguided()
        self.controls.reuse.begin(step)
        if self.first_block is not None:
            self.first_block.begin(step)
        states = latents[0].transpose(0, 1).to(self.unet.dtype)  # (F, C, H, W)
        windows = make_windows(count, self.windows, step)
        if self.scope == "motion" or len(windows) == 1:
            raw = self._pass(conditioning, states, np.arange(count), windows, timestep, step, steps)
        else:
            raw = torch.zeros((conditioning.branches, *states.shape), dtype=torch.float32, device=states.device)
            for window in windows:
                own = [Window(np.arange(len(window.frames)), np.ones(len(window.frames)))]
                part = self._pass(conditioning, states[window.frames], window.frames, own, timestep, step, steps)
                share = torch.as_tensor(window.weights, dtype=torch.float32, device=part.device)
                weighed = part.float() * share[None, :, None, None, None]
                raw.index_add_(1, torch.as_tensor(window.frames, device=raw.device), weighed)
        return conditioning.guide(raw.to(latents.dtype)).transpose(0, 1)[None]

    def _pass(
        self,
        conditioning: Conditioning,
        states: torch.Tensor,
        frames: np.ndarray,
        windows: list[Window],
        timestep: Any,
        step: int,
        steps: int,
    ) -> torch.Tensor:
        """``(F, C, H, W)`` -> ``(S, F, C, H, W)`` for the given frames of the clip."""
        sample = states[None].expand(conditioning.branches, *states.shape)
        made = Pass(
            timestep,
            remembered(lambda block: conditioning.text(frames[block])),
            windows,
            self.block,
            self.buffers,
            self.clock,
            conditioning.additions(frames),
            channels_last=self.channels_last,
        )
        residuals = self.controls.residuals(sample, made, frames, step, steps)
        if self.extra is not None:
            residuals = _both(residuals, self.extra(sample, made, frames, step, steps))
        # the controls read the prompt alone; regions and reference pictures are for the UNet
        text, bias = conditioning.regional(made.text, frames, states.dtype)
        if conditioning.shown is not None:
            told = conditioning.shown.join(text, frames, conditioning.branches)
        else:
            told = with_pictures(self.unet, text, made.added)
        own = replace(made, text=remembered(told), bias=bias)
        if self.first_block is None:
            return predict(self.unet, sample, own, residuals)
        key = (frames.tobytes(), state_of(self.controls.scales(frames, step, steps)))
        return predict(self.unet, sample, own, residuals, self.first_block, key)


Residuals = Callable[[list["torch.Tensor"], "torch.Tensor"], "torch.Tensor"]
"""Adds control residuals to the skip connections in place, and to the middle, which is returned."""


def predict(
    unet: Any,
    sample: torch.Tensor,
    made: Pass,
    residuals: Residuals | None = None,
    cache: FirstBlock | None = None,
    key: PassKey = (b"", b""),
) -> torch.Tensor:
    """The model's output for a whole clip.

    Args:
        unet: a UNetMotionModel.
        sample: scaled noisy latents ``(S, F, C, H, W)``.
        residuals: adds what the controls say, once the encoder half is done.
        cache: lets all but the first layer be skipped; ``key``: which pass this is, for it.

    Returns:
        ``(S, F, C, H, W)``.
    """
    walk = Walk(unet, sample, made)
    entered = walk.spatial("sampling", lambda x, _: unet.conv_in(x), sample)
    if cache is None:
        return walk.finish(_through(walk, entered, None, residuals))
    first = walk.first(entered)
    rest = cache.find(key, entered, first)
    if rest is not None:
        return walk.finish(total(first, rest, made.buffers, walk.device))
    change = difference(first, entered, made.buffers, walk.device)
    begin = made.buffers.empty(tuple(first.shape), first.dtype, walk.device).copy_(first)  # residuals change `first`
    states = _through(walk, entered, first, residuals)
    cache.hold(key, change, difference(states, begin, made.buffers, walk.device))
    return walk.finish(states)


def _through(walk: Walk, entered: torch.Tensor, first: Any, residuals: Residuals | None) -> torch.Tensor:
    """All layers between the first convolution and the output's."""
    states, skips = walk.down(entered, first)
    states = walk.middle(states)
    if residuals is not None:
        states = residuals(skips, states)
    return walk.up(states, skips)


def remembered(text: Text) -> Text:
    """The same embeddings, gathered once while the layers go on asking for one block."""
    kept: list[Any] = [None, None]

    def again(block: slice) -> Any:
        place = (block.start, block.stop)
        if kept[0] != place:
            kept[:] = [place, text(block)]
        return kept[1]

    return again


def with_pictures(unet: Any, text: Text, added: Mapping[str, Any]) -> Text:
    """Text embeddings joined with those of IP-Adapter's reference pictures (arXiv:2308.06721)."""
    if unet.encoder_hid_proj is None or unet.config.encoder_hid_dim_type != "ip_image_proj":
        return text
    pictures = unet.encoder_hid_proj(added["image_embeds"])  # list of (S, P, T, D)

    def both(block: slice) -> Any:
        count = block.stop - block.start
        return text(block), [picture.repeat_interleave(count, dim=0) for picture in pictures]

    return both


def _both(first: Any, second: Any) -> Any:
    if first is None or second is None:
        return first or second

    def add(skips: list[torch.Tensor], middle: torch.Tensor) -> torch.Tensor:
        return second(skips, first(skips, middle))

    return add
