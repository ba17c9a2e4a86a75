"""LoRAs and reference pictures on a loaded UNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reel.errors import UserError
from reel.models.animatediff import AnimateDiff
from reel.models.source import LoraSource
from tasks.networks.files import builder, not_a_model, safetensors_file
from tasks.stylize.settings.denoise import Denoise
from tasks.weights import fetch as weights


def loras_of(cfg: Denoise) -> list[LoraSource]:
    """The family's, the style's and the camera's, in the order in which they are applied."""
    return [*cfg.model.loras, *cfg.loras, *cfg.motion_loras]


def apply_loras(pipe: Any, loras: Sequence[LoraSource], family: str) -> None:
    """Load what every LoRA holds for the UNet, and check that it took hold: diffusers passes over keys without a layer.

    Args:
        pipe: a pipeline without a text encoder; what LoRAs hold for that one is applied where it is loaded.
        family: name of the model family, for messages.

    Raises:
        UserError: a file that is not a LoRA, or one made for another architecture.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    scales: dict[str, float] = {}
    for index, lora in enumerate(loras):
        name = f"lora{index}"
        try:
            for_text = _load(pipe, lora, name)
        except (ValueError, KeyError, RuntimeError) as error:
            raise not_a_model(lora.source, f"a LoRA for model {family}", error) from None
        if any(isinstance(m, BaseTunerLayer) and name in getattr(m, "lora_A", {}) for m in pipe.unet.modules()):
            scales[name] = lora.weight
        elif not for_text:
            raise UserError(
                f"{lora.source.label}: not one layer of model {family} is changed by this LoRA",
                fix="it is made for another architecture (SDXL, Flux, ...): take one for the family in use",
            )
    if scales:
        pipe.set_adapters(list(scales), adapter_weights=list(scales.values()))


def _load(pipe: Any, lora: LoraSource, name: str) -> bool:
    """Put one LoRA on the UNet; True when it also holds layers for a text encoder."""
    file = safetensors_file(lora.source)
    state, alphas = pipe.lora_state_dict(str(file.parent), weight_name=file.name, local_files_only=True)
    if not all("lora" in key for key in state):
        raise ValueError("names without `lora` in them")
    if any(key.startswith("unet.") for key in state):
        pipe.load_lora_into_unet(state, network_alphas=alphas, unet=pipe.unet, adapter_name=name, _pipeline=pipe)
    return any(key.startswith("text_encoder.") for key in state)


def apply_ip_adapter(pipe: Any, model: AnimateDiff, dtype: str) -> None:
    """The picture encoder, and the UNet's layers that read what it says."""
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    assert model.ip_adapter is not None
    assert model.ip_image_encoder is not None
    encoder = model.ip_image_encoder
    image_encoder = builder(CLIPVisionModelWithProjection, weights.path(encoder), dtype, encoder)()
    side = image_encoder.config.image_size
    pipe.register_modules(image_encoder=image_encoder, feature_extractor=CLIPImageProcessor(size=side, crop_size=side))
    file = safetensors_file(model.ip_adapter)
    try:
        pipe.load_ip_adapter(str(file.parent), subfolder="", weight_name=file.name, local_files_only=True)
    except (ValueError, KeyError, RuntimeError) as error:
        raise not_a_model(model.ip_adapter, f"an IP-Adapter for model {model.name}", error) from None
