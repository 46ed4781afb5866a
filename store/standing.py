"""Where each channel stands, seen by all workers: paused or not, its breaker, when it may be called again, who sends for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pydantic import field_validator
from sqlalchemy import ColumnElement, RowMapping, func, literal, or_, update
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


async def free_lease(connection: AsyncConnection, channel: str, holder: str) -> None:
    """Send for a channel no longer."""
    mine = (channel_states.c.channel == channel) & (channel_states.c.holder == holder)
    await connection.execute(update(channel_states).where(mine).values(holder="", held_until=None))


class StoredStandings:
    """Standings and leases in our own database, for targets whose queue is elsewhere (webhooks)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def lease(self, channel: str, holder: str, lease: timedelta) -> Standing | None:
        """Become, or remain, who sends to a target, and see how it stands; None where another sends."""
        async with transaction(self._engine) as connection:
            return await take_lease(connection, channel, holder, lease)

    async def say(self, standing: Standing, holder: str) -> bool:
        """What a call finds out about its target, or that one begins; False where another sends now, or it was paused."""
        mine = holds(standing.channel, holder) & channel_states.c.paused_at.is_(None)
        async with transaction(self._engine) as connection:
            asked = update(channel_states).where(mine).values(standing.said())
            return bool((await connection.execute(asked)).rowcount)

    async def release(self, channel: str, holder: str) -> None:
        """Let another send."""
        async with transaction(self._engine) as connection:
            await free_lease(connection, channel, holder)
