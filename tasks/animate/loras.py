"""LoRAs of an animator: told before loading whether they fit, and put on its denoiser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from reel.errors import UserError
from reel.models.source import LoraSource
from tasks.animate.replay.call import Stock
from tasks.networks.files import refuse_not_finite, safetensors_file
from tasks.weights.header import read_header


def check(loras: Sequence[LoraSource], generation: str, width: int, model: str, *, sounds: bool = False) -> None:
    """Refuse what is made for another generation, by what its file says and by the width of its layers.

    Args:
        generation: what the family's LoRAs call what they are made for; empty: nobody said.
        width: numbers that the denoiser's blocks hand on (`attn1.to_q` takes so many).
        model: name of the family, for messages.
        sounds: whether the family makes sound: one that makes none would load a LoRA's other layers, and no more.

    Raises:
        UserError: naming the file, what it is for and what is needed.
    """
    for lora in loras:
        header = read_header(safetensors_file(lora.source))
        made_for = str(header.metadata.get("base_model", ""))
        versions = _version(made_for), _version(generation)
        if all(versions) and versions[0] != versions[1]:
            raise UserError(
                f"{lora.source.label}: made for {made_for}, model {model} is {generation}",
                fix="LoRAs fit one generation only: take one for this model, or the model that it is for",
            )
        if any("audio_attn" in name for name in header.tensors) and not sounds:
            raise UserError(
                f"{lora.source.label}: it has layers for sound, model {model} has none",
                fix="it is made for LTX-2: model=ltx2, or a LoRA for this model",
            )
        widths = {tensor.shape[1] for name, tensor in header.tensors.items() if _takes_blocks(name)}
        if not widths:
            raise UserError(
                f"{lora.source.label}: not one attention layer of a video transformer is in it",
                fix="it is made for another architecture (SD 1.5, Flux, Wan, ...)",
            )
        if width not in widths:
            raise UserError(
                f"{lora.source.label}: its layers are {min(widths)} wide, those of model {model} {width}",
                fix="LoRAs fit one generation only: take one for this model, or the model that it is for",
            )


def _version(name: str) -> str:
    """The version in a name: `0.9.7` of `Lightricks/LTX-Video-0.9.7-dev` and `ltxv 0.9.7 13b`, `2` of `ltx 2 19b`."""
    found = re.search(r"\d+(?:\.\d+)+|(?<=ltx[-_ ])\d+", name, re.IGNORECASE)
    return found[0] if found else ""


def _takes_blocks(name: str) -> bool:
    return re.search(r"(?:^|\.)attn1\.to_q\.", name) is not None and ("lora_A" in name or "lora_down" in name)


def apply(stock: Stock, part: str, model: Any, loras: Sequence[LoraSource]) -> None:
    """Put LoRAs on a denoiser, each by its weight: diffusers leaves all but the last one inactive."""
    for lora in loras:
        refuse_not_finite(lora.source)
    pipe = stock.made({part: model})
    names = []
    for index, lora in enumerate(loras):
        file = safetensors_file(lora.source)
        names.append(f"lora{index}")
        try:
            pipe.load_lora_weights(
                str(file.parent), weight_name=file.name, adapter_name=names[-1], local_files_only=True
            )
        except (ValueError, KeyError, RuntimeError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise UserError(f"{lora.source.label}: not a LoRA for this model ({first[:200]})") from None
    pipe.set_adapters(names, adapter_weights=[lora.weight for lora in loras])
