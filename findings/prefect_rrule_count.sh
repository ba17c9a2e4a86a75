#!/usr/bin/env bash
# prefect 3.8.8: a recurrence rule with COUNT and without DTSTART.
#
# Guess: "FREQ=DAILY;COUNT=3" runs three times from the day of its deployment, as in a calendar.
# Seen 2026-11-29: the rule is accepted, and never due: without DTSTART its three days were 1 to 3 January 2020, wherever
# and whenever it is deployed. The same with a DTSTART of its own is due three times. Nothing is said, neither when the
# schedule is made nor later: it is an active schedule without runs.
#
#     bash findings/prefect_rrule_count.sh   # exit 0: as described; 1: it has changed
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# newer releases of these two break the server of this Prefect
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install prefect==3.8.8 "fastapi<0.151" "sqlalchemy<2.1"
PREFECT_HOME="$folder/home" PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1 "$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import datetime
import importlib.metadata

from prefect.server.schemas.schedules import RRuleSchedule

TODAY = datetime.datetime(2027, 3, 1, tzinfo=datetime.UTC)
RULES = {
    "FREQ=DAILY;COUNT=3": [],
    "DTSTART:20270301T000000\nRRULE:FREQ=DAILY;COUNT=3": ["2027-03-01", "2027-03-02", "2027-03-03"],
}


async def due(rule: str) -> list[str]:
    dates = await RRuleSchedule(rrule=rule, timezone="UTC").get_dates(n=5, start=TODAY)
    return [str(date)[:10] for date in dates]


print("prefect", importlib.metadata.version("prefect"))
changed = False
for rule, seen in RULES.items():
    found = asyncio.run(due(rule))
    changed |= found != seen
    print(f"{rule!r}: due {', '.join(found) or 'never'}{'' if found == seen else f'  CHANGED, it was {seen}'}")
raise SystemExit(changed)
PYTHON
