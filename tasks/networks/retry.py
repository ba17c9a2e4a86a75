"""Memory ran out: the same work again with less of it, by steps that change no bit of the result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from reel.compute import BY_LAYER
from reel.op import Context
from tasks.networks.memory import OutOfMemory, free_memory, is_out_of_memory
from tasks.weights.memory import LOADED

log = logging.getLogger(__name__)
T = TypeVar("T")
Fallback = tuple[str, dict[str, Any]]
"""What is done about memory that ran out, in words, and the arguments of the next attempt."""
FREED: Fallback = ("freed other loaded models", {})


def retry_offloaded(attempt: Callable[[str], T], device: str, ctx: Context, fix: str) -> T:
    """What ``attempt`` gives for a kind of `compute.offload`: the set one, and layer by layer if nothing else helps.

    Args:
        attempt: loads its models itself, so that they can be freed between two tries.
        fix: what to change when there is too little memory all the same.

    Raises:
        OutOfMemory: memory ran out in every try.
    """
    own = ctx.compute.offload
    fallbacks = [FREED]
    if device != "cpu" and own not in BY_LAYER:
        fallbacks.append(("offloaded the models layer by layer", {"offload": "sequential"}))

    def give_up(tried: Sequence[str]) -> OutOfMemory:
        free = free_memory(device) / 2**30
        said = f"out of memory on {device}, {free:.1f} GiB free; tried: {'; '.join(tried)}"
        return OutOfMemory(said, fix=fix)

    return retry_with_less_memory(lambda offload=own: attempt(offload), fallbacks, ctx, give_up)


def retry_with_less_memory(
    attempt: Callable[..., T],
    fallbacks: Sequence[Fallback],
    ctx: Context,
    give_up: Callable[[Sequence[str]], Exception],
) -> T:
    """What ``attempt`` gives; when memory runs out, again after each fallback in turn. None may change the result.

    Args:
        give_up: the error when the last try runs out of memory too, made from what was tried.
    """
    tried: list[str] = []
    more: dict[str, Any] = {}
    for what, following in [*fallbacks, ("", {})]:
        try:
            found = attempt(**more)
            if tried:
                ctx.note(out_of_memory=tried)
            return found
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if not what:
                raise give_up(tried) from error
            log.warning("out of memory; %s and going on from what is finished", what)
        LOADED.free()  # out here: inside, the error's traceback would still hold the models
        tried.append(what)
        more = following
    raise AssertionError("the last try returns or raises")
