"""How a command ends: exit codes, messages for people, and what Ctrl-C and ``kill`` do.

Exit codes: 0 done; 1 a failure that is not the user's (traceback shown); 2 something to put right (message and fix);
130 interrupted.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flows.prefect_server.services import handed_over
from reel import interrupt
from reel.errors import UserError
from reel.masking import masked

OK, FAILED, USER_ERROR, INTERRUPTED = 0, 1, 2, 130

_guarding: list[bool] = []
"""One entry for each `guarded` command that handles signals now."""


def debugging() -> bool:
    """Whether tracebacks are wanted for every error: ``--debug``, which sets the variable for workers, too."""
    return os.environ.get("ROTOSCOPE_DEBUG", "") not in ("", "0")


def guarded(action: Callable[[], int | None], *, debug: bool = False) -> int:
    """Run a command and turn what it raises into a message and an exit code."""
    if debug:
        os.environ["ROTOSCOPE_DEBUG"] = "1"
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it looks for them in all that is installed
    atexit.register(gc.freeze)  # or the interpreter's end looks through all that torch and Prefect made, for seconds
    try:
        with stoppable(), handed_over():
            return action() or OK
    except UserError as error:
        with _telling():
            if debugging():
                print(masked(traceback.format_exc()), file=sys.stderr)
            report(error)
        return USER_ERROR
    except KeyboardInterrupt as error:
        exec("")  # or CPython ends us by SIGINT where the interruption fell into an exec(); it looks at the last one
        told = getattr(error, "__notes__", None) or ["what was finished stays in the store"]
        with _telling():
            print("\ninterrupted", *(f"  kept     {line}" for line in told), sep="\n", file=sys.stderr)
            print(f"  go on    {same_command()}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `rotoscope ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception:
        with _telling():
            print(masked(traceback.format_exc()), file=sys.stderr)
            print("\nerror: a failure that no setting explains; the traceback is above", file=sys.stderr)
        return FAILED


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    """A message that a full disk does not take (``2> log``) must not change the exit code."""
    try:
        yield
        sys.stderr.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):  # a stderr without a descriptor of its own
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


@contextlib.contextmanager
def keeping(tell: Callable[[], str]) -> Iterator[None]:
    """Work that Ctrl-C does not lose.

    Args:
        tell: asked when it comes: what is kept, in a few words; empty: nothing yet.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        with contextlib.suppress(Exception):  # a full disk, say, must not hide the interruption
            if told := tell():
                error.add_note(told)
        raise


def same_command() -> str:
    """What was typed, to be pasted into a shell; secrets masked."""
    program = Path(sys.argv[0])
    if program.name in ("cli.py", "__main__.py"):
        return masked(f"python -m flows.cli {shlex.join(sys.argv[1:])}")
    return masked(f"rotoscope {shlex.join(sys.argv[1:])}") if program.name == "rotoscope" else "the same command"


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C stops a run even where Python would lose it, and SIGTERM (``kill``, a batch system) does the same."""
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield
        return
    interrupt.forget()
    wanted: dict[int, Callable[[int, object], None]] = {
        signal.SIGTERM: lambda number, frame: interrupt.stop("stopped by SIGTERM")
    }
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a run in the background ignores Ctrl-C
        wanted[signal.SIGINT] = lambda number, frame: interrupt.stop()
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    told = sys.unraisablehook
    sys.unraisablehook = lambda lost: None if interrupt.remembered(lost.exc_type) else told(lost)
    _guarding.append(True)
    try:
        yield
    except Exception as error:
        interrupt.check(error)  # a library may wrap the interruption in an error of its own, as pydantic's core does
        raise
    finally:
        _guarding.pop()
        sys.unraisablehook = told
        for number, handler in before.items():
            signal.signal(number, handler)
        interrupt.forget()


def keep_wish_to_stop() -> None:
    """Call inside a Prefect flow: there Prefect's own handler of SIGTERM raises, and Python may drop what it raises.

    Under a command of ours (`guarded`) the wish is remembered beside that; a run that Prefect's worker started keeps
    Prefect's handler alone.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(handler) or not _guarding:
        return

    def both(number: int, frame: Any) -> None:
        interrupt.remember("stopped by SIGTERM")
        handler(number, frame)

    signal.signal(signal.SIGTERM, both)


def report(error: UserError, where: str = "") -> None:
    """Print a user's error on stderr: what is wrong, then how to put it right."""
    prefix = f"error: {where}: " if where else "error: "
    print(f"{prefix}{error.message}", file=sys.stderr)
    if error.fix:
        print(f"fix: {error.fix}", file=sys.stderr)


def tell(error: BaseException, where: str) -> None:
    """Print what ended a point of a sweep on stderr: a user's error in words, anything else with its traceback."""
    if isinstance(error, UserError) and not debugging():
        report(error, where)
    else:
        print(masked("".join(traceback.format_exception(error))), file=sys.stderr)
