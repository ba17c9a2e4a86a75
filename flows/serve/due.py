"""Rules for when to run that would not run as they read: told when a deployment's file is checked.

What a rule is due at is Prefect's to say (`flows.serve.settings.Schedule.due`); these are the ones that its scheduler
takes and then never fires, fires twice, or fires at other times.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo

DAY = datetime.timedelta(days=1)
EARLIEST, FAR = 1970, 12
"""First year that a recurrence rule may begin in, and years in which it must fall due once."""
FIELDS = "minute hour day month weekday"


def fault(cron: str | None, interval: datetime.timedelta | None, rrule: str | None, timezone: str) -> str | None:
    """What is wrong with a rule that Prefect accepts; None: nothing is known against it."""
    if cron is not None and len(cron.split()) > 5:
        return f"cron: {cron!r} has {len(cron.split())} fields; it takes 5 ({FIELDS}), and no seconds or years"
    if cron is not None and never(cron):
        return f"cron: {cron!r} never falls due: no such day of the month comes"
    if interval is not None and interval >= DAY and shifts(timezone):
        days = interval / DAY
        daily = "" if days != 1 else f'; for once a day there: cron: "0 3 * * *" with timezone: {timezone}'
        return (
            f"interval: {interval.total_seconds():g} s are counted from midnight UTC, and the clocks of {timezone} "
            f"change: runs would be due twice after a change; leave timezone out{daily}"
        )
    return None if rrule is None else _of_rrule(rrule)


def _of_rrule(rrule: str) -> str | None:
    upper = rrule.upper()
    if re.search(r"FREQ\s*=\s*SECONDLY", upper):
        return "rrule: FREQ=SECONDLY runs more often than every 10 s; take MINUTELY or an interval"
    if re.search(r"COUNT\s*=", upper) and "DTSTART" not in upper:
        return (
            "rrule: COUNT without DTSTART counts from 2020-01-01, which is over; say where it begins: "
            f'"DTSTART:{datetime.date.today():%Y%m%d}T030000\\nRRULE:{rrule.removeprefix("RRULE:")}"'
        )
    return _of_dates(rrule)


def _of_dates(rrule: str) -> str | None:
    """What is wrong with a rule's dates: they are found one after the other, so none at all take for ever to find."""
    from dateutil.rrule import rrule as Rule
    from dateutil.rrule import rrulestr

    found = rrulestr(rrule, dtstart=datetime.datetime(2020, 1, 1))
    if not isinstance(found, Rule):
        return None  # a set of rules, of which one may add what another lacks
    start: datetime.datetime = found._dtstart
    if start.year < EARLIEST:
        return f"rrule: DTSTART in {start.year} is too long ago; from {EARLIEST} on it is taken"
    end = start + datetime.timedelta(days=366 * FAR)
    if next(iter(found.replace(until=end, count=None)), None) is None:
        return f"rrule: {rrule!r} never falls due: there is no such day in {FAR} years"
    return None


def never(cron: str) -> bool:
    """Whether a cron rule names a day that no month has, such as 31 February."""
    from prefect._vendor.croniter import CroniterBadDateError, croniter

    try:
        croniter(cron, datetime.datetime(2020, 1, 1)).get_next(datetime.datetime)
    except CroniterBadDateError:
        return True
    return False


def shifts(timezone: str) -> bool:
    """Whether a zone's clocks change over the year."""
    try:
        zone = zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False  # told by Prefect's own check
    year = datetime.date.today().year
    return len({datetime.datetime(year, month, 1, tzinfo=zone).utcoffset() for month in range(1, 13)}) > 1
