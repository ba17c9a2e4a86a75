"""How much an op has to do, known before it runs: what a forecast holds its past seconds against.

Said once, at the op: ``op(..., work=function)``. The same function tells a dry run what is to come and a finished call
what it did. An op that works through the clips it is given needs none: `through_clips` holds for what says nothing.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from reel.config import Config
from reel.errors import DamagedObject, MissingObject
from reel.startup import Watch
from reel.store import Store

if TYPE_CHECKING:
    from reel.op import Context

FRAME = 0.05
"""Megapixels that take about as long as what a frame takes whatever its size (a file, a call, a network's own size)."""


@dataclass(frozen=True)
class Extent:
    """Length and size (px) of a clip, or of what stands for one: its latents, its poses."""

    frames: int
    width: int
    height: int

    @property
    def megapixels(self) -> float:
        return self.frames * self.width * self.height / 1e6


@dataclass(frozen=True)
class Work:
    """What one call has to do.

    Attributes:
        amounts: how much of what; seconds grow with each. An op gives the same terms in every call (0 where there is
            nothing of one), in one rough unit of time: from a single past run all are scaled alike, several tell what
            each costs. Empty: nobody knows yet.
        pace: JSON values that decide how fast it goes; calls that differ in one say nothing about each other.
        extent: of the output; None: it is no clip.
    """

    amounts: Mapping[str, float] = field(default_factory=dict)
    pace: Mapping[str, Any] = field(default_factory=dict)
    extent: Extent | None = None

    def noted(self, share: float, watch: Watch) -> dict[str, Any]:
        """What is kept of a finished call beside its seconds (`reel.keys.remember`).

        Args:
            share: of the amounts, that the call had still to do.
            watch: what else its seconds went to.
        """
        return {
            "amounts": {term: amount * share for term, amount in self.amounts.items()},
            "pace": dict(self.pace),
            "extent": None if self.extent is None else [self.extent.frames, self.extent.width, self.extent.height],
            "importing": round(watch.importing, 3),
            "loading": round(watch.loading, 3),
        }


WorkOf = Callable[[Any, Mapping[str, Extent], "Context"], Work]
"""From an op's settings, the extents of those of its inputs that are clips, and its context."""


def through_clips(cfg: Config, given: Mapping[str, Extent], ctx: Context) -> Work:
    """Every frame of every clip once; every choice and switch among the settings is another pace."""
    output = given.get("frames") or next(iter(given.values()), None)
    return Work(_amounts(*given.values()), choices(cfg), output) if given else Work(pace=choices(cfg))


def of_clip(clip: Extent) -> Work:
    """Every frame of the output once, at a pace that no setting changes."""
    return Work(_amounts(clip), {}, clip)


def _amounts(*clips: Extent) -> dict[str, float]:
    frames, megapixels = sum(clip.frames for clip in clips), sum(clip.megapixels for clip in clips)
    return {"frames": FRAME * frames, "megapixels": megapixels}


def choices(cfg: Config) -> dict[str, Any]:
    """Settings that are one of a few words, or true or false."""
    kinds = {name: one.annotation for name, one in type(cfg).model_fields.items()}
    few = [name for name, kind in kinds.items() if kind is bool or typing.get_origin(kind) is Literal]
    return {name: getattr(cfg, name) for name in few}


def extent(store: Store, digest: str) -> Extent | None:
    """The extent of a stored clip, latents or poses; None for anything else, the digest of a file included."""
    try:
        meta = store.get(digest).meta
    except (MissingObject, DamagedObject):
        return None
    if not {"count", "width", "height"} <= meta.keys():
        return None
    return Extent(meta["count"], meta["width"], meta["height"])
