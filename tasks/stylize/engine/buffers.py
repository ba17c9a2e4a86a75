"""Memory for activations of all frames: on the device, or on disk when a clip is too long for that.

Between two motion modules every frame's activations must exist at once, so they grow with the clip, while the working
memory of one block of frames does not. `Buffers` keeps the former under a limit: what goes over it lives in files that
the system pages out (on a CPU) or in main memory (on a GPU). The numbers are the same wherever they live.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.errors import UserError

if TYPE_CHECKING:
    import torch


class Buffers:
    """Gives out uninitialised tensors and keeps count of what is alive in memory.

    Args:
        limit: bytes of activations kept on the device; None: all.
        folder: where spilled tensors live on a CPU; the files vanish with their tensors.
    """

    def __init__(self, limit: int | None = None, folder: Path | None = None) -> None:
        self.limit = limit
        self.folder = folder
        self.alive = 0
        self.peak = 0
        self.spilled = 0

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """A tensor of that shape for work on that device; it lives elsewhere when the limit is reached."""
        import torch

        size = math.prod(shape) * dtype.itemsize
        if self.limit is not None and self.alive + size > self.limit:
            self.spilled += size
            return self._spill(shape, dtype, device)
        tensor = torch.empty(shape, dtype=dtype, device=device)
        self._count(tensor, size)
        return tensor

    def _count(self, tensor: torch.Tensor, size: int) -> None:
        import weakref

        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(tensor.untyped_storage(), self._gone, size)

    def _gone(self, size: int) -> None:
        self.alive -= size

    def _spill(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        import torch

        if device.type != "cpu":
            return torch.empty(shape, dtype=dtype, device="cpu", pin_memory=device.type == "cuda")
        count = math.prod(shape)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix="activations-") as file:
            _reserve(file.fileno(), count * dtype.itemsize, Path(file.name).parent)
            # the mapping outlives the name: the kernel frees the blocks when the tensor is gone, or the process
            flat = torch.from_file(file.name, shared=True, size=count, dtype=dtype)
        return flat.view(shape)


def _reserve(file: int, size: int, folder: Path) -> None:
    """Give a file its size, with room on the disk for all of it: what has none would end the process when written to.

    Raises:
        UserError: the disk is full.
    """
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, size)
        else:
            os.truncate(file, size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(
            f"no room in {folder} for {size / 2**30:.2f} GiB of activations that do not fit into memory",
            fix="free some of that disk, raise compute.max_memory, or render fewer or smaller frames",
        ) from None


def blocks(count: int, size: int) -> list[slice]:
    """Frames 0..count-1 cut into pieces of at most ``size``, as even as possible.

    >>> blocks(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    number = math.ceil(count / size)
    edges = [math.ceil(count * i / number) for i in range(number + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def to_device(tensor: Any, device: Any) -> Any:
    """A block of frames on the device that computes it; spilled tensors are fetched, others pass untouched."""
    if tensor.device == device:
        return tensor
    # what is fetched to the CPU is read there at once, before a copy that nobody waits for would have come
    return tensor.to(device, non_blocking=device.type != "cpu")
