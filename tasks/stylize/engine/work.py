"""What the four ops share: models fetched and placed, chunks, and the name that unfinished work is kept under."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from reel.config import Config
from reel.keys import make_key
from reel.op import Context, Op
from reel.store import canonical_json, sha256_bytes
from tasks.stylize import memory
from tasks.stylize.device import check_device, resolve_device
from tasks.stylize.engine import models
from tasks.stylize.quiet import quiet
from tasks.weights import fetch as weights
from tasks.weights.memory import LOADED

log = logging.getLogger(__name__)
T = TypeVar("T")
Rung = tuple[str, dict[str, Any]]
"""What is done against memory that ran out, in words, and what the next try is told."""
FREED: Rung = ("freed other loaded models", {})
LIBRARIES = ("diffusers", "torch", "transformers", "accelerate", "peft", "numpy", "pillow", "opencv-python-headless")
"""Installed packages that can change the bytes of a render."""


def ready(ctx: Context, sources: Sequence[Any]) -> str:
    """Fetch the models, check the device, set the threads.

    Returns:
        the device: cpu, cuda or mps.
    """
    weights.fetch(sources)
    device = resolve_device(ctx.compute)
    check_device(device)
    if ctx.compute.threads:
        import torch

        torch.set_num_threads(ctx.compute.threads)
    return device


@contextlib.contextmanager
def working(modules: Sequence[Any], device: str, offload: str) -> Iterator[None]:
    """Modules on their device, no gradients, no library chatter."""
    import torch

    with models.placed(modules, device, offload), quiet(), torch.inference_mode():
        yield


def with_room(attempt: Callable[[str], T], device: str, ctx: Context, fix: str) -> T:
    """What ``attempt`` gives for a kind of `compute.offload`: the set one, and layer by layer if nothing else helps.

    Args:
        attempt: loads its models itself, so that they can be freed between two tries.
        fix: what to change when there is too little memory all the same.

    Raises:
        OutOfMemory: memory ran out in every try.
    """
    own = ctx.compute.offload
    rungs = [FREED]
    if device != "cpu" and own != "sequential":
        rungs.append(("offloaded the models layer by layer", {"offload": "sequential"}))

    def give_up(tried: Sequence[str]) -> memory.OutOfMemory:
        free = memory.free_memory(device) / 2**30
        said = f"out of memory on {device}, {free:.1f} GiB free; tried: {'; '.join(tried)}"
        return memory.OutOfMemory(said, fix=fix)

    return laddered(lambda offload=own: attempt(offload), rungs, ctx, give_up)


def laddered(
    attempt: Callable[..., T], rungs: Sequence[Rung], ctx: Context, give_up: Callable[[Sequence[str]], Exception]
) -> T:
    """What ``attempt`` gives; when memory runs out, again after each rung in turn. No rung may change the result.

    Args:
        give_up: the error when the last try runs out of memory too, made from what was tried.
    """
    tried: list[str] = []
    more: dict[str, Any] = {}
    for what, following in [*rungs, ("", {})]:
        try:
            found = attempt(**more)
            if tried:
                ctx.note(out_of_memory=tried)
            return found
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
            if not what:
                raise give_up(tried) from error
            log.warning("out of memory; %s and going on from what is finished", what)
        LOADED.free()  # out here: inside, the error's traceback would still hold the models
        tried.append(what)
        more = following
    raise AssertionError("the last try returns or raises")


def chunks(count: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of runs of ``size`` frames that cover ``count`` of them."""
    return ((start, min(start + size, count)) for start in range(0, count, size))


def identity(op: Op, cfg: Config, inputs: Mapping[str, str], device: str) -> str:
    """What unfinished work belongs to: the very cache key that its result is stored under, and the device.

    The device is in no key, but a result of which one half comes from a GPU and the other from a CPU is neither's.
    """
    known = {source.label: weights.content_id(source) for source in op.models(cfg)}
    return sha256_bytes(canonical_json({"key": make_key(op, cfg, inputs, known).digest, "device": device}))
