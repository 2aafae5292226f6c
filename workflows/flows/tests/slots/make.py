"""Makes the lists of slots beside this file with cronsim, which follows Debian's cron.

    python3 -m venv venv && venv/bin/pip install cronsim==2.8 tzdata==2026.6
    PYTHONTZPATH= venv/bin/python make.py .

cronsim names an instant twice when two times of a pattern fall into one gap; a slot is an instant, so repeats are dropped.
"""

import importlib.metadata
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

from cronsim import CronSim

# First days of the changes of 2026, in local time.
CHANGES = {
    "Europe/Berlin": ["2026-03-29", "2026-10-25"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    "UTC": ["2026-03-29", "2026-10-25"],
}
# Often: three days around each change.
OFTEN = [
    "0 * * * *",
    "*/15 * * * *",
    "*/30 1-3 * * *",
    "15 */2 * * *",
    "* 2 * * *",
    "10 * * * *",
    "0,30 1-3 * * *",
    "0-10/5 2 * * *",
    "0 2,3 * * *",
    "30 * * * 0",
]
# Seldom: the year, and the next leap day.
SELDOM = [
    ("20 0 * * *", "2026-12-31"),
    ("30 2 * * *", "2026-12-31"),
    ("45 1 * * SUN", "2026-12-31"),
    ("15 2 * * 0", "2026-12-31"),
    ("0 0 1,15 * 1", "2026-12-31"),
    ("0 9 * * 1-5", "2026-12-31"),
    ("0 12 */2 * 1", "2026-12-31"),
    ("0 12 1-7 * */3", "2026-12-31"),
    ("0 0 31 * *", "2026-12-31"),
    ("5 4 * JAN,OCT *", "2026-12-31"),
    ("59 23 * * 7", "2026-12-31"),
    ("0 2 L * *", "2026-12-31"),
    ("0 3 29 2 *", "2033-01-01"),
    ("30 2 29 3 *", "2029-01-01"),
]


def instants(cron: str, after: datetime, until: datetime) -> list[str]:
    found: list[str] = []
    for at in CronSim(cron, after):
        if at > until:
            return found
        text = at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        if not found or found[-1] != text:
            found.append(text)
    return found


def case(cron: str, zone: ZoneInfo, first: str, days: int | None, last: str | None) -> dict:
    after = datetime.fromisoformat(first).replace(tzinfo=zone)
    until = datetime.fromisoformat(last).replace(tzinfo=zone) if last else after + timedelta(days=days or 0)
    utc = lambda at: at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"cron": cron, "after": utc(after), "until": utc(until), "slots": instants(cron, after, until)}


def main(folder: Path) -> None:
    for name, changes in CHANGES.items():
        zone = ZoneInfo(name)
        cases = []
        for change in changes:
            before = (datetime.fromisoformat(change) - timedelta(days=1)).isoformat()
            cases += [case(cron, zone, before, 3, None) for cron in OFTEN]
        cases += [case(cron, zone, "2026-01-01", None, last) for cron, last in SELDOM]
        versions = {name: importlib.metadata.version(name) for name in ("cronsim", "tzdata")}
        origin = {"package": "cronsim (PyPI)", "versions": versions, "command": "python make.py ."}
        text = ",\n".join("    " + json.dumps(c) for c in cases)
        path = folder / (name.replace("/", "-").lower() + ".json")
        path.write_text(
            f'{{\n  "zone": "{name}",\n  "origin": {json.dumps(origin)},\n  "cases": [\n{text}\n  ]\n}}\n'
        )


main(Path(sys.argv[1]))
