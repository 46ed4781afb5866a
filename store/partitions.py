"""The journal's partitions: a week of messages each, made ahead of time, and dropped whole when nothing in them is needed.

Ids begin with their moment, so the tables are partitioned by id. What belongs to no week that is there (a clock far off, a
message taken over from long ago) goes to the default partition, and is lost nowhere.
"""

# ruff: noqa: S608 (statements are put together from names and bounds of our own only)
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.database import transaction
from store.ids import lowest_id

WEEK: Final = timedelta(days=7)
AHEAD: Final = 4  # weeks that are there before anything comes for them
LEFT_AT_MOST: Final = (
    10_000  # what is still needed of a week and goes to the default partition when the week is dropped
)
_LOCK_WITHIN: Final = "2s"  # or give up and try at the next round: who waits for such a lock holds up every door
_LOCK: Final = 0x46415044
_TABLES: Final = (("messages", "id"), ("message_states", "message"))
# Rows that change once or twice: without these the dead ones of a large week would lie there until its end.
_CARE: Final = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02"


class Week(NamedTuple):
    """The messages of one week, from its Monday 00:00 UTC."""

    monday: date

    @property
    def suffix(self) -> str:
        return f"w{self.monday:%Y%m%d}"

    @property
    def begins(self) -> datetime:
        return datetime(self.monday.year, self.monday.month, self.monday.day, tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        return self.begins + WEEK

    @property
    def first(self) -> str:
        """No id of the week is below it."""
        return lowest_id(self.begins)

    @property
    def beyond(self) -> str:
        """Every id of the week is below it."""
        return lowest_id(self.ends)


def week_of(at: datetime) -> Week:
    """The week a moment is in."""
    day = at.astimezone(UTC).date()
    return Week(day - timedelta(days=day.weekday()))


def weeks(first: datetime, last: datetime) -> Iterator[Week]:
    """Every week from that of the first moment to that of the last."""
    week = week_of(first)
    while week.begins <= last:
        yield week
        week = Week(week.monday + WEEK)


def making(week: Week) -> Iterator[str]:
    """The statements that make the partitions of a week where the default has nothing for it."""
    for table, _ in _TABLES:
        yield (
            f"CREATE TABLE {table}_{week.suffix} PARTITION OF {table} "
            f"FOR VALUES FROM ('{week.first}') TO ('{week.beyond}') WITH ({_CARE})"
        )


def making_defaults() -> Iterator[str]:
    """The statements that make the default partitions."""
    for table, _ in _TABLES:
        yield f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT WITH ({_CARE})"


class StoredPartitions:
    """The partitions in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def weeks(self) -> Sequence[Week]:
        """The weeks that have partitions, oldest first."""
        async with transaction(self._engine) as connection:
            return await _weeks(connection)

    async def make_ahead(self, now: datetime, ahead: int = AHEAD) -> Sequence[Week]:
        """Make the partitions of this week and of those to come; gives the weeks that were new.

        What lay in the default partition for such a week is taken over.

        Raises:
            Unavailable: somebody worked on the tables for too long; harmless to repeat.
        """
        made = []
        for week in weeks(now, now + ahead * WEEK):
            async with transaction(self._engine) as connection:
                await _alone(connection)
                if week not in await _weeks(connection):
                    await _make(connection, week)
                    made.append(week)
        return made

    async def drop(self, week: Week, needed: str) -> bool:
        """Drop a week whole; what is still needed of it goes to the default partition first.

        ``needed`` is a condition on ``m``, a row of messages. False: the week has gone, or too much of it is needed still.
        """
        messages, states = (f"{table}_{week.suffix}" for table, _ in _TABLES)
        async with transaction(self._engine) as connection:
            await _alone(connection)
            if week not in await _weeks(connection):
                return False
            count = f"SELECT count(*) FROM (SELECT 1 FROM {messages} m WHERE {needed} LIMIT {LEFT_AT_MOST + 1}) AS stay"
            if int(await connection.scalar(text(count)) or 0) > LEFT_AT_MOST:
                return False
            for table, _ in _TABLES:
                await connection.execute(text(f"ALTER TABLE {table} DETACH PARTITION {table}_{week.suffix}"))
            steps = (
                f"INSERT INTO messages SELECT * FROM {messages} m WHERE {needed}",
                f"INSERT INTO message_states OVERRIDING SYSTEM VALUE SELECT s.* FROM {states} s "
                f"WHERE EXISTS (SELECT 1 FROM {messages} m WHERE m.id = s.message AND {needed})",
                f"DROP TABLE {messages}",
                f"DROP TABLE {states}",
            )
            for step in steps:
                await connection.execute(text(step))
        return True


async def _alone(connection: AsyncConnection) -> None:
    await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_WITHIN}'"))
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


async def _weeks(connection: AsyncConnection) -> list[Week]:
    asked = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'messages'::regclass"
    names = await connection.scalars(text(asked))
    found = (re.search(r"messages_w(\d{4})(\d{2})(\d{2})\"?$", name) for name in names)
    return sorted(Week(date(*(int(part) for part in match.groups()))) for match in found if match)


async def _make(connection: AsyncConnection, week: Week) -> None:
    if not await connection.scalar(_any_in_default(week)):
        for step in making(week):
            await connection.execute(text(step))
        return
    for table, column in _TABLES:
        new, span = f"{table}_{week.suffix}", f"{column} >= '{week.first}' AND {column} < '{week.beyond}'"
        steps = (
            f"CREATE TABLE {new} (LIKE {table} INCLUDING ALL EXCLUDING IDENTITY) WITH ({_CARE})",
            f"WITH taken AS (DELETE FROM {table}_default WHERE {span} RETURNING *) "
            f"INSERT INTO {new} {'' if table == 'messages' else 'OVERRIDING SYSTEM VALUE '}SELECT * FROM taken",
            f"ALTER TABLE {table} ATTACH PARTITION {new} FOR VALUES FROM ('{week.first}') TO ('{week.beyond}')",
        )
        for step in steps:
            await connection.execute(text(step))


def _any_in_default(week: Week) -> TextClause:
    span = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table}_default WHERE {column} >= '{week.first}' AND {column} < '{week.beyond}')"
        for table, column in _TABLES
    )
    return text(f"SELECT {span}")
