"""Outside software that reads a stranger's file works in a process of its own, with limits.

Whatever a broken file does to it, a crash, a hang, no end of memory, is one refusal here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

from reel import child
from reel.errors import UserError

log = logging.getLogger(__name__)

BY_THE_CLOCK = 60
"""Seconds that the machine may be busy with other things, or its disk asleep."""
_START = 4
"""Seconds of the processor that starting, and the smallest file, may take."""
_BYTES_A_SECOND = 10 << 20
"""Bytes of a file for which another second of the processor is allowed; reading takes a fiftieth of that."""


def limit(size: int) -> int:
    """How many seconds of the processor a file of ``size`` bytes may take to be read."""
    return _START + size // _BYTES_A_SECOND


def ask(module: str, request: Any, *, name: str, seconds: int, meanwhile: Callable[[], object] = lambda: None) -> Any:
    """Have a module, whose process ends in `tasks.media.inside.serve`, answer a request. Both are JSON values.

    Args:
        name: of the file, for messages.
        seconds: of the processor, at most; the clock may show ten times as many, and a minute more.
        meanwhile: work of this process that need not wait for the answer.

    Raises:
        UserError: as the module says, or its process crashed or used up what it may.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            child.command(module, str(seconds)), env=child.environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(json.dumps(request).encode())
            process.stdin = None
            meanwhile()
            said, _ = process.communicate(timeout=BY_THE_CLOCK + 10 * seconds)
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
    """The result in an answer of `tasks.media.inside`. Raises: UserError for a refusal."""
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
