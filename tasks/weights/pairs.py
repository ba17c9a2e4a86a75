"""Whether a LoRA's matrices belong together and fit the model's layers: told from headers, before anything loads."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from reel.errors import UserError
from tasks.weights.header import Header, shown

_PLAIN = re.compile(r"^(?P<layer>.*lora(?:_linear_layer)?)[._](?P<part>down|up|A|B)(?P<adapter>(?:\.\w+)?)\.weight$")
_LYCORIS = re.compile(r"^(?P<layer>.*)\.(?P<part>(?:hada|lokr)_(?:w[12](?:_[ab])?|t[12]))(?P<adapter>(?:\.\w+)?)$")
_PART = re.compile(r"lora[._](down|up|A|B|linear_layer)\b|\.(down|up)\.|(\.|_)alpha\b|\.(hada|lokr)_")
"""What every tensor of such a file has in its name; libraries refuse others only when all is loaded."""
_SIDES = {"A": "down", "B": "up"}
_NETWORK = re.compile(r"^(base_model_model_)?(lora_unet_|lycoris_|unet_|lora_te1?_|text_encoder_)?(text_model_)?")
_OWN = re.compile(r"(_processor)?(_to_([qkv])|_to_(out))?_lora(_linear_layer)?$")
Shapes = dict[str, tuple[int, ...]]


def check_pairs(header: Header, file: str, where: str) -> None:
    """Hold a LoRA's, LoHa's or LoKr's layers against the form that all of them have.

    Args:
        file: the file's name, and ``where`` the setting, for messages.

    Raises:
        UserError: a layer lacks a matrix, its matrices differ in rank, its alpha is no single number, or the file holds
            more than layers.
    """
    for name, tensor in header.tensors.items():
        if not _PART.search(name):
            raise UserError(
                f"{where}: {file} holds {shown(name)}, which is no part of a LoRA's layers",
                fix="save the file without it, or take another one",
            )
        if name.endswith(".alpha") and math.prod(tensor.shape) != 1:
            raise _wrong(
                file, where, name.removesuffix(".alpha"), f"its alpha has the shape {list(tensor.shape)}, not []"
            )
    for layer, parts in _layers(header).items():
        told = _of_plain(parts) if {"down", "up"} & parts.keys() else _of_lycoris(parts)
        if told:
            raise _wrong(file, where, layer, told)


def check_fit(header: Header, file: str, where: str, known: Mapping[str, tuple[int, ...]]) -> None:
    """Hold the layers of a LoRA that `check_pairs` let through against those of a model.

    Args:
        known: shapes of the model's weights by `plain_name`. Layers that are not among them are not judged.

    Raises:
        UserError: a layer is made for weights of another shape than the model's.
    """
    for layer, parts in _layers(header).items():
        own = known.get(plain_name(layer))
        if own is None or len(own) < 2 or (made_for := _made_for(parts)) is None:
            continue
        wanted = (own[0], math.prod(own[1:])) if "down" not in parts else own
        if "hada_t1" in parts or "lokr_t2" in parts:
            wanted = own[:2]
        if made_for != wanted:
            raise UserError(
                f"{where}: {file} does not fit: its layer {shown(layer)} is made for weights of {_size(made_for)}, the "
                f"model's are {_size(wanted)}",
                fix="it is made for another model: take one for the family in use (rotoscope models)",
            )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def plain_name(layer: str) -> str:
    """A layer's name with underscores, without what trainers and libraries put before and behind it."""
    inner = _NETWORK.sub("", layer.replace(".", "_"))
    return _OWN.sub(lambda end: f"_to_{end[3]}" if end[3] else "_to_out_0" if end[4] else "", inner)


def _layers(header: Header) -> dict[str, Shapes]:
    """Shapes of the matrices of each layer."""
    layers: dict[str, Shapes] = {}
    for name, tensor in header.tensors.items():
        if match := _PLAIN.match(name) or _LYCORIS.match(name):
            part = _SIDES.get(match["part"], match["part"])
            layers.setdefault(match["layer"] + match["adapter"], {})[part] = tensor.shape
    return layers


def _made_for(parts: Shapes) -> tuple[int, ...] | None:
    """The shape of the weights that a layer changes; None: nothing is known.

    Of a LoRA that is (out, in, kernel ...); of others (out, in), with the kernel's numbers in the latter, unless the
    layer is in CP form.
    """
    try:
        if "down" in parts:
            return parts["up"][0], *parts["down"][1:]
        if "hada_w1_a" in parts:
            first, second = parts["hada_w1_a"], parts["hada_w1_b"]
            return (first[1] if "hada_t1" in parts else first[0]), second[1]
        one = parts.get("lokr_w1") or (parts["lokr_w1_a"][0], parts["lokr_w1_b"][1])
        if "lokr_t2" in parts:
            return one[0] * parts["lokr_w2_a"][1], one[1] * parts["lokr_w2_b"][1]
        two = parts.get("lokr_w2") or (parts["lokr_w2_a"][0], parts["lokr_w2_b"][1])
        return one[0] * two[0], one[1] * math.prod(two[1:])
    except (KeyError, IndexError):  # told where it loads
        return None


def _wrong(file: str, where: str, layer: str, told: str) -> UserError:
    return UserError(
        f"{where}: {file} is no whole LoRA: {shown(layer)}: {told}",
        fix="the file was written wrongly or in part: take it from its author again, or another one",
    )


def _of_plain(parts: Shapes) -> str | None:
    return _lacks(parts, ("down", "up")) or _ranks(parts)


def _of_lycoris(parts: Shapes) -> str | None:
    if any(part.startswith("hada") for part in parts):
        return _lacks(parts, ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"))
    for factor in ("lokr_w1", "lokr_w2"):
        if factor not in parts and (told := _lacks(parts, (f"{factor}_a", f"{factor}_b"))):
            return told
    return None


def _lacks(parts: Shapes, wanted: Iterable[str]) -> str | None:
    missing = [part for part in wanted if part not in parts]
    return f"lacks {' and '.join(missing)}" if missing else None


def _ranks(parts: Shapes) -> str | None:
    """A pair is ``(rank, in, ...)`` and ``(out, rank, ...)``."""
    first, second = parts["down"], parts["up"]
    if len(first) >= 2 and len(second) >= 2 and first[0] == second[1] > 0:
        return None
    return f"its matrices, of shapes {list(first)} and {list(second)}, have no rank in common"
