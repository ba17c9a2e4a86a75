"""Python processes that this project starts for its own modules."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_BARE = ["-S"]
"""Without what packages have installed to run at every start of Python, which takes longer than all the rest."""


def command(module: str, *arguments: str, bare: bool = False) -> list[str]:
    """What runs a module of this checkout as a program, whatever folder it is run in.

    Args:
        bare: start faster; modules are found in the folders of this process alone (`environment` hands them on).
    """
    return [sys.executable, "-P", *(_BARE if bare else []), "-m", module, *arguments]


def environment(*, bare: bool = False) -> dict[str, str]:
    """This process's environment, with this checkout first among the places that modules are found in."""
    first = str(Path(__file__).resolve().parents[1])
    others = [str(Path(path).absolute()) for path in sys.path if path] if bare else [os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [first, *others]))}
