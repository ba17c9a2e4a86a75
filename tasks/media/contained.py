"""Outside software that reads a stranger's file works in a process of its own, with limits.

Whatever a broken file does to it, a crash, a hang, no end of memory, is one refusal here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import resource
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

from reel import child
from reel.errors import UserError

log = logging.getLogger(__name__)

MEMORY = 12 << 30
"""Bytes of address space: many times what the largest pictures need, and less than what a forged size asks for."""
BY_THE_CLOCK = 60
"""Seconds that the machine may be busy with other things, or its disk asleep."""
_START = 4
"""Seconds of the processor that starting, and the smallest file, may take."""
_BYTES_A_SECOND = 10 << 20
"""Bytes of a file for which another second of the processor is allowed; reading takes a fiftieth of that."""


def limit(size: int) -> int:
    """How many seconds of the processor a file of ``size`` bytes may take to be read."""
    return _START + size // _BYTES_A_SECOND


def ask(module: str, request: Any, *, name: str, seconds: int) -> Any:
    """Have a module, whose process ends in `serve`, answer a request. Both are JSON values.

    Args:
        name: of the file, for messages.
        seconds: of the processor, at most; the clock may show ten times as many, and a minute more.

    Raises:
        UserError: as the module says, or its process crashed or used up what it may.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            child.command(module, str(seconds)), env=child.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=errors,
        )  # fmt: skip
        try:
            said, _ = process.communicate(json.dumps(request).encode(), timeout=BY_THE_CLOCK + 10 * seconds)
        except subprocess.TimeoutExpired:
            raise crashed(name) from None
        finally:
            process.kill()
            process.wait()
        errors.seek(0)
        if trace := errors.read().decode("utf-8", "replace").strip():
            log.debug("%s: %s", name, trace)
    if process.returncode != 0:
        raise crashed(name)
    return taken(json.loads(said), name)


def taken(answer: dict[str, Any], name: str) -> Any:
    """The result in an answer of `serve`. Raises: UserError for a refusal."""
    if "failed" in answer:
        raise UserError(f"clip: {name} cannot be read ({answer['failed']})", fix="copy or download it again")
    if "refused" in answer:
        raise UserError(answer["refused"], fix=answer["fix"])
    return answer["result"]


def crashed(name: str) -> UserError:
    """The refusal of a file that outside software broke down on."""
    return UserError(
        f"clip: {name} is damaged: the software that reads it crashed, or came to no end",
        fix="copy or download it again; if other programs show it, export it from one of them",
    )


def serve(answer: Callable[[Any], Any]) -> None:
    """The other side of `ask`: answer the one request on standard input, within the limits on the command line."""
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
    """What `taken` takes: a result, a refusal, or an error that nobody expected."""
    try:
        return {"result": answer(request)}
    except UserError as error:
        return {"refused": error.message, "fix": error.fix}
    except Exception as error:  # broken files make libraries raise errors of any class
        traceback.print_exc()
        return {"failed": str(error).partition("\n")[0] or type(error).__name__}
