"""LoRAs and reference pictures on a loaded UNet."""

from __future__ import annotations

from typing import Any

from reel.errors import UserError
from reel.models.source import LoraSource
from tasks.stylize.files import builder, not_a_model, safetensors_file
from tasks.stylize.settings import Animatediff
from tasks.weights import fetch as weights


def loras_of(cfg: Animatediff) -> list[LoraSource]:
    """The family's, the style's and the camera's, in the order in which they are applied."""
    return [*cfg.model.loras, *cfg.loras, *cfg.motion_loras]


def apply_loras(pipe: Any, cfg: Animatediff) -> None:
    """Load every LoRA and check that it took hold: diffusers passes over keys that fit no layer.

    A pipeline without a text encoder takes what they hold for the UNet.

    Raises:
        UserError: a LoRA that is none, or is made for another architecture.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    names: list[str] = []
    for index, lora in enumerate(loras_of(cfg)):
        name = f"lora{index}"
        try:
            elsewhere = _load(pipe, lora, name)
        except (ValueError, KeyError, RuntimeError) as error:
            raise not_a_model(lora.source, f"a LoRA for model {cfg.model.name}", error) from None
        modules = [*pipe.unet.modules(), *(pipe.text_encoder.modules() if pipe.text_encoder else ())]
        layers = sum(isinstance(m, BaseTunerLayer) and name in getattr(m, "lora_A", {}) for m in modules)
        if layers == 0 and not elsewhere:
            raise UserError(
                f"{lora.source.label}: not one layer of model {cfg.model.name} is changed by this LoRA",
                fix="it is made for another architecture (SDXL, Flux, ...): take one for the family in use",
            )
        if layers:
            names.append(name)
    if names:
        scales = {f"lora{index}": lora.weight for index, lora in enumerate(loras_of(cfg))}
        pipe.set_adapters(names, adapter_weights=[scales[name] for name in names])


def _load(pipe: Any, lora: LoraSource, name: str) -> bool:
    """Put one LoRA on the pipeline; True when it also holds layers for a text encoder that is not there."""
    file = safetensors_file(lora.source)
    if pipe.text_encoder is not None:
        pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=name, local_files_only=True)
        return False
    state, alphas = pipe.lora_state_dict(str(file.parent), weight_name=file.name, local_files_only=True)
    if not all("lora" in key for key in state):
        raise ValueError("names without `lora` in them")
    if any(key.startswith("unet.") for key in state):
        pipe.load_lora_into_unet(state, network_alphas=alphas, unet=pipe.unet, adapter_name=name, _pipeline=pipe)
    return any(key.startswith("text_encoder.") for key in state)


def apply_ip_adapter(pipe: Any, cfg: Animatediff) -> None:
    """The picture encoder, and the UNet's layers that read what it says."""
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    assert cfg.model.ip_adapter is not None
    assert cfg.model.ip_image_encoder is not None
    encoder = cfg.model.ip_image_encoder
    image_encoder = builder(CLIPVisionModelWithProjection, weights.path(encoder), cfg.dtype, encoder)()
    side = image_encoder.config.image_size
    pipe.register_modules(image_encoder=image_encoder, feature_extractor=CLIPImageProcessor(size=side, crop_size=side))
    file = safetensors_file(cfg.model.ip_adapter)
    try:
        pipe.load_ip_adapter(str(file.parent), subfolder="", weight_name=file.name, local_files_only=True)
    except (ValueError, KeyError, RuntimeError) as error:
        raise not_a_model(cfg.model.ip_adapter, f"an IP-Adapter for model {cfg.model.name}", error) from None
