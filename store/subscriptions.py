"""Who hears of our events, as operators keep it: subscribers come and go, what one did not take is tried again; each deed noted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical
from canonical.errors import Rejected
from store.acts import Act, note_in
from store.case_tables import deliveries, events, subscribers
from store.database import transaction
from store.ids import now
from store.outbox import Subscriber

STATES = ("waiting", "delivered", "dead", "dropped")
REMOVED = "its subscriber was removed"


class DeliveryRow(Canonical):
    """One event for one subscriber, and how far it came; ``dead`` ones wait for a person."""

    id: int
    event: str
    type: str
    case: str
    facility: str
    subscriber: str
    state: str
    attempts: int = 0
    error: str = ""
    occurred_at: datetime
    next_at: datetime | None = None
    changed_at: datetime


class StoredSubscriptions:
    """Subscribers and their deliveries in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def subscribers(self, *, everyone: bool = False) -> Sequence[Subscriber]:
        """Who listens, by name; with ``everyone`` also who was removed."""
        asked = select(subscribers).order_by(subscribers.c.name)
        async with transaction(self._engine) as connection:
            rows = await connection.execute(asked if everyone else asked.where(subscribers.c.active))
            return [Subscriber.of(row._asdict()) for row in rows]

    async def add(self, wanted: Subscriber, act: Act, *, replace: bool = False) -> str:
        """Let somebody hear of what happens from now on: ``added``, ``changed`` or, the same again, ``unchanged``.

        Raises:
            Rejected: one of this name hears of other things, and is not to be replaced.
        """
        async with transaction(self._engine) as connection:
            asked = select(subscribers).where(subscribers.c.name == wanted.name).with_for_update()
            row = (await connection.execute(asked)).one_or_none()
            held = Subscriber.of(row._asdict()) if row is not None else None
            if held == wanted:
                return "unchanged"
            if held is not None and held.active and not replace:
                raise Rejected(f"{wanted.name} is a subscriber with other terms", code="conflict", system="store")
            values = wanted.row() | {"at": now()}
            asked_for = upsert(subscribers).values(values)
            await connection.execute(asked_for.on_conflict_do_update(index_elements=["name"], set_=values))
            await note_in(connection, act)
            return "changed" if held is not None and held.active else "added"

    async def note(self, act: Act) -> None:
        """Write down a deed that changed nothing here (a new secret)."""
        async with transaction(self._engine) as connection:
            await note_in(connection, act)

    async def remove(self, name: str, act: Act) -> tuple[Subscriber, int]:
        """Let somebody hear of nothing more, and how many events that were on their way are dropped; again, nothing happens.

        Raises:
            Rejected: there never was one of this name.
        """
        async with transaction(self._engine) as connection:
            asked = select(subscribers).where(subscribers.c.name == name).with_for_update()
            row = (await connection.execute(asked)).one_or_none()
            if row is None:
                raise Rejected(f"there is no subscriber {name}", code="not-found", system="store")
            held = Subscriber.of(row._asdict())
            if not held.active:
                return held, 0
            await connection.execute(
                update(subscribers).where(subscribers.c.name == name).values(active=False, at=now())
            )
            waiting = update(deliveries).where(deliveries.c.subscriber == name, deliveries.c.state == "waiting")
            dropped = waiting.values(state="dropped", error=REMOVED, changed_at=now()).returning(deliveries.c.id)
            count = len(list(await connection.scalars(dropped)))
            await note_in(connection, act.model_copy(update={"detail": f"{count} deliveries dropped"}))
            return held.model_copy(update={"active": False}), count

    async def deliveries(self, state: str = "", subscriber: str = "", limit: int = 100) -> Sequence[DeliveryRow]:
        """Deliveries, newest first; empty ``state`` for all."""
        asked = _rows().order_by(deliveries.c.id.desc()).limit(limit)
        if state:
            asked = asked.where(deliveries.c.state == state)
        if subscriber:
            asked = asked.where(deliveries.c.subscriber == subscriber)
        async with transaction(self._engine) as connection:
            return [_row(row) for row in (await connection.execute(asked)).mappings()]

    async def retry(
        self, which: Sequence[int], act: Act, *, subscriber: str = "", dry_run: bool = False
    ) -> Sequence[DeliveryRow]:
        """Try dead deliveries again from the beginning: these, or without any named all those (of one subscriber).

        What waits already stays as it is, so a repeat changes nothing. All of those named, or none.

        Raises:
            Rejected: one does not exist, was delivered, or its subscriber was removed.
        """
        asked = _rows().add_columns(subscribers.c.active).order_by(deliveries.c.id)
        all_dead = (deliveries.c.state == "dead", subscribers.c.active)
        asked = asked.where(*([deliveries.c.id.in_(which)] if which else all_dead))
        if subscriber:
            asked = asked.where(deliveries.c.subscriber == subscriber)
        async with transaction(self._engine) as connection:
            found = list((await connection.execute(asked.with_for_update(of=deliveries))).mappings())
            rows = [_row(row) for row in found]
            if unknown := set(which) - {row.id for row in rows}:
                told = ", ".join(str(one) for one in sorted(unknown))
                raise Rejected(f"there is no delivery {told}", code="not-found", system="store")
            for row, held in zip(rows, found, strict=True):
                if row.state not in ("dead", "waiting") or not held["active"]:
                    why = REMOVED if not held["active"] else f"it is {row.state}"
                    raise Rejected(f"delivery {row.id} is not tried again: {why}", code="conflict", system="store")
            dead = [row for row in rows if row.state == "dead"]
            if dry_run or not dead:
                return rows
            at = now()
            values = {"state": "waiting", "attempts": 0, "error": "", "next_at": at, "changed_at": at}
            ids = [row.id for row in dead]
            await connection.execute(update(deliveries).where(deliveries.c.id.in_(ids)).values(values))
            await note_in(connection, *(_of(act, row) for row in dead))
        return [row.model_copy(update=values) if row.state == "dead" else row for row in rows]


def _of(act: Act, row: DeliveryRow) -> Act:
    detail = f"{row.event} to {row.subscriber}, given up after {row.attempts} attempts: {row.error}"
    return act.model_copy(update={"about": f"delivery/{row.id}", "detail": detail})


def _rows() -> Select[Any]:
    held = [column for column in deliveries.c if column.name != "event"]
    about = (events.c.key.label("event"), events.c.type, events.c.case, events.c.facility, events.c.occurred_at)
    return (
        select(*held, *about)
        .join_from(deliveries, events, events.c.id == deliveries.c.event)
        .join(subscribers, subscribers.c.name == deliveries.c.subscriber)
    )


def _row(row: RowMapping) -> DeliveryRow:
    """As people see it: only what waits has a next time."""
    return DeliveryRow.model_validate({**row, "next_at": row["next_at"] if row["state"] == "waiting" else None})
