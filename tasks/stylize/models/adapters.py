"""LoRAs and reference pictures on a loaded UNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reel.errors import UserError
from reel.models.animatediff import AnimateDiff
from reel.models.source import LoraSource
from tasks.networks.files import builder, not_a_model, safetensors_file
from tasks.stylize.models.lora import read_lora, told_misfits
from tasks.stylize.models.lycoris import apply_lycoris, is_lycoris
from tasks.stylize.settings.denoise import Denoise
from tasks.weights import fetch as weights


def loras_of(cfg: Denoise) -> list[LoraSource]:
    """The family's, the style's and the camera's, in the order in which they are applied."""
    return [*cfg.model.loras, *cfg.loras, *cfg.motion_loras]


def apply_loras(pipe: Any, loras: Sequence[LoraSource], family: str) -> None:
    """Load what every LoRA holds for the UNet, and say what of it fits nowhere: diffusers passes over it.

    Args:
        pipe: a pipeline without a text encoder; what LoRAs hold for that one is applied where it is loaded.
        family: name of the model family, for messages.

    Raises:
        UserError: a file that is not a LoRA, or one made for another architecture.
    """
    scales: dict[str, float] = {}
    for lora in loras:  # first: what they change are the weights themselves, before others stand around these
        if is_lycoris(lora.source) and not apply_lycoris(lora, pipe.unet, "unet."):
            raise _of_another(lora, family)
    for index, lora in enumerate(loras):
        name = f"lora{index}"
        if is_lycoris(lora.source):
            continue
        try:
            if _load(pipe, lora, name, family):
                scales[name] = lora.weight
        except (ValueError, KeyError, RuntimeError) as error:
            raise not_a_model(lora.source, f"a LoRA for model {family}", error) from None
    if scales:
        pipe.set_adapters(list(scales), adapter_weights=list(scales.values()))


def _load(pipe: Any, lora: LoraSource, name: str, family: str) -> bool:
    """Put what one LoRA holds for the UNet on it; False when it holds layers for a text encoder alone."""
    parts = read_lora(pipe, lora.source)
    own = parts["unet."]
    if not own.matrices and parts["text_encoder."].matrices:
        return False
    if not told_misfits(lora.source, own, pipe.unet, "unet."):
        raise _of_another(lora, family)
    state = {f"unet.{key}": value for key, value in own.matrices.items()}
    alphas = None if own.alpha is None else {"unet.alpha": own.alpha}
    pipe.load_lora_into_unet(state, network_alphas=alphas, unet=pipe.unet, adapter_name=name, _pipeline=pipe)
    return True


def _of_another(lora: LoraSource, family: str) -> UserError:
    return UserError(
        f"{lora.source.label}: not one layer of model {family} is changed by this LoRA",
        fix="it is made for another architecture (SDXL, Flux, ...): take one for the family in use",
    )


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
