"""Where a network's weights are while it works: on the device, there for a block only, or there layer by layer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any


@contextlib.contextmanager
def placed(modules: Sequence[Any], device: str, offload: str) -> Iterator[None]:
    """Modules on the device for the block: for good, for the block only, or layer by layer (`reel.compute.Compute`)."""
    if device == "cpu" or offload == "none":
        for module in modules:
            module.to(device)
        yield
        return
    if offload == "model":
        for module in modules:
            module.to(device)
        try:
            yield
        finally:
            for module in modules:
                module.to("cpu")
        return
    with layer_by_layer(modules, device, ahead=offload == "group"):
        yield


@contextlib.contextmanager
def layer_by_layer(modules: Sequence[Any], device: str, ahead: bool = False) -> Iterator[None]:
    """Modules whose weights go to the device layer by layer, by diffusers' group offloading.

    Its groups are single layers here: whole blocks would be fetched by a block's own call alone, and some of what runs
    here calls a block's layers. accelerate's hooks do the same, but leave a module that says it is on `meta`, where
    the pipelines then send their pictures.

    Args:
        ahead: the next layer is fetched while one works, where the device can do both at a time (CUDA).
    """
    from diffusers.hooks import HookRegistry, apply_group_offloading, group_offloading

    names = (group_offloading._GROUP_OFFLOADING, group_offloading._LAYER_EXECUTION_TRACKER,
             group_offloading._LAZY_PREFETCH_GROUP_OFFLOADING)  # fmt: skip
    streams = ahead and device.startswith("cuda")
    try:
        for module in modules:
            apply_group_offloading(
                module, device, offload_type="leaf_level", use_stream=streams, low_cpu_mem_usage=streams
            )  # fmt: skip
        yield
    finally:
        for module in modules:
            for name in names:
                HookRegistry.check_if_exists_or_initialize(module).remove_hook(name)
            module.to("cpu")
