"""The families that animate, composed once a process: each takes Hydra a while."""

from __future__ import annotations

import functools

from flows.commands.models import family, names
from reel.models.animator import Animator


@functools.cache
def animators() -> tuple[Animator, ...]:
    """All of conf/model/, in the order of the catalogue."""
    return tuple(one for one in map(family, names()) if isinstance(one, Animator))


@functools.cache
def animator(name: str) -> Animator:
    """One of them."""
    return next(one for one in animators() if one.name == name)
