"""How the sources that verify stand, for all workers: a question waits for its turn at the source's rate, and none goes to one
that is down.

One statement before each question, by the database's clock; another only when a source fails, or answers again after it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Interval, bindparam, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical
from canonical.errors import Throttled, Unavailable
from store.database import at_once, transaction
from store.people_tables import source_states

OPEN_AFTER: Final = 5  # failures in a row
REST: Final = timedelta(seconds=30)  # of a source that is down, between two questions that find out
PATIENCE: Final = timedelta(seconds=10)  # how long a question waits in line here; longer, and it comes again later

# The turn is taken only where it is near enough and the breaker lets it through; the one that finds out keeps others off meanwhile.
_TURN = text("""
    INSERT INTO source_states AS s (source, free_at) VALUES (:source, clock_timestamp() + :spacing)
    ON CONFLICT (source) DO UPDATE SET free_at = greatest(s.free_at, clock_timestamp()) + :spacing,
        probe_at = CASE WHEN s.probe_at IS NULL THEN NULL ELSE clock_timestamp() + :finding_out END
    WHERE coalesce(s.free_at <= clock_timestamp() + :patience, true) AND coalesce(s.probe_at <= clock_timestamp(), true)
    RETURNING greatest(extract(epoch FROM s.free_at - :spacing - clock_timestamp()), 0)::float AS wait,
        s.failures
""").bindparams(*(bindparam(name, type_=Interval()) for name in ("spacing", "patience", "finding_out")))


class Turn(Canonical):
    """A question's turn: ``wait`` seconds from now; ``failures`` of the source in a row until then."""

    wait: float
    failures: int


class SourceState(Canonical):
    """A source that is in trouble: since when, and when it is asked again."""

    source: str
    failures: int
    error: str = ""
    opened_at: datetime | None = None
    probe_at: datetime | None = None


class StoredSourceStates:
    """Rates and breakers in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def turn(self, source: str, per_second: float, timeout: float) -> Turn:
        """Stand in line for a question.

        Raises:
            Unavailable: the source is down, and another finds out whether it still is.
            Throttled: the line is longer than we wait; ``retry_after`` says when it may be shorter.
        """
        spacing = timedelta(seconds=1 / per_second)
        given = {"source": source, "spacing": spacing, "patience": PATIENCE}
        async with at_once(self._engine) as connection:
            asked = given | {"finding_out": REST + timedelta(seconds=timeout)}
            row = (await connection.execute(_TURN, asked)).one_or_none()
            if row is not None:
                return Turn(wait=row.wait, failures=row.failures)
            state = (await connection.execute(select(source_states).where(source_states.c.source == source))).one()
        if state.probe_at is not None:
            since = state.opened_at.isoformat(timespec="seconds") if state.opened_at else "a while"
            raise Unavailable(f"{source} is down since {since}: {state.error}"[:300], system=source)
        raise Throttled(
            f"{source} takes {per_second:g} questions a second: in line", retry_after=PATIENCE.total_seconds() / 2,
            system=source,
        )  # fmt: skip

    async def answered(self, source: str) -> None:
        """It answers again."""
        async with transaction(self._engine) as connection:
            well = {"failures": 0, "opened_at": None, "probe_at": None, "error": ""}
            await connection.execute(update(source_states).where(source_states.c.source == source).values(well))

    async def failed(self, source: str, error: str, at: datetime) -> None:
        """It did not answer; the fifth time in a row opens its breaker."""
        mine = source_states.c.source == source
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(source_states).where(mine).with_for_update())).one()
            failures = row.failures + 1
            news = {"failures": failures, "error": error[:200], "error_at": at}
            if failures >= OPEN_AFTER or row.probe_at is not None:
                news |= {"probe_at": at + REST, "opened_at": row.opened_at or at}
            await connection.execute(update(source_states).where(mine).values(news))

    async def told_to_wait(self, source: str, until: datetime) -> None:
        """The source asks everybody to slow down until then."""
        later = update(source_states).where(source_states.c.source == source).values(free_at=until)
        async with transaction(self._engine) as connection:
            await connection.execute(later)

    async def down(self) -> Sequence[SourceState]:
        """The sources whose breaker is open."""
        asked = select(source_states).where(source_states.c.opened_at.is_not(None)).order_by(source_states.c.source)
        async with transaction(self._engine) as connection:
            return [SourceState.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]
