"""LoRAs as networks take them: the matrices of a file by network and layer, whatever its trainer calls them.

The scale alpha / rank is a layer's own. Libraries take one for all layers (the commonest) where a file's names are not
their own, so a file with several scales has them multiplied into its matrices here.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reel.models.source import ModelSource
from tasks.networks.files import not_a_model, refuse_not_finite, safetensors_file
from tasks.weights.formats import demand
from tasks.weights.header import read_header

log = logging.getLogger(__name__)
NETWORKS = {"unet.": "UNet", "text_encoder.": "text encoder"}
"""Prefixes of diffusers' names, and the networks in words."""
_UNET_LAYERS = ("down_blocks.", "up_blocks.", "mid_block.", "conv_in.", "conv_out.", "time_embedding.")
_TEXT_LAYERS = ("text_model.", "encoder.layers.")
_ATTENTION = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}
"""The text encoder's names of what diffusers calls as it does in a UNet."""
_MATRIX = re.compile(
    r"(\.processor)?(\.(?P<last>to_[qkv]|to_out)_lora|\.lora_linear_layer|\.lora)?"
    r"\.(?P<side>down|up|lora_A|lora_B|alpha)(\.default(_\d+)?)?(?P<end>\.weight|\.bias)?$"
)


@dataclass
class LoraPart:
    """What a LoRA holds for one network.

    Attributes:
        matrices: ``<layer>.lora_A.weight`` and so on, as PEFT calls them.
        alpha: of all layers; None: the rank, so that the scale is 1.
    """

    matrices: dict[str, Any] = field(default_factory=dict)
    alpha: float | None = None

    def layers(self) -> set[str]:
        """Names of the layers that it changes."""
        return {name.partition(".lora_")[0] for name in self.matrices}


def read_lora(loader: Any, source: ModelSource) -> dict[str, LoraPart]:
    """A LoRA's parts by their prefix (`NETWORKS`); a part that the file does not hold is empty.

    Args:
        loader: a class or an object with diffusers' ``lora_state_dict``.

    Raises:
        UserError: the file is not a LoRA, one of a format that is not applied, or holds NaN.
    """
    file = safetensors_file(source)
    demand(file, "lora", source.label)
    refuse_not_finite(source)
    try:
        state, alphas = loader.lora_state_dict(str(file.parent), weight_name=file.name, local_files_only=True)
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise not_a_model(source, "a LoRA that diffusers reads", error) from None
    parts: dict[str, LoraPart] = {prefix: LoraPart() for prefix in NETWORKS}
    told: dict[str, dict[str, float]] = {prefix: {} for prefix in NETWORKS}
    for name, value in {**state, **(alphas or {})}.items():
        prefix, layer, side = _placed(name)
        if side == "alpha":
            told[prefix][layer] = float(value)
        elif side:
            parts[prefix].matrices[f"{layer}.{side}"] = value
        else:
            raise not_a_model(source, "a LoRA", ValueError(f"it holds {name}"))
    notes = _notes(file)
    for prefix, part in parts.items():
        own = {name.removeprefix(prefix): note for name, note in notes.items() if name.startswith((prefix, "lora_"))}
        _scaled(part, told[prefix], own)
    return parts


def _placed(name: str) -> tuple[str, str, str]:
    """Prefix of the network, layer and matrix of a name in a LoRA; an empty matrix for a name that is not known."""
    name = name.removeprefix("base_model.model.")
    if name.startswith(_UNET_LAYERS):  # older files of diffusers, and PEFT's own
        name = f"unet.{name}"
    elif name.startswith(_TEXT_LAYERS):
        name = f"text_encoder.{name}"
    prefix = next((one for one in NETWORKS if name.startswith(one)), "")
    stem = name.removesuffix(".alpha")
    match = _MATRIX.search(stem if _MATRIX.search(stem) else name)
    if not prefix or match is None:
        return "", name, ""
    alpha = name.endswith(".alpha")
    last = match["last"] or ""
    text = prefix == "text_encoder."
    last = _ATTENTION.get(last, last) if text else {"to_out": "to_out.0"}.get(last, last)
    layer = f"{name[: match.start()]}.{last}".rstrip(".").removeprefix(prefix)
    if text:
        layer = layer.removeprefix("text_model.")
    side = {"down": "lora_A", "up": "lora_B"}.get(match["side"], match["side"])
    return prefix, layer, "alpha" if alpha else f"{side}{match['end'] or '.weight'}"


def _notes(file: Path) -> dict[str, Any]:
    """What a file's header says about rank and alpha, which files without alphas of their own need.

    Newer diffusers writes ``lora_adapter_metadata`` (``unet.lora_alpha``, ...); some trainers these names alone.
    """
    metadata = read_header(file).metadata
    found: dict[str, Any] = {name: text for name, text in metadata.items() if name.endswith("lora_alpha")}
    try:
        told = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    except (ValueError, RecursionError):
        told = {}
    return {**found, **told} if isinstance(told, dict) else found


def _scaled(part: LoraPart, alphas: Mapping[str, float], notes: Mapping[str, Any]) -> None:
    """Give a part its one alpha, or multiply the layers' own scales into its matrices where they differ."""
    ranks = {layer: part.matrices[f"{layer}.lora_A.weight"].shape[0] for layer in part.layers() if _whole(part, layer)}
    wanted = {layer: _alpha(layer, rank, alphas, notes) for layer, rank in ranks.items()}
    if set(wanted) == set(alphas) and len(set(wanted.values())) == 1:
        part.alpha = next(iter(wanted.values()))  # as every plain file has it: left to the library
        return
    for layer, rank in ranks.items():
        if wanted[layer] != rank:
            up = part.matrices[f"{layer}.lora_B.weight"]
            part.matrices[f"{layer}.lora_B.weight"] = (up.float() * (wanted[layer] / rank)).to(up.dtype)


def _whole(part: LoraPart, layer: str) -> bool:
    return f"{layer}.lora_A.weight" in part.matrices and f"{layer}.lora_B.weight" in part.matrices


def _alpha(layer: str, rank: int, alphas: Mapping[str, float], notes: Mapping[str, Any]) -> float:
    """A layer's alpha: the file's own, what its header says, or the rank."""
    if layer in alphas:
        return alphas[layer]
    patterns = notes.get("alpha_pattern")
    near = [value for name, value in patterns.items() if layer.endswith(name)] if isinstance(patterns, dict) else []
    try:
        alpha = float(near[0] if near else notes.get("lora_alpha", rank))
    except (TypeError, ValueError):
        return float(rank)
    if not math.isfinite(alpha):
        return float(rank)
    return alpha * rank**0.5 if notes.get("use_rslora") else alpha


def told_misfits(source: ModelSource, part: LoraPart, network: Any, prefix: str) -> bool:
    """Say how many of a LoRA's layers fit nowhere in a network, which libraries pass over; False when none fits.

    Args:
        prefix: of the network, as in `NETWORKS`.
    """
    layers, known = part.layers(), {name for name, _ in network.named_modules()}
    lost = sorted(layers - known)
    if lost and len(lost) < len(layers):
        say_lost(source, lost, len(layers), prefix)
        part.matrices = {name: value for name, value in part.matrices.items() if name.partition(".lora_")[0] in known}
    return len(lost) < len(layers)


def say_lost(source: ModelSource, lost: Sequence[str], count: int, prefix: str) -> None:
    """Warn of layers of a LoRA that fit nowhere.

    Args:
        count: of all its layers for that network.
        prefix: of the network, as in `NETWORKS`.
    """
    if len(lost) == count:
        log.warning("%s: this LoRA's layers for the %s fit nowhere and do nothing", source.label, NETWORKS[prefix])
        return
    some = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
    log.warning(
        "%s: %d of this LoRA's %d layers for the %s fit nowhere and do nothing: %s",
        *(source.label, len(lost), count, NETWORKS[prefix], some),
    )
