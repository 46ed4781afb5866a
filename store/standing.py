"""Where each channel stands, seen by all workers: paused or not, its breaker, when it may be called again, who sends for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import field_validator
from sqlalchemy import ColumnElement, RowMapping, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from store.case_tables import channel_states
from store.database import transaction

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"
_SAID = ("breaker", "failures", "openings", "given_up", "opened_at", "probe_at", "error", "error_at", "free_at")


class Standing(Canonical):
    """A channel as it stands. ``failures`` in a row; ``openings`` of the breaker so far;
    ``given_up`` messages since the target last answered; from ``probe_at`` on one call may find
    out; ``free_at`` is when the next call keeps its rate."""

    channel: str
    paused_by: str = ""
    paused_known_by: str = ""
    paused_why: str = ""
    paused_at: datetime | None = None
    breaker: str = CLOSED
    failures: int = 0
    openings: int = 0
    given_up: int = 0
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    error: str = ""
    error_at: datetime | None = None
    free_at: datetime | None = None

    @field_validator("breaker")
    @classmethod
    def _named(cls, breaker: str) -> str:
        return breaker or CLOSED

    @property
    def paused(self) -> bool:
        return self.paused_at is not None

    def said(self) -> dict[str, Any]:
        """What whoever calls the target says of it."""
        return {name: getattr(self, name) for name in _SAID}


def standing_of(row: RowMapping) -> Standing:
    """A row as a standing."""
    return Standing.model_validate(dict(row))


def holds(channel: str, holder: str) -> ColumnElement[bool]:
    """Whether this holder still sends for the channel, by the database's clock: those of workers differ."""
    mine = channel_states.c.holder == holder
    return (channel_states.c.channel == channel) & mine & (channel_states.c.held_until > func.clock_timestamp())


def lease_until(lease: timedelta) -> ColumnElement[datetime]:
    """The end of a lease that begins now."""
    return func.clock_timestamp() + literal(lease)


async def take_lease(connection: AsyncConnection, channel: str, holder: str, lease: timedelta) -> Standing | None:
    """Become, or remain, who sends for a channel; None where another is."""
    values = {"channel": channel, "holder": holder, "held_until": lease_until(lease)}
    free = or_(
        channel_states.c.holder.in_(("", holder)),
        channel_states.c.held_until.is_(None),
        channel_states.c.held_until <= func.clock_timestamp(),
    )
    asked = upsert(channel_states).values(values)
    taken = asked.on_conflict_do_update(index_elements=["channel"], set_=values, where=free).returning(channel_states)
    row = (await connection.execute(taken)).mappings().one_or_none()
    return standing_of(row) if row is not None else None


class StoredStandings:
    """Standings in our own database; for targets nobody holds a lease of (webhooks), and for whoever looks."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def standing(self, channel: str) -> Standing:
        """How a channel stands; one that was never used stands open."""
        async with transaction(self._engine) as connection:
            asked = select(channel_states).where(channel_states.c.channel == channel)
            row = (await connection.execute(asked)).mappings().one_or_none()
        return standing_of(row) if row is not None else Standing(channel=channel)

    async def standings(self) -> Sequence[Standing]:
        """How every channel stands that was ever used."""
        async with transaction(self._engine) as connection:
            rows = await connection.execute(select(channel_states).order_by(channel_states.c.channel))
            return [standing_of(row) for row in rows.mappings()]

    async def probe(self, channel: str, at: datetime, again_at: datetime) -> bool:
        """Be the one call that finds out whether an open breaker may close; who does not report back lets another try then."""
        due = (channel_states.c.breaker.in_((OPEN, HALF_OPEN))) & (channel_states.c.probe_at <= at)
        asked = update(channel_states).where(channel_states.c.channel == channel, due)
        async with transaction(self._engine) as connection:
            changed = await connection.execute(asked.values(breaker=HALF_OPEN, probe_at=again_at))
            return bool(changed.rowcount)

    async def slot(self, channel: str, at: datetime, spacing: timedelta) -> datetime:
        """When the next call may be made; whoever asks after that gets a later moment. All workers share the one row."""
        values = {"channel": channel, "free_at": at + spacing}
        asked = upsert(channel_states).values(values)
        later = func.greatest(func.coalesce(channel_states.c.free_at, at), at) + literal(spacing)
        taken = asked.on_conflict_do_update(index_elements=["channel"], set_={"free_at": later})
        async with transaction(self._engine) as connection:
            free: datetime = (await connection.execute(taken.returning(channel_states.c.free_at))).scalar_one()
        return free - spacing

    async def not_before(self, channel: str, at: datetime) -> None:
        """The target asked not to be called before then."""
        asked = upsert(channel_states).values(channel=channel, free_at=at)
        later = func.greatest(func.coalesce(channel_states.c.free_at, at), at)
        async with transaction(self._engine) as connection:
            await connection.execute(asked.on_conflict_do_update(index_elements=["channel"], set_={"free_at": later}))

    async def say(self, standing: Standing) -> None:
        """What a call has found out about the target; its rate is kept elsewhere, and a pause is a person's word."""
        said = {name: value for name, value in standing.said().items() if name != "free_at"}
        asked = upsert(channel_states).values(channel=standing.channel, **said)
        async with transaction(self._engine) as connection:
            await connection.execute(asked.on_conflict_do_update(index_elements=["channel"], set_=said))
