"""What a row about a node is: what each of its inputs means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Is:
    """The value of a fact. A name that begins with ``@`` depends on the way that led to the node (`BY_WAY`); one with a
    dot is about the group that the way leads through: ``control.weight``.

    Attributes:
        read: what the value is, in the fact's terms; None where it says nothing.
        how: what is not the same.
    """

    name: str
    read: Callable[[Any], Any] | None = None
    how: str = ""


@dataclass(frozen=True)
class Go:
    """A link that is followed.

    Attributes:
        way: what the link leads to from there on: ``positive``, ``start``, ...; empty: as the way was.
    """

    way: str = ""


@dataclass(frozen=True)
class Plain:
    """A value without effect while it is one of these; else not mapped, and why."""

    values: tuple[Any, ...]
    why: str


@dataclass(frozen=True)
class No:
    why: str


Input = Is | Go | Plain | No


@dataclass(frozen=True)
class Row:
    """A node.

    Attributes:
        opens: the kind of group that it begins; what is behind its links is about that group, until another begins.
        gives: facts that the node itself says, without an input.
        how: what is not the same about those.
        special: the way in which `reel.imports.comfy.walk` reads several of its inputs together.
        sampler: it denoises.
        end: a film or pictures end there; the greater, the more it is what the graph is for.
    """

    inputs: Mapping[str, Input] = field(default_factory=dict)
    opens: str = ""
    gives: Mapping[str, Any] = field(default_factory=dict)
    how: str = ""
    special: str = ""
    sampler: bool = False
    end: int = 0


BY_WAY = {
    "text": {"negative": "negative", "": "prompt"},
    "image": {"start": "picture", "end": "last", "guide": "guide.picture", "adapter": "ip_adapter.picture",
              "control": "control.picture", "reference": "reference", "": "picture"},
    "video": {"reference": "reference_film", "": "clip"},
}  # fmt: skip
"""The fact of an input named ``@text`` and the like, by the way; under the empty way what else it is."""
GPU = "of one machine, no part of a film"
TILES = "how the VAE works through a frame: stylize.decode_tiling, animate.decode_tiling"
ONE_FILM = Plain((1,), "one film at a time: -m seed=1,2")


def off(value: Any) -> Any:
    """0 and empty switch these off."""
    return value or None
