"""The Hydra edge: from a command line to a flow's typed settings, with errors a person can act on.

A flow is a `flows.flow.Flow`; this module does the rest: help, literal text, composition, sweeps through Hydra's own
launchers and sweepers, messages and exit codes.

Exit codes: 0 done; 1 a failure that is not the user's (traceback shown); 2 something to put right (message and fix);
130 interrupted.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import contextvars
import gc
import logging.config
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flows.config.quoting import literal_overrides
from flows.edge.help_first import topics
from flows.paths import debugging
from reel import interrupt
from reel.config import Config, suggest
from reel.errors import UserError

if TYPE_CHECKING:
    from flows.config.setting_places import Origins
    from flows.flow import Flow

C = TypeVar("C", bound=Config)

OK, FAILED, USER_ERROR, INTERRUPTED = 0, 1, 2, 130

_guarding: list[bool] = []
"""One entry for each `guarded` command that handles signals now."""


@dataclass(frozen=True)
class Job:
    """How the running flow was called.

    Attributes:
        overrides: as Hydra got them, literal texts quoted.
        choices: chosen file by config group.
        origins: where each setting was written, for messages.
        num: number of the point in its sweep, from 0; None in a single run.
        sweep: the sweep's folder; None in a single run.
    """

    flow: str
    overrides: Sequence[str] = ()
    choices: dict[str, Any] = field(default_factory=dict)
    origins: Origins | None = None
    num: int | None = None
    sweep: Path | None = None


_job: contextvars.ContextVar[Job | None] = contextvars.ContextVar("job", default=None)


def current() -> Job:
    """The job of the flow that runs now; an unnamed one when a flow's ``run`` is called as a plain function."""
    return _job.get() or Job(flow="")


def run_flow(flow: Flow[Any], argv: Sequence[str] | None = None, *, conf: Path | None = None) -> int:
    """Run a flow from a command line.

    Args:
        argv: arguments without the program's name; None takes the process's own.
        conf: folder of the root config; None takes the project's ``conf/``.

    Returns:
        the exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _dispatch(flow, arguments, conf), debug="--debug" in arguments)


def guarded(action: Callable[[], int | None], *, debug: bool = False) -> int:
    """Run a command and turn what it raises into a message and an exit code."""
    if debug:
        os.environ["ROTOSCOPE_DEBUG"] = "1"
    atexit.register(gc.freeze)  # or the interpreter's end looks through all that torch and Prefect made, for seconds
    try:
        with _stoppable():
            return action() or OK
    except UserError as error:
        if debugging():
            traceback.print_exc()
        report(error)
        return USER_ERROR
    except KeyboardInterrupt:
        exec("")  # or CPython ends us by SIGINT where the interruption fell into an exec(); it looks at the last one
        print(
            "\ninterrupted; what was finished stays in the store, and the same command goes on from it", file=sys.stderr
        )
        return INTERRUPTED
    except BrokenPipeError:  # `rotoscope ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception:
        traceback.print_exc()
        print("\nerror: a failure that no setting explains; the traceback is above", file=sys.stderr)
        return FAILED


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
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
        traceback.print_exception(error)


def _dispatch(flow: Flow[Any], argv: list[str], conf: Path | None) -> int:
    from flows.config.compose import Root, hydra_ready, single

    root = Root(flow.name, flow.settings, conf)
    if (asked := topics(argv)) is not None:
        from flows.config.help import help_text

        with hydra_ready(root) as engine:
            print(help_text(root, engine, flow, asked))
        return OK
    options = parse_arguments(argv)
    with hydra_ready(root) as engine:
        overrides = literal_overrides(options.overrides, root.keys, multirun=options.multirun)
        if options.cfg or options.info:
            return _show(root, engine, overrides, options)
        if options.multirun:
            from flows.sweep.sweep import sweep

            return sweep(root, engine, flow, overrides)
        point = single(root, engine, overrides, options.overrides)
        _no_sweep(options.overrides)
    logging.config.dictConfig(point.job_logging)
    call(flow.run, point.config, Job(flow.name, point.overrides, dict(point.choices), point.origins))
    return OK


def _no_sweep(overrides: Sequence[str]) -> None:
    """A sweep's own settings mean nothing in a single run: it must not render where a plan was asked for."""
    for text in overrides:
        if text.lstrip("+").startswith("sweep."):
            raise UserError(f"{text}: a setting of sweeps, and this is a single run", fix="add -m, or leave it out")


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Flags and overrides of a flow's command line, in any order; ``--help`` is dealt with before.

    Raises:
        UserError: a flag that does not exist, with the nearest that does.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("-p", "--package")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--info", choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"))
    parser.add_argument("--debug", action="store_true")
    flags = [flag for action in parser._actions for flag in action.option_strings]
    try:
        options, unknown = parser.parse_known_intermixed_args(list(argv))
    except argparse.ArgumentError as error:
        raise UserError(str(error).removeprefix("argument "), fix="--help shows the usage") from None
    if unknown:
        raise UserError(f"unknown flag {unknown[0]}{suggest(unknown[0], flags)}", fix="--help shows the usage")
    return options


def _show(root: Any, engine: Any, overrides: list[str], options: argparse.Namespace) -> int:
    """Hydra's own views of a config: ``--cfg job`` prints it, ``--info defaults`` tells where it comes from."""
    from flows.config.diagnose import admitted, checked

    overrides = admitted(root, engine, checked(root, engine, overrides, multirun=False))
    if options.info:
        engine.show_info(options.info, config_name=root.name, overrides=overrides)
    else:
        engine.show_cfg(root.name, overrides, options.cfg, options.package, options.resolve)
    return OK


def call(fn: Callable[[C], Any], config: C, job: Job) -> Any:
    """Run a flow on checked settings: servers found, the job known to `current`, the output folder its own."""
    from flows.paths import Paths
    from flows.prefect_server import servers

    paths = getattr(config, "paths", None)
    if isinstance(paths, Paths):
        servers.prepare(paths.store)
        if paths.output is None and job.sweep is not None and job.num is not None:
            paths.output = job.sweep / str(job.num)
    token = _job.set(job)
    try:
        return fn(config)
    except UserError as error:
        from flows.config.setting_places import placed

        raise (placed(error, job.origins) if job.origins is not None else error) from error.__cause__
    finally:
        _job.reset(token)
