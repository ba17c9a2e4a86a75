"""The denoising loop: latents in, latents out, one scheduler step after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from reel.errors import UserError
from tasks.stylize.engine.buffers import Buffers
from tasks.stylize.engine.clock import Clock
from tasks.stylize.engine.controls import Controls
from tasks.stylize.engine.network import Pass, predict, remembering, with_pictures
from tasks.stylize.engine.prompts import Conditioning
from tasks.stylize.engine.reuse import GRID, FirstBlock, state_of
from tasks.stylize.engine.windows import Window, WindowPlan, make_windows

if TYPE_CHECKING:
    import torch

Predict = Callable[["torch.Tensor", Any, int, int], "torch.Tensor"]
"""(scaled latents ``(1, C, F, H, W)``, timestep, step, steps) -> the guided prediction, same shape."""

Extra = Callable[["torch.Tensor", Pass, np.ndarray, int, int], Any]
"""Gives residuals like `Controls.residuals`."""


@dataclass
class Network:
    """A UNetMotionModel with everything that it is told, as one function of latents and time.

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
        return math.lcm(self.controls.reuse.every, GRID if self.first_block else 1)

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

        count, told = latents.shape[2], self.conditioning
        if step / steps >= self.guidance_end:
            told = told.unguided()
        self.controls.reuse.begin(step)
        if self.first_block is not None:
            self.first_block.begin(step)
        states = latents[0].transpose(0, 1).to(self.unet.dtype)  # (F, C, H, W)
        windows = make_windows(count, self.windows, step)
        if self.scope == "motion" or len(windows) == 1:
            raw = self._pass(told, states, np.arange(count), windows, timestep, step, steps)
        else:
            raw = torch.zeros((told.branches, *states.shape), dtype=torch.float32, device=states.device)
            for window in windows:
                own = [Window(np.arange(len(window.frames)), np.ones(len(window.frames)))]
                part = self._pass(told, states[window.frames], window.frames, own, timestep, step, steps)
                share = torch.as_tensor(window.weights, dtype=torch.float32, device=part.device)
                weighed = part.float() * share[None, :, None, None, None]
                raw.index_add_(1, torch.as_tensor(window.frames, device=raw.device), weighed)
        return told.guide(raw.to(latents.dtype)).transpose(0, 1)[None]

    def _pass(
        self,
        told: Conditioning,
        states: torch.Tensor,
        frames: np.ndarray,
        windows: list[Window],
        timestep: Any,
        step: int,
        steps: int,
    ) -> torch.Tensor:
        """``(F, C, H, W)`` -> ``(S, F, C, H, W)`` for the given frames of the clip."""
        sample = states[None].expand(told.branches, *states.shape)
        made = Pass(
            timestep,
            remembering(lambda block: told.text(frames[block])),
            windows,
            self.block,
            self.buffers,
            self.clock,
            told.additions(frames),
            channels_last=self.channels_last,
        )
        residuals = self.controls.residuals(sample, made, frames, step, steps)
        if self.extra is not None:
            residuals = _both(residuals, self.extra(sample, made, frames, step, steps))
        # the controls read the prompt alone; regions and reference pictures are for the UNet
        text, bias = told.regional(made.text, frames, states.dtype)
        own = replace(made, text=remembering(with_pictures(self.unet, text, made.added)), bias=bias)
        if self.first_block is None:
            return predict(self.unet, sample, own, residuals)
        which = (frames.tobytes(), state_of(self.controls.scales(frames, step, steps)))
        return predict(self.unet, sample, own, residuals, self.first_block, which)


class Keeper(Protocol):
    """Keeps a render's state between steps; see `tasks.stylize.engine.journal`."""

    def save(self, step: int, latents: torch.Tensor, scheduler: Any, generator: Any) -> None: ...


@dataclass
class Hold:
    """Where the source is kept, and for how long: strength per frame and per place.

    Attributes:
        source: clean latents ``(1, C, F, H, W)``.
        noise: the noise that was added to them, same shape.
        until: ``(1, 1, F, h, w)`` int (h, w may be 1): the step at which the denoising of a place begins; a place
            whose number is that of all steps or more stays the source.
    """

    source: torch.Tensor
    noise: torch.Tensor
    until: torch.Tensor

    def __call__(self, latents: torch.Tensor, scheduler: Any, timesteps: Any, done: int) -> torch.Tensor:
        """Latents after ``done`` steps, with the held places noised as far as the others are (arXiv:2306.00950)."""
        import torch

        held = self.until >= done if done < len(timesteps) else self.until >= len(timesteps)
        if not bool(held.any()):
            return latents
        if done < len(timesteps):
            kept = scheduler.add_noise(self.source, self.noise, timesteps[done : done + 1])
        else:
            kept = self.source
        return torch.where(held, kept.to(latents.dtype), latents)


def timesteps_of(scheduler: Any, num_inference_steps: int, strength: float = 1.0, device: Any = None) -> torch.Tensor:
    """Sets the scheduler and returns the timesteps to run: the last ``int(steps * strength)``, as diffusers counts."""
    scheduler.set_timesteps(num_inference_steps, device=device)
    return scheduler.timesteps[first_step(num_inference_steps, strength) * scheduler.order :]


def first_step(num_inference_steps: int, strength: float) -> int:
    """The step at which a denoising of that strength begins; ``num_inference_steps``: it does nothing."""
    return num_inference_steps - min(int(num_inference_steps * strength), num_inference_steps)


def noised(
    source: torch.Tensor, scheduler: Any, timesteps: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Source latents at the first timestep, and the noise that was added.

    Args:
        source: ``(1, C, F, H, W)``.
    """
    from diffusers.utils.torch_utils import randn_tensor

    # drawn frame by frame, as diffusers' video-to-video pipelines do
    framewise = source.transpose(1, 2)
    noise = randn_tensor(framewise.shape, generator=generator, device=source.device, dtype=source.dtype)
    noise = noise.transpose(1, 2)
    return scheduler.add_noise(source, noise, timesteps[:1]), noise


def pure_noise(shape: tuple[int, ...], scheduler: Any, generator: torch.Generator, device: Any = "cpu") -> torch.Tensor:
    """Latents ``(1, C, F, H, W)`` to begin from when there is no source."""
    import torch
    from diffusers.utils.torch_utils import randn_tensor

    noise = randn_tensor(shape, generator=generator, device=torch.device(device), dtype=torch.float32)
    return noise * scheduler.init_noise_sigma


def denoise(
    network: Predict,
    scheduler: Any,
    timesteps: torch.Tensor,
    latents: torch.Tensor,
    generator: torch.Generator,
    *,
    first: int = 0,
    hold: Hold | None = None,
    keeper: Keeper | None = None,
    tick: Callable[[], None] = lambda: None,
    clock: Clock | None = None,
) -> torch.Tensor:
    """Run the steps ``first`` .. of ``timesteps``.

    Args:
        latents: ``(1, C, F, H, W)`` at the timestep of step ``first``.
        generator: noise of stochastic schedulers; on the CPU, so that every device draws the same.
        hold: keeps the source in frames or places for a part of the steps.
        keeper: is given the state after every step from which the render could go on.

    Raises:
        UserError: values that are not numbers came out.
    """
    import inspect

    clock = clock or Clock()
    known = inspect.signature(scheduler.step).parameters
    extra = {"generator": generator} if "generator" in known else {}
    period = getattr(network, "period", 1)
    for step in range(first, len(timesteps)):
        timestep = timesteps[step]
        prediction = network(scheduler.scale_model_input(latents, timestep), timestep, step, len(timesteps))
        with clock.measure("scheduler"):
            latents = scheduler.step(prediction, timestep, latents, **extra).prev_sample
            if hold is not None:
                latents = hold(latents, scheduler, timesteps, step + 1)
        if keeper is not None and (step + 1) % period == 0:
            keeper.save(step + 1, latents, scheduler, generator)
        tick()
    _check_finite(latents)
    return latents


def _check_finite(latents: torch.Tensor) -> None:
    import torch

    if not bool(torch.isfinite(latents).all()):
        raise UserError(
            "the render has values that are not numbers: the models' number format overflowed",
            fix="compute.dtype=float32 or bfloat16",
        )


def _both(first: Any, second: Any) -> Any:
    if first is None or second is None:
        return first or second

    def add(skips: list[torch.Tensor], middle: torch.Tensor) -> torch.Tensor:
        return second(skips, first(skips, middle))

    return add
