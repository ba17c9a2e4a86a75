"""What the clip would be if the denoising ended now: the model's estimate of the clean latents at one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_LEAST = 1e-6
"""Signal at least, where it is divided by: a model that predicts noise says nothing where all is noise."""


def of_diffusion(scheduler: Any, model_input: torch.Tensor, prediction: torch.Tensor, timestep: Any) -> torch.Tensor:
    """Clean latents, for schedulers whose model sees ``sqrt(a) x + sqrt(1 - a) noise`` (arXiv:2010.02502, eq. 12).

    All of diffusers' schedulers for noise, v and sample prediction do, those that count in sigmas by
    ``scale_model_input``.

    Args:
        model_input, prediction: what the model was given and gave, of one shape.
        timestep: of that call; may lie between two of the training's.
    """
    import torch

    table = scheduler.alphas_cumprod
    signal = table[int(min(max(round(float(timestep)), 0), len(table) - 1))].float().to(prediction.device)
    noise = 1 - signal
    seen, said = model_input.float(), prediction.float()
    match scheduler.config.prediction_type:
        case "v_prediction":
            clean = signal.sqrt() * seen - noise.sqrt() * said
        case "sample":
            clean = said
        case _:
            clean = (seen - noise.sqrt() * said) / signal.clamp(min=_LEAST).sqrt()
    return torch.as_tensor(clean)


def of_flow(sample: torch.Tensor, velocity: torch.Tensor, sigma: float) -> torch.Tensor:
    """Clean latents of a rectified flow (arXiv:2209.03003): where the straight line leads at which the model points.

    Args:
        sample: ``(1 - sigma) x + sigma noise``.
        velocity: ``noise - x`` as the model expects it, of the same shape.
    """
    return sample.float() - sigma * velocity.float()
