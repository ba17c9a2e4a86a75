"""What `compute` means on this machine: device, number format and memory format where it says `auto`.

Found without torch, which takes seconds to import: these formats are in keys, and a render that is wholly in the store
needs no torch.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import platform
import shutil
from pathlib import Path
from typing import Literal

from reel.compute import Compute
from reel.errors import UserError

Dtype = Literal["float32", "bfloat16", "float16"]
MemoryFormat = Literal["contiguous", "channels_last"]


def resolve_device(compute: Compute) -> str:
    """`auto` as cuda, mps or cpu; a device named by the user stays as it is."""
    if compute.device != "auto":
        return compute.device
    if cuda_devices():
        return "cuda"
    return "mps" if platform.system() == "Darwin" and platform.machine() == "arm64" else "cpu"


def resolve_dtype(compute: Compute) -> Dtype:
    """`auto` as float16 on an accelerator, and on a CPU as bfloat16 where it computes that, else float32.

    Raises:
        UserError: float16 on a CPU, where most of its operations are missing or very slow.
    """
    device = resolve_device(compute)
    if compute.dtype == "auto":
        if device != "cpu":
            return "float16"
        return "bfloat16" if computes_bfloat16(cpu_flags()) else "float32"
    if compute.dtype == "float16" and device == "cpu":
        raise UserError("compute.dtype: float16 does not work on a CPU", fix="compute.dtype=float32 or bfloat16")
    return compute.dtype


def resolve_memory_format(compute: Compute) -> MemoryFormat:
    """`auto` as channels_last on a CPU, where convolutions gain by it, else contiguous, since that was not measured."""
    if compute.memory_format != "auto":
        return compute.memory_format
    return "channels_last" if resolve_device(compute) == "cpu" else "contiguous"


def decided(compute: Compute) -> dict[str, str]:
    """What this machine decides of ``compute`` as far as it changes bytes, for `reel.config.Config.result_part`."""
    found: dict[str, str] = {
        "dtype": resolve_dtype(compute) if compute.dtype == "auto" else compute.dtype,
        "memory_format": resolve_memory_format(compute),
    }
    if compute.max_memory is not None:  # what fits depends on whether models can be moved off a device
        found["device"] = resolve_device(compute)
    return found


ATTENTION = {"cpu": ("flash", "math"), "cuda": ("flash", "efficient", "cudnn", "math"), "mps": ("math",)}
"""Kernels of `scaled_dot_product_attention` by device."""


def check_compute(compute: Compute) -> None:
    """Whether device, attention and compilation can be had as asked.

    Raises:
        UserError: no driver for the device, or as `check_kernels`.
    """
    if compute.device == "cuda" and not cuda_devices():
        raise UserError("compute.device: no NVIDIA GPU was found", fix="compute=auto, or compute=cpu")
    check_kernels(compute)


def check_kernels(compute: Compute) -> None:
    """Whether the device has the kernels that are asked for.

    Raises:
        UserError: attention that the device or the number format does not have, or no compiler.
    """
    device, dtype = resolve_device(compute), resolve_dtype(compute)
    if compute.attention not in ("auto", *ATTENTION[device]):
        these = ", ".join(ATTENTION[device])
        raise UserError(
            f"compute.attention: {compute.attention} does not run on {device}; these do: {these}",
            fix="compute.attention=auto",
        )
    if device == "cuda" and dtype == "float32" and compute.attention in ("flash", "cudnn"):
        raise UserError(
            f"compute.attention: {compute.attention} computes in 16 bits alone, and dtype is float32",
            fix="compute.attention=efficient, or compute.dtype=float16",
        )
    if compute.compile and not _compiler(device):
        wanted = "Triton" if device == "cuda" else "a C++ compiler (g++ or clang++ in PATH, or CXX)"
        raise UserError(
            f"compute.compile: torch.compile needs {wanted}, which is not installed", fix="compute.compile=false"
        )


def _compiler(device: str) -> bool:
    if device == "cuda":
        return importlib.util.find_spec("triton") is not None
    names = [os.environ.get("CXX", ""), "g++", "clang++", *(["cl"] if platform.system() == "Windows" else [])]
    return any(name and shutil.which(name) for name in names)


BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Instructions that multiply bfloat16 (Zen 4, Cooper Lake, Sapphire Rapids and later). Without them it is emulated: no
faster than float32, and less exact."""


def computes_bfloat16(flags: frozenset[str]) -> bool:
    """Whether a CPU with these flags (as Linux names them) multiplies bfloat16 itself."""
    return bool(flags & BFLOAT16_FLAGS)


@functools.cache
def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Instruction sets that every core has; none where the system does not say (macOS, Windows)."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return frozenset()
    cores = [frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return frozenset.intersection(*cores) if cores else frozenset()


def hardware(compute: Compute, *, torch: bool) -> str:
    """What computes, in words by which machines are told apart: ``NVIDIA H100``, ``AMD EPYC 9R14 x 8``.

    Args:
        torch: by torch, which `compute.device` moves; anything else computes on the processor.
    """
    device = resolve_device(compute) if torch else "cpu"
    if device == "cpu":
        return f"{processor()} x {compute.threads or os.cpu_count() or 1}"
    return card() if device == "cuda" else f"{device}, {processor()}"


@functools.cache
def processor(path: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, where the system says it (Linux), else its architecture."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@functools.cache
def card() -> str:
    """The name of the first NVIDIA card; plain ``cuda`` where the driver does not say."""
    name = ctypes.create_string_buffer(256)
    if not cuda_devices() or _driver().cuDeviceGetName(name, len(name), 0) != 0:
        return "cuda"
    return name.value.decode(errors="replace")


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
        driver = _driver()
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _driver() -> ctypes.CDLL:
    """Raises: OSError without an NVIDIA driver."""
    return ctypes.CDLL("libcuda.so.1" if platform.system() == "Linux" else "nvcuda.dll")
