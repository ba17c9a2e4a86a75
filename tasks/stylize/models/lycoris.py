"""LoHa and LoKr files of LyCORIS: what they change is worked out by PEFT's own formulas and added to the weights.

Layers carry their names with underscores (``lora_unet_down_blocks_0_...``) or, from PEFT, with dots. A layer's scale is
alpha over rank; a LoKr whose two factors are whole has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reel.models.source import LoraSource, ModelSource
from tasks.networks.files import not_a_model, refuse_not_finite, safetensors_file
from tasks.stylize.models.lora import NETWORKS, say_lost
from tasks.weights.formats import demand, format_of

PREFIXES = {
    "unet.": ("lora_unet_", "lycoris_", "unet_", ""),
    "text_encoder.": ("lora_te_", "lora_te1_", "text_encoder_"),
}
"""What stands before a layer's name with underscores, by the network."""
_PART = re.compile(r"\.(?P<part>hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2)|alpha)(?:\.default(?:_\d+)?)?$")


@dataclass(frozen=True)
class Difference:
    """What a file changes of one layer: its matrices by the names in the file."""

    matrices: Mapping[str, Any]

    def weight(self, like: Any) -> Any:
        """The difference of the layer's weights at strength 1, float32, of the shape of ``like``."""
        found = {name: value.float() for name, value in self.matrices.items()}
        change = _loha(found) if "hada_w1_a" in found else _lokr(found)
        if change.shape[:1] != like.shape[:1]:  # as many numbers in another order would be reshaped into noise
            raise RuntimeError(f"a difference of shape {list(change.shape)} for weights of {list(like.shape)}")
        return change.reshape(like.shape)


def is_lycoris(source: ModelSource) -> bool:
    """Whether a LoRA's file is a LoHa or a LoKr.

    Raises:
        UserError: it is no file that `stylize.loras` takes.
    """
    found = format_of(demand(safetensors_file(source), "lora", source.label))
    return found is not None and found.kind == "lycoris"


def apply_lycoris(lora: LoraSource, network: Any, prefix: str) -> bool:
    """Add what a LoHa or LoKr changes of a network to its weights, and say what of it fits nowhere.

    Args:
        prefix: of the network, as `tasks.stylize.models.lora.NETWORKS` has it.

    Returns: False when the file changes nothing of this network, nor of another one.

    Raises:
        UserError: a file that is not whole, or whose shapes are another architecture's.
    """
    own, lost, elsewhere = _differences(lora.source, network, prefix)
    if lost and (own or elsewhere or prefix != "unet."):
        say_lost(lora.source, lost, len(lost) + len(own), prefix)
    try:
        if lora.weight != 0:
            merge(network, own, lora.weight)
    except (KeyError, RuntimeError) as error:
        raise not_a_model(lora.source, f"a LoHa or LoKr for this {NETWORKS[prefix]}", error) from None
    return bool(own) or elsewhere


def _differences(source: ModelSource, network: Any, prefix: str) -> tuple[dict[str, Difference], list[str], bool]:
    """What a file changes of a network by layer, what it holds for it that fits nowhere, whether it holds more.

    Raises:
        UserError: a name that is no matrix of a LoHa or LoKr, or a tensor that holds NaN.
    """
    from safetensors.torch import load_file

    refuse_not_finite(source)
    known = {name.replace(".", "_"): name for name, module in network.named_modules() if hasattr(module, "weight")}
    found: dict[str, dict[str, Any]] = {}
    for name, value in load_file(str(safetensors_file(source))).items():
        match = _PART.search(name)
        if match is None:
            raise not_a_model(source, "a LoHa or LoKr", ValueError(f"it holds {name}"))
        found.setdefault(name[: match.start()], {})[match["part"]] = value
    named = {layer: _own(layer, prefix) for layer in found}
    fitting = {known[own]: Difference(found[layer]) for layer, own in named.items() if own in known}
    lost = [layer for layer, own in named.items() if own is not None and own not in known]
    return fitting, sorted(lost), None in named.values()


def merge(network: Any, changes: Mapping[str, Difference], strength: float) -> None:
    """Add differences to a network's weights; the tensors that its files are mapped to stay as they are."""
    import torch

    with torch.no_grad():
        for name, change in changes.items():
            layer = network.get_submodule(name)
            new = layer.weight.float() + strength * change.weight(layer.weight)
            layer.weight = torch.nn.Parameter(new.to(layer.weight.dtype), requires_grad=False)


def _own(layer: str, prefix: str) -> str | None:
    """A layer's name within a network, with underscores; None: it belongs to another one."""
    plain = layer.removeprefix("base_model.model.").replace(".", "_")
    others = PREFIXES["text_encoder." if prefix == "unet." else "unet."]
    for start in PREFIXES[prefix]:
        if plain.startswith(start) and not any(other and plain.startswith(other) for other in others):
            own = plain.removeprefix(start)
            return own.removeprefix("text_model_") if prefix == "text_encoder." else own
    return None


def _loha(found: Mapping[str, Any]) -> Any:
    import torch
    from peft.tuners.loha.layer import make_weight, make_weight_cp

    factors = [found[name] for name in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")]
    scale = torch.tensor(_scale(found, factors[1].shape[0]))
    if "hada_t1" not in found:
        return make_weight(*factors, scale=scale)
    return make_weight_cp(found["hada_t1"], *factors[:2], found["hada_t2"], *factors[2:], scale=scale)


def _lokr(found: Mapping[str, Any]) -> Any:
    from peft.tuners.lokr.layer import make_kron, make_weight_cp

    rank = next((found[name].shape[0] for name in ("lokr_w1_b", "lokr_w2_b") if name in found), None)
    first = found["lokr_w1"] if "lokr_w1" in found else found["lokr_w1_a"] @ found["lokr_w1_b"]
    if "lokr_w2" in found:
        second = found["lokr_w2"]
    elif "lokr_t2" in found:
        second = make_weight_cp(found["lokr_t2"], found["lokr_w2_a"], found["lokr_w2_b"])
    else:
        second = found["lokr_w2_a"] @ found["lokr_w2_b"]
    return make_kron(first, second, 1.0 if rank is None else _scale(found, rank))


def _scale(found: Mapping[str, Any], rank: int) -> float:
    return float(found["alpha"]) / rank if "alpha" in found else 1.0
