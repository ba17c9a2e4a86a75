"""Rules for when to run that would not run as they read: told when a deployment's file is checked.

What a rule is due at is Prefect's to say (`flows.serve.settings.Schedule.due`); these are the ones that its scheduler
takes and then never fires, fires twice, or fires at other times.
"""

from __future__ import annotations

import datetime
import itertools
import re
import zoneinfo
from typing import Any

DAY = datetime.timedelta(days=1)
EARLIEST, FAR = 1970, 12
"""First year that a recurrence rule may begin in, and years in which it must fall due once."""
LONGEST = 3650
"""Days of an interval: a later date than the calendar's last cannot be reckoned."""
PAST = 100_000
"""Dates between a rule's beginning and now: Prefect counts them all whenever it plans a run."""
FIELDS = "minute hour day month weekday"


def fault(cron: str | None, interval: datetime.timedelta | None, rrule: str | None, timezone: str) -> str | None:
    """What is wrong with a rule that Prefect accepts; None: nothing is known against it."""
    if cron is not None and len(cron.split()) > 5:
        return f"cron: {cron!r} has {len(cron.split())} fields; it takes 5 ({FIELDS}), and no seconds or years"
    if cron is not None and never(cron):
        return f"cron: {cron!r} never falls due: no such day of the month comes"
    if interval is not None and interval > LONGEST * DAY:
        return f"interval: at most {LONGEST} days ({LONGEST * 86400} s), got {interval.days} days"
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
        return "rrule: FREQ=SECONDLY runs more often than every 10 s; take an interval"
    if re.search(r"COUNT\s*=", upper) and "DTSTART" not in upper:
        return (
            "rrule: COUNT without DTSTART counts from 2020-01-01, which is over; say where it begins: "
            f'"DTSTART:{datetime.date.today():%Y%m%d}T030000\\nRRULE:{rrule.removeprefix("RRULE:")}"'
        )
    if "EXRULE" in upper:
        return "rrule: EXRULE is no part of RFC 5545 any more; name what is left out by EXDATE or BYDAY"
    return _of_dates(rrule)


def _of_dates(rrule: str) -> str | None:
    """What is wrong with a rule's dates: they are found one after the other, so none at all take for ever to find."""
    from dateutil.rrule import rrule as Rule
    from dateutil.rrule import rrulestr

    found = rrulestr(rrule, dtstart=datetime.datetime(2020, 1, 1))
    rules = [found] if isinstance(found, Rule) else list(found._rrule)  # a set has rules, each of which must come
    return next((told for one in rules if (told := _of_one(one, rrule))), None)


def _of_one(rule: Any, rrule: str) -> str | None:
    """What is wrong with one rule's dates; ``rule`` is dateutil's, ``rrule`` the text that it is from."""
    start: datetime.datetime = rule._dtstart
    if rule._interval < 1:
        return f"rrule: INTERVAL must be 1 or more, got {rule._interval}"
    if start.year < EARLIEST:
        return f"rrule: DTSTART in {start.year} is too long ago; from {EARLIEST} on it is taken"
    end = start + datetime.timedelta(days=366 * FAR)
    try:
        first = next(iter(rule.replace(until=end, count=None)), None)
    except TypeError:  # dateutil's own, where no hour or minute meets the rule
        first = None
    if first is None:
        return f"rrule: {rrule!r} never falls due: there is no such day in {FAR} years"
    now = datetime.datetime.now(start.tzinfo)
    past = itertools.takewhile(lambda at: at < now, rule)
    if next(itertools.islice(past, PAST, None), None) is not None:
        return (
            f"rrule: more than {PAST:,} dates lie between {start:%Y-%m-%d} and now, and all are counted whenever "
            "a run is planned; take an interval or a cron, or a DTSTART of today"
        )
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
