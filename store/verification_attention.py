"""What of verification stands still and needs a person: a source that is down, a list refused or not renewed, a month unfinished."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.people import OWNER
from store.database import transaction
from store.exclusions import STALE
from store.people_tables import exclusion_lists, exclusion_refusals, monitoring_runs, source_states
from store.stuck import Stuck

DOWN: Final = timedelta(minutes=15)
OWING: Final = timedelta(days=1)  # that a run still has licences nobody answered about


async def stuck(engine: AsyncEngine, now: datetime) -> Sequence[Stuck]:
    """A line for each source that is down and each list that is stale or was refused, and one for the last month.

    Raises:
        Unavailable: our database does not answer.
    """
    async with transaction(engine) as connection:
        down = [_down(row) for row in await connection.execute(_sources(now - DOWN))]
        stale = [_stale(row) for row in await connection.execute(_lists(now - timedelta(days=STALE)))]
        refused = [_refused(row) for row in await connection.execute(_refusals())]
        last = [_run(row, now) for row in await connection.execute(_last_run())]
    return [*down, *stale, *refused, *(one for one in last if one is not None)]


def _sources(before: datetime) -> Any:
    return select(source_states).where(source_states.c.opened_at <= before).order_by(source_states.c.source)


def _down(row: Any) -> Stuck:
    press = "see to its address and token (verification_sources); what waits goes on by itself"
    return _line("source down", row.source, row.error, row.opened_at, press)


def _lists(before: datetime) -> Any:
    known = exclusion_lists.c
    old = or_(known.seen_at < before, known.seen_at.is_(None) & (known.at < before))
    return select(exclusion_lists).where(known.current, old).order_by(known.source)


def _stale(row: Any) -> Stuck:
    why = "two editions were missed: who is clear by it is clear by an old list"
    press = "fascia exclusions load FILE, or see to the url of its source"
    return _line("exclusion list stale", row.source, why, row.seen_at or row.at, press)


def _refusals() -> Any:
    return select(exclusion_refusals).order_by(exclusion_refusals.c.source)


def _refused(row: Any) -> Stuck:
    press = (
        f"fascia monitoring run --reason ... fetches it again; if the file is whole: "
        f"fascia exclusions load FILE --source {row.source} --smaller --reason ..."
    )
    return _line("exclusion list refused", row.source, row.why, row.at, press)


def _last_run() -> Any:
    return select(monitoring_runs).order_by(monitoring_runs.c.as_of.desc()).limit(1)


def _run(row: Any, now: datetime) -> Stuck | None:
    owes = row.owed and now - row.as_of > OWING
    if not owes and not (row.trouble and row.state == "done"):
        return None
    owed = f"{row.owed} licences were not answered about" if row.owed else ""
    why = "; ".join(part for part in (owed, row.trouble) if part)
    press = "once mended: fascia monitoring run --reason ..., then fascia monitoring list"
    return _line("monthly monitoring unfinished", row.id, why, row.as_of, press)


def _line(what: str, name: str, why: str, since: datetime, press: str) -> Stuck:
    return Stuck(what=what, name=name, why=why, owner=OWNER, since=since, press=press)
