"""Out of memory: what it looks like, and how much there still is."""

from __future__ import annotations

from reel.errors import UserError
from tasks.weights.memory import available_memory


class OutOfMemory(UserError):
    """A render needs more memory than there is."""


_SIGNS = ("not enough memory", "can't allocate memory", "could not create a primitive")
"""What the CPU's allocator says, and oneDNN when it gets no room to work in."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: CUDA's own class, or the CPU allocator's RuntimeError."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS)


def free_memory(device: str) -> int:
    """Bytes still free on the device."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    return available_memory()
