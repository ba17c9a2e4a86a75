"""Where a render runs, found without torch, because dtype follows from it and dtype is in the key."""

from __future__ import annotations

import ctypes
import functools
import platform
from typing import Literal

from reel.compute import Compute
from reel.errors import UserError

Dtype = Literal["float32", "bfloat16", "float16"]


def resolve_device(compute: Compute) -> str:
    """`auto` as cuda, mps or cpu; a device named by the user stays as it is."""
    if compute.device != "auto":
        return compute.device
    if cuda_devices():
        return "cuda"
    return "mps" if platform.system() == "Darwin" and platform.machine() == "arm64" else "cpu"


def resolve_dtype(compute: Compute) -> Dtype:
    """`auto` as float16 on an accelerator and float32 on a CPU.

    Raises:
        UserError: float16 on a CPU, where most of its operations are missing or very slow.
    """
    device = resolve_device(compute)
    if compute.dtype == "auto":
        return "float32" if device == "cpu" else "float16"
    if compute.dtype == "float16" and device == "cpu":
        raise UserError("compute.dtype: float16 does not work on a CPU", fix="compute.dtype=float32 or bfloat16")
    return compute.dtype


def check_device(device: str) -> None:
    """Raises: UserError when torch cannot use the device (a CPU build of torch beside an NVIDIA card, say)."""
    import torch

    usable = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not usable[device]:
        raise UserError(
            f"compute.device: this torch ({torch.__version__}) cannot use {device}",
            fix="install the torch build for your card, or compute=cpu",
        )


@functools.cache
def cuda_devices() -> int:
    """NVIDIA cards that the driver offers; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1" if platform.system() == "Linux" else "nvcuda.dll")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
