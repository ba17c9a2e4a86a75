"""Typed settings of `serve` and of the deployments' files."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, field_validator, model_validator

from flows.paths import Paths
from flows.serve import due
from reel.config import OPERATIONAL, Config, Field, LocalPath, from_home, parse, suggest
from reel.errors import UserError

NAME = re.compile(r"[a-z][a-z0-9_]*")
ANCHOR = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
"""Intervals are counted from here, so that a restart does not shift them."""


class Serve(Config):
    """Settings of `serve`."""

    model_config = ConfigDict(extra="ignore")  # conf/local holds what other flows know; Hydra refuses typed-in typos

    folder: LocalPath
    """Where the deployments' files lie."""
    deployments: list[str] = []
    """Names of those to serve; empty: all of the folder."""
    roots: list[LocalPath] = []
    """Folders that files may be named from, relative to the checkout."""
    slots: dict[str, Annotated[int, Field(ge=1)]] = {}
    """Concurrency limits to be made on the Prefect server: name and number of renders at once."""
    processes: int = Field(default=4, ge=1)
    """Runs in flight at once on this machine, those that wait for a slot included."""
    work_pool: str | None = None
    """Hand runs to the workers of this pool instead of running them here."""
    job_variables: dict[str, Any] = {}
    """Variables for that pool's workers: image, env, ..."""
    check: bool = False
    """Read and check everything, and stop there."""
    allow: dict[str, list[str]] = {}
    """By flow: keys that overrides may set; `*` stands for anything."""
    paths: Annotated[Paths, OPERATIONAL]

    def absolute(self, path: Path) -> Path:
        """A path as the files mean it: relative to the checkout, links followed."""
        return (self.paths.root / from_home(path)).resolve()


class Schedule(Config):
    """One rule for when to run."""

    cron: str | None = None
    """`minute hour day month weekday`, or @daily and the like."""
    interval: datetime.timedelta | None = None
    """Seconds, counted from midnight UTC."""
    rrule: str | None = None
    """A recurrence rule of RFC 5545."""
    timezone: str = "UTC"
    """IANA name, such as Europe/Berlin."""

    @model_validator(mode="after")
    def _one_rule(self) -> Schedule:
        if sum(rule is not None for rule in (self.cron, self.interval, self.rrule)) != 1:
            raise ValueError("give one of cron, interval and rrule")
        if self.interval is not None and self.interval < datetime.timedelta(seconds=10):
            raise ValueError(f"interval must be 10 s or more, got {self.interval.total_seconds():g}")
        self.rule()
        if wrong := due.fault(self.cron, self.interval, self.rrule, self.timezone):
            raise ValueError(wrong)
        return self

    def rule(self) -> Any:
        """The rule as Prefect keeps it.

        Raises:
            ValueError: what is wrong with it, in Prefect's words.
        """
        from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
        from pydantic import ValidationError

        try:
            if self.cron is not None:
                return CronSchedule(cron=self.cron, timezone=self.timezone)
            if self.rrule is not None:
                return RRuleSchedule(rrule=self.rrule, timezone=self.timezone)
            return IntervalSchedule(interval=self.interval, anchor_date=ANCHOR, timezone=self.timezone)
        except ValidationError as error:
            told = error.errors()[0]["msg"].removeprefix("Value error, ")
            if "cron" in told:
                told += ' (minute, hour, day of the month, month, day of the week: "30 3 * * 1-5")'
            if self.rrule is not None and "timezone" not in told.lower():
                told = f"rrule: {told} (RFC 5545, such as FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=9;BYMINUTE=0;BYSECOND=0)"
            raise ValueError(told) from None

    async def due(self, start: datetime.datetime, end: datetime.datetime) -> list[datetime.datetime]:
        """Times at which it runs, from `start` to `end` (with a zone), at most a thousand."""
        from prefect.server.schemas import schedules

        rule = self.rule()
        return list(await getattr(schedules, type(rule).__name__)(**rule.model_dump()).get_dates(1000, start, end))

    async def next(self) -> datetime.datetime | None:
        """When it runs next; None: never again."""
        from prefect.server.schemas import schedules

        rule, start = self.rule(), datetime.datetime.now(datetime.UTC)
        dates = await getattr(schedules, type(rule).__name__)(**rule.model_dump()).get_dates(1, start)
        return dates[0] if dates else None

    @property
    def text(self) -> str:
        """For people: the rule and its time zone."""
        said = self.cron or self.rrule or f"every {self.interval}"
        return f"{said} ({self.timezone})"


class Watch(Config):
    """A folder whose new clips are rendered."""

    folder: LocalPath
    """Relative to the checkout; made if it is not there."""
    patterns: list[str] | None = None
    """Names that are taken, whatever their case; empty: those that the flow's files have."""
    stable_seconds: float = Field(default=5.0, ge=0.5)
    """A file is taken when its size and time did not change for so long."""
    force_polling: bool = False
    """For network drives, which tell nobody of new files."""


class Deployment(Config):
    """A file of conf/deployment/: what runs, and when."""

    flow: str
    """Which flow, by its name."""
    experiment: str | None = None
    """A file of conf/experiment/."""
    overrides: list[str] = []
    """As on the command line."""
    description: str = ""
    """For Prefect's UI."""
    tags: list[str] = []
    """For Prefect's UI."""
    schedules: list[Schedule] = []
    """When it runs; none: by hand, or when a file is dropped."""
    watch: Watch | None = None
    """A folder whose new clips it renders."""
    paused: bool | None = None
    """Whether its schedules are switched off; null: as they were switched in Prefect's UI."""
    concurrency_limit: int | None = Field(default=1, ge=1)
    """Runs of this deployment at once."""
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    """What a run does that is due while those run."""
    missed: Literal["skip", "once"] = "skip"
    """What to do about runs that were due while nothing was served."""
    retries: int = Field(default=0, ge=0, le=20)
    """Further tries after a failure that is not a setting's fault."""
    retry_delay_seconds: int = Field(default=60, ge=0)
    """Between two tries."""
    slot: str | None = "rotoscope-gpu"
    """The concurrency limit that a run holds while it renders."""
    on_failure: list[str] = []
    """A program and its arguments, called when a run has failed or crashed for good."""

    @field_validator("overrides", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        for item in value if isinstance(value, list) else []:
            if isinstance(item, Mapping):  # `- seed: 3`, the likely slip
                key, given = next(iter(item.items()), ("key", "value"))
                raise ValueError(f"each is a text, as on the command line: write - {key}={given}")
        return value


def read(settings: Serve, name: str) -> Deployment:
    """A deployment's file.

    Raises:
        UserError: no such file, no YAML, or what `reel.config.parse` finds wrong with it.
    """
    path = file_of(settings, name)
    return parse_file(path, load_yaml(path))


def file_of(settings: Serve, name: str) -> Path:
    """Where a deployment's settings lie.

    Raises:
        UserError: there is no such file.
    """
    known = names(settings)
    if name not in known:
        raise UserError(
            f"no deployment {name!r} in {settings.folder}{suggest(name, known)}",
            fix=f"there are: {', '.join(known) or 'none yet'}",
        )
    return settings.folder / f"{name}.yaml"


def names(settings: Serve) -> list[str]:
    """All deployments of the folder.

    Raises:
        UserError: a name that cannot be one.
    """
    found = sorted(path.stem for path in settings.folder.glob("*.yaml"))
    for name in found:
        if not NAME.fullmatch(name):
            raise UserError(
                f"{settings.folder / name}.yaml: a deployment's name is made of a-z, 0-9 and _",
                fix="rename the file",
            )
    return found


def load_yaml(path: Path) -> Any:
    """Plain YAML: nothing in it is interpolated.

    Raises:
        UserError: it cannot be read; the line is named.
    """
    from flows.config import yaml_files

    try:
        return yaml_files.load(path)
    except UserError as error:
        fix = error.fix
        if "cannot be read as YAML" in error.message:
            fix = 'put that line right; a cron rule or a pattern with * needs quotes: cron: "*/5 * * * *"'
        raise UserError(error.message, fix=fix) from None


def parse_file(path: Path, data: Any) -> Deployment:
    """Plain data of a file as a deployment; errors begin with the file's name."""
    if not isinstance(data, Mapping):
        raise UserError(f"{path}: must be a group of keys, each with its value", fix="begin with: flow: NAME")
    try:
        return parse(Deployment, data)
    except UserError as error:
        raise UserError(f"{path}: {error.message}", fix=error.fix) from None
