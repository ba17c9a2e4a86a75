"""Settings name no code. Ours are held to registered names by their types; what Hydra itself takes would import
anything: a ``_target_`` in its part, a class or a factory of its logging, variables that decide what a process loads.

So an experiment of somebody else is settings and nothing more (docs/security.md).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from reel.errors import UserError

PLUGINS = ("launcher._target_", "sweeper._target_")
"""Where Hydra's part names a class by right: Hydra holds these two to its plugins itself."""

_PARTS = ("callbacks", "launcher", "sweeper", "job_logging", "hydra_logging", "job.env_set")
"""What of Hydra's part is made into objects, or into a point's environment."""
_CLASS = re.compile(r"logging\.(handlers\.)?[A-Z]\w*|reel\.log_lines\.\w+|colorlog\.\w+")


def check(config: Any) -> None:
    """Hold a composed config, Hydra's part included, to that.

    Raises:
        UserError: it names code; the key is told.
    """
    from omegaconf import OmegaConf

    for part in _PARTS:
        for path, value in _walk(OmegaConf.select(config, f"hydra.{part}"), part):
            _check(path, value)


def _check(path: str, value: Any) -> None:
    key, last = f"hydra.{path}", path.rpartition(".")[2]
    if (last == "_target_" and path not in PLUGINS) or last == "()":
        raise UserError(f"{key}: a setting names no code to run (got {value!r:.80})", fix=f"leave {key} out")
    if last == "class" and "_logging." in path and not _CLASS.fullmatch(str(value)):
        raise UserError(
            f"{key}: must be a class of Python's logging (got {value!r:.80})",
            fix="logging.StreamHandler, logging.handlers.RotatingFileHandler, ...",
        )
    if path.startswith("job.env_set."):
        raise UserError(f"{key}: a setting sets no environment variable", fix=f"export {last}=... in your shell")


def _walk(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value under a node of a config with its dotted path, interpolations followed."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if not (OmegaConf.is_dict(node) or OmegaConf.is_list(node)):
        yield path, node
        return
    names = list(node) if OmegaConf.is_dict(node) else range(len(node))
    for name in names:
        with contextlib.suppress(OmegaConfBaseException):  # what cannot be resolved nothing can be made of
            yield from _walk(node[name], f"{path}.{name}")
