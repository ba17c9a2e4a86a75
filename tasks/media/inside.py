"""The inner side of `tasks.media.contained`: one request answered within limits. Light: it starts for each file."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections.abc import Callable
from typing import Any

from reel.errors import UserError

MEMORY = 12 << 30
"""Bytes of address space: many times what the largest pictures need, and less than what a forged size asks for."""


def serve(answer: Callable[[Any], Any]) -> None:
    """The other side of `contained.ask`: answer the one request on standard input."""
    restrict()
    request = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr  # nothing else may be printed between
    json.dump(answered(answer, request), out, default=str)


def restrict() -> None:
    """Keep this process within the seconds on its command line, and `MEMORY`."""
    seconds = int(sys.argv[1])
    for kind, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # an administrator's own limit may be lower
            resource.setrlimit(kind, (most, most))


def answered(answer: Callable[[Any], Any], request: Any) -> dict[str, Any]:
    """What `contained.taken` takes: a result, a refusal, or an error that nobody expected."""
    try:
        return {"result": answer(request)}
    except UserError as error:
        return {"refused": error.message, "fix": error.fix}
    except Exception as error:  # broken files make libraries raise errors of any class
        import traceback

        traceback.print_exc()
        return {"failed": str(error).partition("\n")[0] or type(error).__name__}
