"""Which kernels carry out the denoiser's layers: attention by a named one, blocks compiled by torch.compile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

BLOCKS = (
    *("ResnetBlock2D", "Transformer2DModel", "AnimateDiffTransformer3D"),
    *("LTXVideoTransformerBlock", "LTX2VideoTransformerBlock"),
)
"""diffusers' classes that are compiled each for itself ("regional compilation"): few kinds, so little to compile, and
the walk over them stays Python."""
SHAPES = 64
"""Sizes that a block may be compiled for: four levels, with and without guidance, the last and shorter block of frames.
PyTorch gives up at 8 and goes on uncompiled."""


@contextlib.contextmanager
def use_kernels(modules: Iterable[Any], attention: str, compiled: bool) -> Iterator[None]:
    """The layers of ``modules`` as asked, inside the block.

    Args:
        attention: ``auto``, or ``flash``, ``efficient``, ``cudnn``, ``math`` of PyTorch's scaled dot-product attention.
        compiled: blocks that were compiled for an earlier render of this process stay so.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    backends = {
        "flash": SDPBackend.FLASH_ATTENTION,
        "efficient": SDPBackend.EFFICIENT_ATTENTION,
        "cudnn": SDPBackend.CUDNN_ATTENTION,
        "math": SDPBackend.MATH,
    }
    with contextlib.ExitStack() as stack:
        if attention != "auto":
            stack.enter_context(sdpa_kernel(backends[attention]))
        if compiled:
            stack.enter_context(torch._dynamo.config.patch(recompile_limit=SHAPES))
        for module in modules:
            _arrange(module, compiled)
        yield


def _arrange(module: Any, compiled: bool) -> None:
    for part in module.modules():
        if type(part).__name__ not in BLOCKS:
            continue
        if compiled and part._compiled_call_impl is None:
            part.compile()
        elif not compiled:
            part._compiled_call_impl = None
