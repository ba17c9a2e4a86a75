"""The machine's part of `rotoscope doctor`: interpreter, packages, device, memory, ffmpeg, hub, disk."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flows.edge.text import memory as told
from flows.edge.text import size

GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``fix`` says what to do about a warning or a failure."""

    level: Literal["ok", "warn", "fail"]
    what: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{self.level:5} {self.what:10} {self.text}"
        return f"{line}\n{'':17}-> {self.fix}" if self.fix else line


def python() -> Iterator[Finding]:
    text = f"{platform.python_version()} on {platform.machine()} {platform.system()}"
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        "ok" if good else "fail", "python", text, "" if good else "make the environment with Python 3.11 to 3.13"
    )


def packages() -> Iterator[Finding]:
    """Installed versions against what the project asks for."""
    import importlib.metadata as metadata

    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in metadata.requires("rotoscope") or []]
    except metadata.PackageNotFoundError:
        yield Finding("warn", "packages", "rotoscope itself is not installed, only on the path", "make setup")
        return
    wrong, count = [], 0
    for requirement in wanted:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found} is not {requirement.specifier}")
    if wrong:
        yield Finding("fail", "packages", "; ".join(wrong), "make setup (installs what constraints.txt pins)")
    else:
        yield Finding("ok", "packages", f"all {count} requirements are met")
    for name in ("mediapipe",):  # its newer releases break `import controlnet_aux`, and it brings a second cv2
        if _installed(name):
            yield Finding("fail", "packages", f"{name} breaks controlnet_aux", f"pip uninstall {name}")


def _installed(name: str) -> bool:
    import importlib.metadata as metadata

    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def device() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            text = f"cuda:{index} {name}, {told(free)} of {told(total)} free, torch {torch.__version__}"
            tight = free < 4 * GIB
            yield Finding(
                "warn" if tight else "ok", "device", text, "free the GPU, or compute.offload=model" if tight else ""
            )
    elif torch.backends.mps.is_available():
        yield Finding("ok", "device", f"Apple MPS, torch {torch.__version__}")
    else:
        yield Finding(
            "warn",
            "device",
            f"CPU, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores, "
            f"torch {torch.__version__}: right for model=sprite, slow for real weights (SD 1.5: seconds a frame-step)",
            "a CUDA GPU with 8 GB or more renders real weights; nothing to do for the embedded family",
        )


def memory() -> Iterator[Finding]:
    import psutil

    seen = psutil.virtual_memory()
    total, available = seen.total, seen.available
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and limit.read_text().strip().isdigit():
        total = min(total, int(limit.read_text()))
        used = Path("/sys/fs/cgroup/memory.current")
        available = min(available, total - int(used.read_text()) if used.is_file() else total)
    text = f"{told(available)} of {told(total)} free"
    if available < 2 * GIB:
        yield Finding("fail", "memory", text, "close something: even the embedded family needs 2 GiB")
    elif available < 8 * GIB:
        yield Finding(
            "warn", "memory", text, "enough for model=sprite; sd15 needs 8 GiB (compute.offload does not help here)"
        )
    else:
        yield Finding("ok", "memory", text)


def ffmpeg() -> Iterator[Finding]:
    """The binary that renders use, and the encoders that `assemble` needs."""
    import subprocess

    import imageio_ffmpeg

    from tasks.media.ffmpeg import binary as program

    binary = program()
    run = subprocess.run([binary, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=20, check=True)
    wanted = ("libx264", "prores_ks", "ffv1", "libvpx-vp9", "gif", "libwebp", "aac", "libopus")
    absent = [name for name in wanted if f" {name} " not in run.stdout]
    text = f"{imageio_ffmpeg.get_ffmpeg_version()} ({binary})"
    if "libx264" in absent:
        yield Finding(
            "fail", "ffmpeg", f"{text} cannot write H.264", "unset IMAGEIO_FFMPEG_EXE, or reinstall imageio-ffmpeg"
        )
    elif absent:
        yield Finding("warn", "ffmpeg", f"{text} lacks {', '.join(absent)}", "only those formats are refused")
    else:
        yield Finding("ok", "ffmpeg", text)


def hub() -> Iterator[Finding]:
    """Whether real weights could be fetched; not asked at all in offline mode."""
    from tasks.weights import hub

    if hub.offline():
        yield Finding(
            "warn", "hub", "HF_HUB_OFFLINE is set", "unset it to fetch models; those on this machine still work"
        )
    elif not (why := hub.silent()):
        yield Finding("ok", "hub", f"{hub.address()} answers")
    elif why.startswith("HF_ENDPOINT"):
        yield Finding("fail", "hub", why, "unset it, or write https://...")
    else:
        yield Finding(
            "warn",
            "hub",
            f"{hub.address()} cannot be reached ({why})",
            "model=sprite needs none; for others set HF_ENDPOINT to a mirror, or copy the weights (kind: file)",
        )


def disk(store: Path) -> Iterator[Finding]:
    import shutil

    place = next(folder for folder in (store.absolute(), *store.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    text = f"{size(free)} free at {store}"
    if not os.access(place, os.W_OK):
        yield Finding("fail", "disk", f"{place} cannot be written", "own it, or choose another with ROTOSCOPE_STORE")
    elif free < 1e9:
        yield Finding("fail", "disk", text, "rotoscope gc shows what can go; or ROTOSCOPE_STORE=/another/disk")
    elif free < 10e9:
        yield Finding("warn", "disk", text, "enough for a few clips; rotoscope gc shows what can go")
    else:
        yield Finding("ok", "disk", text)
