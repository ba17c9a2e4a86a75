"""IP-Adapter (arXiv:2308.06721): a UNet that also looks at pictures, for painters that take none by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reel.models.source import ModelSource
from tasks.networks.files import not_a_model, safetensors_file


def eyes(encoder: Any) -> dict[str, Any]:
    """The parts of a pipeline by which it sees pictures, of a loaded CLIP network."""
    from transformers import CLIPImageProcessor

    side = encoder.config.image_size
    return {"image_encoder": encoder, "feature_extractor": CLIPImageProcessor(size=side, crop_size=side)}


def adapt(pipe: Any, sources: Mapping[str, ModelSource], scale: float) -> None:
    """Put the adapter on a pipeline's UNet, unless an earlier picture has, and say how strongly it counts.

    Raises:
        UserError: the file is no IP-Adapter, or one for another UNet.
    """
    source = sources["ip_adapter"]
    if getattr(pipe.unet, "encoder_hid_proj", None) is None:
        file = safetensors_file(source)
        try:
            pipe.load_ip_adapter(str(file.parent), subfolder="", weight_name=file.name, local_files_only=True)
        except (ValueError, KeyError, RuntimeError) as error:
            raise not_a_model(source, "an IP-Adapter for this model", error) from None
    pipe.set_ip_adapter_scale(scale)
