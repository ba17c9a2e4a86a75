"""How the running flow was called, and calling it."""

from __future__ import annotations

import contextlib
import contextvars
import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flows.edge.quiet import results_alone
from reel.errors import UserError

if TYPE_CHECKING:
    from flows.config.setting_places import Origins

C = TypeVar("C")


@dataclass(frozen=True)
class Job:
    """How the running flow was called.

    Attributes:
        overrides: as Hydra got them, literal texts quoted.
        choices: chosen file by config group.
        origins: where each setting was written, for messages.
        num: number of the point in its sweep, from 0; None in a single run.
        sweep: the sweep's folder; None in a single run.
        axes: keys of the settings that the sweep's points differ in.
    """

    flow: str
    overrides: Sequence[str] = ()
    choices: dict[str, Any] = field(default_factory=dict)
    origins: Origins | None = None
    num: int | None = None
    sweep: Path | None = None
    axes: Sequence[str] = ()


_job: contextvars.ContextVar[Job | None] = contextvars.ContextVar("job", default=None)


def current() -> Job:
    """The job of the flow that runs now; an unnamed one when a flow's ``run`` is called as a plain function."""
    return _job.get() or Job(flow="")


@contextlib.contextmanager
def as_job(job: Job) -> Iterator[None]:
    """`current` is that job inside."""
    token = _job.set(job)
    try:
        yield
    finally:
        _job.reset(token)


def check_clock() -> None:
    """Whether the machine's clock can be right: Prefect's server does not start before 1970, and waits two minutes.

    Raises:
        UserError: it cannot.
    """
    if (now := time.time()) < 0:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=now)
        raise UserError(
            f"the machine's clock says {moment:%Y-%m-%d %H:%M} (UTC): nothing that goes by the time works before 1970",
            fix="set it, for instance with timedatectl set-ntp true",
        )


def call(fn: Callable[[C], Any], config: C, job: Job) -> Any:
    """Run a flow on checked settings: servers found, the job known to `current`, the output folder its own."""
    from flows.paths import Paths
    from flows.prefect_server import servers
    from flows.prefect_server.address import check_address

    check_clock()
    check_address()
    paths = getattr(config, "paths", None)
    if isinstance(paths, Paths):
        servers.prepare_unseen(paths.store)
        if paths.output is None and job.sweep is not None and job.num is not None:
            paths.output = job.sweep / str(job.num)
    try:
        with as_job(job), results_alone() as results:
            results.append(fn(config))
        return results[0]
    except UserError as error:
        from flows.config.setting_places import placed

        raise (placed(error, job.origins) if job.origins is not None else error) from error.__cause__
