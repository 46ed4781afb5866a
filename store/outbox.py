"""Business events for inventory, analytics and others: written with the case's change, delivered to each subscriber."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from pydantic import Field
from sqlalchemy import exists, insert, select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.cases import BusinessEvent
from store.case_tables import deliveries, events, subscribers
from store.database import transaction
from store.ids import now
from store.replies import due_in
from store.tables import claims, messages


class Subscriber(Canonical):
    """Who wants to hear of what: a webhook, the file its secret is in, event types (``order.*`` takes all of them), and
    facilities (none: all of them). ``sender``: it hears only of what that sender of ours asked for. ``form``: empty for our own
    JSON, ``fhir/r4b`` or ``fhir/r5`` for FHIR notifications. ``per_second``: the most it is called, 0 for no limit."""

    name: str = Field(min_length=1, max_length=80)
    url: str = Field(pattern=r"^https?://")
    secret_file: str = ""
    types: tuple[str, ...] = ("*",)
    facilities: tuple[str, ...] = ()
    sender: str = ""
    form: str = Field(default="", pattern=r"^(fhir/(r4b|r5))?$")
    per_second: int = Field(default=0, ge=0)
    active: bool = True

    def wants(self, event_type: str, facility: str, asked_by: str = "") -> bool:
        """Whether it hears of events of this type at this facility, of a case that this sender asked for."""
        here = (not self.facilities or facility in self.facilities) and self.sender in ("", asked_by)
        return self.active and here and any(fnmatchcase(event_type, pattern) for pattern in self.types)

    def row(self) -> dict[str, object]:
        """As our database holds it."""
        return self.model_dump() | {"types": " ".join(self.types), "facilities": " ".join(self.facilities)}

    @classmethod
    def of(cls, row: Mapping[str, object]) -> Subscriber:
        """From what our database holds."""
        lists = {name: tuple(str(row[name]).split()) for name in ("types", "facilities")}
        return cls.model_validate({**row, **lists})


class Delivery(Canonical):
    """One event on its way to one subscriber; ``attempts`` counts this one."""

    id: int
    subscriber: Subscriber
    event: BusinessEvent
    attempts: int


async def put_events(connection: AsyncConnection, what: Sequence[BusinessEvent]) -> None:
    """Write events in a transaction of the caller's. One key is one event, and one delivery to each who wants it."""
    if not what:
        return
    listening = await _subscribers(connection)
    for event in what:
        row = {
            "key": event.key,
            "type": event.type,
            "case": event.case,
            "facility": event.facility,
            "content": event.model_dump_json(),
            "occurred_at": event.occurred_at,
        }
        new = await connection.scalar(upsert(events).values(row).on_conflict_do_nothing().returning(events.c.id))
        if new is not None:
            await due_in(connection, int(new), event)
        asked_by = await _asked_by(connection, event.case) if any(one.sender for one in listening) else ""
        to = [one.name for one in listening if one.wants(event.type, event.facility, asked_by)]
        if new is None or not to:
            continue
        at = now()
        rows = [{"event": new, "subscriber": name, "state": "waiting", "next_at": at, "changed_at": at} for name in to]
        await connection.execute(insert(deliveries), rows)


async def _asked_by(connection: AsyncConnection, case: str) -> str:
    """The sender whose message asked for a case; empty where it was none of a sender's."""
    asked = select(messages.c.sender).join(claims, claims.c.message == messages.c.id).where(claims.c.case == case)
    return await connection.scalar(asked) or ""


async def _subscribers(connection: AsyncConnection) -> list[Subscriber]:
    rows = await connection.execute(select(subscribers).where(subscribers.c.active).order_by(subscribers.c.name))
    return [Subscriber.of(row._asdict()) for row in rows]


class StoredOutbox:
    """Deliveries in our own database: several senders may work at once, each takes what no other holds."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber or change it; it hears of what happens from now on."""
        values = subscriber.row() | {"at": now()}
        asked = upsert(subscribers).values(values)
        async with transaction(self._engine) as connection:
            await connection.execute(asked.on_conflict_do_update(index_elements=["name"], set_=values))

    async def subscribers(self) -> Sequence[Subscriber]:
        """Who listens."""
        async with transaction(self._engine) as connection:
            return await _subscribers(connection)

    async def due(self, at: datetime) -> Sequence[str]:
        """The subscribers with something to send now."""
        asked = (
            select(deliveries.c.subscriber)
            .join(subscribers, subscribers.c.name == deliveries.c.subscriber)
            .where(deliveries.c.state == "waiting", deliveries.c.next_at <= at, subscribers.c.active)
            .distinct()
        )
        async with transaction(self._engine) as connection:
            return list(await connection.scalars(asked))

    async def claim(
        self, at: datetime, until: datetime, limit: int = 50, *, subscriber: str = ""
    ) -> Sequence[Delivery]:
        """Take deliveries that are due, oldest event first; who does not report back by ``until`` loses them again.

        What is behind a delivery of the same subscriber that waits for another try waits with it.
        """
        before = deliveries.alias("before")
        waits = before.c.state == "waiting", before.c.next_at > at, before.c.event < deliveries.c.event
        behind = exists().where(before.c.subscriber == deliveries.c.subscriber, *waits)
        whose = true() if not subscriber else deliveries.c.subscriber == subscriber
        async with transaction(self._engine) as connection:
            rows = await connection.execute(
                select(deliveries.c.id, deliveries.c.attempts, events.c.content, subscribers)
                .join(events, events.c.id == deliveries.c.event)
                .join(subscribers, subscribers.c.name == deliveries.c.subscriber)
                .where(
                    deliveries.c.state == "waiting", deliveries.c.next_at <= at, subscribers.c.active, whose, ~behind
                )
                .order_by(deliveries.c.event, deliveries.c.id)
                .limit(limit)
                .with_for_update(of=deliveries, skip_locked=True)
            )
            taken = [
                Delivery(
                    id=row.id,
                    attempts=row.attempts + 1,
                    event=BusinessEvent.model_validate_json(row.content),
                    subscriber=Subscriber.of(row._asdict()),
                )
                for row in rows
            ]
            if taken:
                await connection.execute(
                    update(deliveries)
                    .where(deliveries.c.id.in_([delivery.id for delivery in taken]))
                    .values(attempts=deliveries.c.attempts + 1, next_at=until, changed_at=at)
                )
        return taken

    async def delivered(self, delivery: int, at: datetime) -> None:
        """The subscriber has it."""
        await self._mark(delivery, state="delivered", error="", changed_at=at)

    async def failed(self, delivery: int, error: str, at: datetime, again_at: datetime | None) -> None:
        """The subscriber did not take it: try again then, or (None) give it to a person as dead.

        What another sender has brought meanwhile stays delivered.
        """
        if again_at is None:
            await self._mark(delivery, waiting=True, state="dead", error=error[:2000], changed_at=at)
        else:
            await self._mark(delivery, waiting=True, error=error[:2000], changed_at=at, next_at=again_at)

    async def put_off(self, delivery: int, error: str, at: datetime, again_at: datetime) -> None:
        """The subscriber asked us to wait, or was not asked at all: try again then, and count no try."""
        tries = deliveries.c.attempts - 1
        await self._mark(delivery, waiting=True, error=error[:2000], changed_at=at, next_at=again_at, attempts=tries)

    async def _mark(self, delivery: int, *, waiting: bool = False, **values: object) -> None:
        which = (deliveries.c.id == delivery) & (deliveries.c.state == "waiting" if waiting else true())
        async with transaction(self._engine) as connection:
            await connection.execute(update(deliveries).where(which).values(**values))
