"""What the four ops share: models fetched and placed, chunks, and the name that unfinished work is kept under."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reel.config import Config
from reel.files import canonical_json, sha256_bytes
from reel.keys import make_key
from reel.op import Context, Op
from tasks.networks.offload import placed
from tasks.networks.quiet import quiet
from tasks.stylize.settings.compute import check_device, resolve_device
from tasks.weights import fetch as weights

LIBRARIES = ("diffusers", "torch", "transformers", "accelerate", "peft", "numpy", "pillow", "opencv-python-headless")
"""Installed packages that can change the bytes of a render."""


def set_up(ctx: Context, sources: Sequence[Any]) -> str:
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
def computing(modules: Sequence[Any], device: str, offload: str) -> Iterator[None]:
    """Modules on their device, no gradients, no library chatter."""
    import torch

    with placed(modules, device, offload), quiet(), torch.inference_mode():
        yield


def chunks(count: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of runs of ``size`` frames that cover ``count`` of them."""
    return ((start, min(start + size, count)) for start in range(0, count, size))


def identity(op: Op, cfg: Config, inputs: Mapping[str, str], device: str) -> str:
    """What unfinished work belongs to: the very cache key that its result is stored under, and the device.

    The device is in no key, but a result of which one half comes from a GPU and the other from a CPU is neither's.
    """
    known = {source.label: weights.content_id(source) for source in op.models(cfg)}
    return sha256_bytes(canonical_json({"key": make_key(op, cfg, inputs, known).digest, "device": device}))
