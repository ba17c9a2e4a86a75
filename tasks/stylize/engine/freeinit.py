"""FreeInit: denoise several times, each from the low frequencies of what the last one gave (arXiv:2312.07537)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tasks.stylize.engine.checkpoint import Checkpoint, restore
from tasks.stylize.engine.loop import Hold, Keeper, denoise, new_noise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FreeInitPlan:
    """How often, and what counts as a low frequency (0..1 of the highest, over space and over time)."""

    iterations: int = 1
    method: Literal["butterworth", "gaussian", "ideal"] = "butterworth"
    order: int = 4
    spatial_stop_frequency: float = 0.25
    temporal_stop_frequency: float = 0.25


@dataclass
class _Rounded:
    """A keeper that counts the steps of all rounds through."""

    keeper: Keeper
    before: int

    def save(self, step: int, latents: torch.Tensor, scheduler: Any, generator: Any) -> None:
        self.keeper.save(self.before + step, latents, scheduler, generator)


def denoise_in_rounds(
    plan: FreeInitPlan,
    network: Any,
    scheduler: Any,
    reset: Callable[[], torch.Tensor],
    latents: torch.Tensor,
    generator: torch.Generator,
    *,
    resumed: Checkpoint | None = None,
    keeper: Keeper | None = None,
    hold: Hold | None = None,
    noise: torch.Tensor | None = None,
    constant: bool = False,
    **more: Any,
) -> torch.Tensor:
    """Denoise ``plan.iterations`` times; once is plain denoising.

    Args:
        reset: sets the scheduler to its beginning and gives the timesteps to run.
        latents: where the first round begins; later ones begin from its low frequencies and new high ones.
        resumed: a checkpoint to go on from, its steps counted over all rounds.
        noise: of ``latents``, where they are a noised source; None: all of them.
        constant: whether new noise is the same for all frames.
        keeper, hold, more: as for `tasks.stylize.engine.loop.denoise`.
    """
    import torch

    beginning, steps = latents, len(reset())
    number, first = divmod(resumed.step if resumed else 0, steps)
    if resumed is not None:
        latents = restore(resumed, scheduler, generator, latents.device)
    while number < plan.iterations:
        if first == 0:
            timesteps = reset()
            if number:
                first_noise = beginning if noise is None or _is_whole(scheduler, timesteps) else noise
                latents = renoised(plan, latents, first_noise, scheduler, timesteps, generator, constant)
                if hold is not None:  # places that begin later are at the beginning what they were in the first round
                    latents = torch.where(hold.until > 0, beginning, latents)
        else:
            timesteps = _timesteps(scheduler, steps)
        own = _Rounded(keeper, number * steps) if keeper is not None else None
        latents = denoise(network, scheduler, timesteps, latents, generator, first=first, keeper=own, hold=hold, **more)
        number, first = number + 1, 0
    return latents


def renoised(
    plan: FreeInitPlan,
    latents: torch.Tensor,
    noise: torch.Tensor,
    scheduler: Any,
    timesteps: torch.Tensor,
    generator: torch.Generator,
    constant: bool = False,
) -> torch.Tensor:
    """Low frequencies of the noised result, high frequencies of new noise; ``(1, C, F, H, W)``.

    Where the denoising begins in the middle (strength below 1), the noise is that of its first timestep, and the high
    frequencies are those of the result under new noise: the model takes them for a picture by then.
    """
    import torch
    from diffusers.pipelines.free_init_utils import FreeInitMixin

    filters = FreeInitMixin()
    low = filters._get_free_init_freq_filter(
        shape=(1, *latents.shape[1:]),
        device=latents.device,
        filter_type=plan.method,
        order=plan.order,
        spatial_stop_frequency=plan.spatial_stop_frequency,
        temporal_stop_frequency=plan.temporal_stop_frequency,
    )
    fresh = new_noise(latents.shape, 2, generator, latents.device, constant)
    whole, at = _is_whole(scheduler, timesteps), timesteps[:1]
    if whole and not hasattr(scheduler, "index_for_timestep"):  # others take a step that is not theirs for the last
        at = torch.full((1,), scheduler.config.num_train_timesteps - 1, device=latents.device)
    noised = scheduler.add_noise(latents, noise, at).float()
    high = fresh if whole else scheduler.add_noise(latents.float(), fresh, at)
    return filters._apply_freq_filter(noised, high, low_pass_filter=low).to(latents.dtype)


def _is_whole(scheduler: Any, timesteps: torch.Tensor) -> bool:
    """Whether a denoising begins at the beginning (strength 1)."""
    return len(timesteps) == len(scheduler.timesteps)


def _timesteps(scheduler: Any, steps: int) -> torch.Tensor:
    """The timesteps of a scheduler whose state was restored: the last ones of its whole schedule."""
    return scheduler.timesteps[len(scheduler.timesteps) - steps :]
