"""Whether the matrices of a LoRA's layers belong together: told from the header, before anything loads."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from reel.errors import UserError
from tasks.weights.header import Header, shown

_PLAIN = re.compile(r"^(?P<layer>.*lora(?:_linear_layer)?)[._](?P<part>down|up|A|B)(?P<adapter>(?:\.\w+)?)\.weight$")
_LYCORIS = re.compile(r"^(?P<layer>.*)\.(?P<part>(?:hada|lokr)_w[12](?:_[ab])?)(?P<adapter>(?:\.\w+)?)$")
_SIDES = {"A": "down", "B": "up"}
Shapes = dict[str, tuple[int, ...]]


def check_pairs(header: Header, file: str, where: str) -> None:
    """Hold a LoRA's, LoHa's or LoKr's layers against the form that all of them have.

    Args:
        file: the file's name, and ``where`` the setting, for messages.

    Raises:
        UserError: a layer lacks a matrix, its matrices differ in rank, or its alpha is no single number.
    """
    layers: dict[str, Shapes] = {}
    for name, tensor in header.tensors.items():
        if match := _PLAIN.match(name) or _LYCORIS.match(name):
            part = _SIDES.get(match["part"], match["part"])
            layers.setdefault(match["layer"] + match["adapter"], {})[part] = tensor.shape
        elif name.endswith(".alpha") and math.prod(tensor.shape) != 1:
            raise _wrong(
                file, where, name.removesuffix(".alpha"), f"its alpha has the shape {list(tensor.shape)}, not []"
            )
    for layer, parts in layers.items():
        told = _of_plain(parts) if {"down", "up"} & parts.keys() else _of_lycoris(parts)
        if told:
            raise _wrong(file, where, layer, told)


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
