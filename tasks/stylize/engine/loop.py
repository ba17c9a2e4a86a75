"""The denoising loop: latents in, latents out, one scheduler step after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from reel.errors import UserError
from tasks.live.clean import of_diffusion
from tasks.stylize.engine.clock import Clock

if TYPE_CHECKING:
    import torch

Predict = Callable[["torch.Tensor", Any, int, int], "torch.Tensor"]
"""(scaled latents ``(1, C, F, H, W)``, timestep, step, steps) -> the guided prediction, same shape."""


Look = Callable[[Callable[[], "torch.Tensor"]], None]
"""Is handed, between two steps, what gives the clean latents ``(C, F, H, W)`` that the model expects there."""


class Keeper(Protocol):
    """Keeps a render's state between steps; see `tasks.stylize.job.journal`."""

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


def new_noise(
    shape: Sequence[int], frames: int, generator: torch.Generator, device: Any = "cpu", constant: bool = False
) -> torch.Tensor:
    """Noise float32 of that shape.

    Args:
        frames: which dimension is that of the frames.
        constant: the first frame's for all of them.
    """
    import torch
    from diffusers.utils.torch_utils import randn_tensor

    noise = randn_tensor(tuple(shape), generator=generator, device=torch.device(device), dtype=torch.float32)
    return noise.narrow(frames, 0, 1).expand_as(noise).contiguous() if constant else noise


def noised(
    source: torch.Tensor, scheduler: Any, timesteps: torch.Tensor, generator: torch.Generator, constant: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Source latents at the first timestep, and the noise that was added.

    Args:
        source: ``(1, C, F, H, W)`` float32.
        constant: see `new_noise`.
    """
    # drawn frame by frame, as diffusers' video-to-video pipelines do
    framewise = source.transpose(1, 2)
    noise = new_noise(framewise.shape, 1, generator, source.device, constant).transpose(1, 2)
    return scheduler.add_noise(source, noise, timesteps[:1]), noise


def pure_noise(
    shape: Sequence[int], scheduler: Any, generator: torch.Generator, device: Any = "cpu", constant: bool = False
) -> torch.Tensor:
    """Latents ``(1, C, F, H, W)`` to begin from when there is no source; `constant`: see `new_noise`."""
    return new_noise(shape, 2, generator, device, constant) * scheduler.init_noise_sigma


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
    look: Look | None = None,
    tick: Callable[[], None] = lambda: None,
    clock: Clock | None = None,
) -> torch.Tensor:
    """Run the steps ``first`` .. of ``timesteps``.

    Args:
        latents: ``(1, C, F, H, W)`` at the timestep of step ``first``.
        generator: noise of stochastic schedulers; on the CPU, so that every device draws the same.
        hold: keeps the source in frames or places for a part of the steps.
        keeper: is given the state after every step from which the render could go on.
        look: shows the clip as it stands.

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
        seen = scheduler.scale_model_input(latents, timestep)
        prediction = network(seen, timestep, step, len(timesteps))
        with clock.measure("scheduler"):
            latents = scheduler.step(prediction, timestep, latents, **extra).prev_sample
            if hold is not None:
                latents = hold(latents, scheduler, timesteps, step + 1)
        if keeper is not None and (step + 1) % period == 0:
            keeper.save(step + 1, latents, scheduler, generator)
        if look is not None:
            look(functools.partial(_clean, scheduler, seen, prediction, timestep))
        tick()
    _check_finite(latents)
    return latents


def _clean(scheduler: Any, seen: torch.Tensor, prediction: torch.Tensor, timestep: Any) -> torch.Tensor:
    return of_diffusion(scheduler, seen, prediction, timestep)[0]


def _check_finite(latents: torch.Tensor) -> None:
    import torch

    if not bool(torch.isfinite(latents).all()):
        raise UserError(
            "the render has values that are not numbers: the models' number format overflowed",
            fix="compute.dtype=float32 or bfloat16",
        )
