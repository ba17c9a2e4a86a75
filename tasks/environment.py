"""What can change an op's bytes and stands in no key: what computed, on how many threads, by which FFmpeg.

Noted beside every computed output, so that a render that reuses it still says where it came from.
"""

from __future__ import annotations

import functools
import platform
import re
import subprocess
import sys

from reel.compute import Compute
from reel.errors import UserError
from reel.op import Op
from tasks.stylize.settings.compute import card, processor, resolve_device


def environment(op: Op, compute: Compute) -> dict[str, str]:
    """Facts of this machine that an op's output may depend on beside its key, as texts that can be compared."""
    torch = "torch" in op.distributions
    device = resolve_device(compute) if torch else "cpu"
    found = {"device": f"{device}: {card() if device == 'cuda' else processor()}"}
    if torch and (threads := _threads(compute)) is not None:
        found["threads"] = str(threads)
    if "imageio-ffmpeg" in op.distributions:
        found["ffmpeg"] = ffmpeg_build()
    return {**found, "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}


def _threads(compute: Compute) -> int | None:
    """On how many PyTorch computes: unset, as many as it takes by itself, which need not be the machine's processors.

    None: it is not loaded, so none of this was its work.
    """
    torch = sys.modules.get("torch")
    return None if torch is None else compute.threads or int(torch.get_num_threads())


@functools.cache
def ffmpeg_build() -> str:
    """Version of the FFmpeg program in use, with its compiler, as it says them itself; empty where it does not run."""
    from tasks.media.ffmpeg import binary

    try:
        said = subprocess.run([binary(), "-version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError, UserError):
        return ""
    version = re.search(r"^ffmpeg version (\S+)", said)
    built = re.search(r"^built with (.+)$", said, re.MULTILINE)
    return ", ".join(found[1] for found in (version, built) if found)
