"""Where a network's weights are while it works: on the device, there for a block only, or there layer by layer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any


@contextlib.contextmanager
def placed(modules: Sequence[Any], device: str, offload: str) -> Iterator[None]:
    """Modules on the device for the block: for good, for the block only, or layer by layer."""
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
    with layer_by_layer(modules, device):
        yield


@contextlib.contextmanager
def layer_by_layer(modules: Sequence[Any], device: str) -> Iterator[None]:
    """Modules whose weights go to the device layer by layer; what `module.device` says means nothing meanwhile."""
    from accelerate import cpu_offload
    from accelerate.hooks import remove_hook_from_submodules

    for module in modules:
        cpu_offload(module, device)
    try:
        yield
    finally:
        for module in modules:
            remove_hook_from_submodules(module)
