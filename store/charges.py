"""Which charges and credits billing is still to be told of; each leaves once, a credit never before its charge."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.charges import OWNER, Charge
from canonical.errors import Rejected
from canonical.messages import NewMessage
from canonical.stock_reports import ChargeRow
from canonical.usage import UsageEvent
from store.acts import Act, note_in
from store.channels import put_in
from store.database import transaction
from store.ids import now
from store.usage_tables import charges, usage_events

STATES = ("due", "written", "needless", "dead")
LONGEST_REASON = 2000
TAKEN_BACK = "taken back before billing was told"


class StoredCharges:
    """Charges in our own database. One process writes them at a time; each use's in the order of their ids."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def due(self, at: datetime, limit: int = 50) -> Sequence[Charge]:
        """What is due, the oldest first; a credit never overtakes its charge that waits for another try."""
        before = charges.alias("before")
        earlier = exists().where(
            before.c.event == charges.c.event,
            before.c.state == "due",
            before.c.again_at > at,
            before.c.id < charges.c.id,
        )
        asked = _with_event().where(charges.c.state == "due", charges.c.again_at <= at, ~earlier)
        async with transaction(self._engine) as connection:
            return [_charge(row) for row in await connection.execute(asked.order_by(charges.c.id).limit(limit))]

    async def write(self, charge: str, channel: str, message: NewMessage) -> str:
        """Put a charge's message to its channel and note it, in one transaction; gives the message, empty where it is due no more.

        Raises:
            Rejected: its key or control id belongs to another message (``conflict``).
        """
        async with transaction(self._engine) as connection:
            if not await _is_due(connection, charge):
                return ""
            kept = await put_in(connection, channel, message)
            values = {"state": "written", "channel": channel, "message": kept.message.id, "reason": ""}
            await _set(connection, [charge], values)
        return kept.message.id

    async def needless(self, charge: str, reason: str, *, also: str = "") -> bool:
        """Billing is not to hear of it, nor of ``also``; False where it was told meanwhile."""
        async with transaction(self._engine) as connection:
            which = [charge, also] if also else [charge]
            asked = select(charges.c.id).where(charges.c.id.in_(which), charges.c.state.in_(("due", "dead")))
            found = list(await connection.scalars(asked.with_for_update()))
            if set(found) != set(which):
                return False
            await _set(connection, which, {"state": "needless", "reason": reason[:LONGEST_REASON]})
        return True

    async def dead(self, charge: str, reason: str) -> None:
        """It cannot be written; a person has to look."""
        async with transaction(self._engine) as connection:
            if await _is_due(connection, charge):
                await _set(connection, [charge], {"state": "dead", "reason": reason[:LONGEST_REASON]})

    async def later(self, charge: str, reason: str, again_at: datetime) -> None:
        """Something it needs is away: try again then."""
        async with transaction(self._engine) as connection:
            if await _is_due(connection, charge):
                values = {"reason": reason[:LONGEST_REASON], "again_at": again_at, "attempts": charges.c.attempts + 1}
                await _set(connection, [charge], values)

    # ---- for people ------------------------------------------------------------------------------------------------

    async def list(
        self, *, state: str = "", facility: str = "", event: str = "", before: str = "", limit: int = 100
    ) -> Sequence[ChargeRow]:
        """Charges, newest first, from below ``before`` on."""
        asked = _rows().order_by(charges.c.id.desc()).limit(limit)
        for column, value in ((charges.c.state, state), (charges.c.facility, facility), (charges.c.event, event)):
            if value:
                asked = asked.where(column == value)
        if before:
            asked = asked.where(charges.c.id < before)
        async with transaction(self._engine) as connection:
            return [_row(row) for row in await connection.execute(asked)]

    async def again(
        self, which: Sequence[str], act: Act, *, facility: str = "", dry_run: bool = False
    ) -> Sequence[ChargeRow]:
        """Write these once more that could not be written, or without any named all those; what is due already stays so.

        Raises:
            Rejected: one is unknown, or billing was told of it already.
        """
        asked = _rows().order_by(charges.c.id)
        asked = asked.where(charges.c.id.in_(which) if which else charges.c.state == "dead")
        if facility:
            asked = asked.where(charges.c.facility == facility)
        async with transaction(self._engine) as connection:
            rows = [_row(row) for row in await connection.execute(asked.with_for_update(of=charges))]
            if unknown := set(which) - {row.id for row in rows}:
                raise Rejected(f"no charge {', '.join(sorted(unknown))}", code="not-found", system="store")
            if told := [row.id for row in rows if row.state not in ("dead", "due")]:
                raise Rejected(f"charge {told[0]} is not dead", code="conflict", system="store")
            if not dry_run:
                at = now()
                dead = [row for row in rows if row.state == "dead"]
                values: dict[str, Any] = {"state": "due", "again_at": at, "attempts": 0, "reason": ""}
                await _set(connection, [row.id for row in dead], values)
                about = (act.model_copy(update={"about": f"charge/{row.id}", "detail": row.reason}) for row in dead)
                await note_in(connection, *about)
                rows = [row.model_copy(update={"state": "due", "reason": "", "owner": ""}) for row in rows]
        return rows

    async def counts(self, facility: str = "") -> dict[str, int]:
        """How many are in each state."""
        asked = select(charges.c.state, func.count().label("charges")).group_by(charges.c.state)
        if facility:
            asked = asked.where(charges.c.facility == facility)
        async with transaction(self._engine) as connection:
            return {row.state: row.charges for row in await connection.execute(asked)}


async def _is_due(connection: AsyncConnection, charge: str) -> bool:
    asked = select(charges.c.state).where(charges.c.id == charge).with_for_update()
    return await connection.scalar(asked) == "due"


async def _set(connection: AsyncConnection, which: Sequence[str], values: dict[str, Any]) -> None:
    if which:
        await connection.execute(update(charges).where(charges.c.id.in_(which)).values(values | {"changed_at": now()}))


def _with_event() -> Select[Any]:
    """Charges with their use, and for each its own counterpart: a credit's charge, a charge's credit."""
    other = charges.alias("other")
    used = usage_events
    return (
        select(
            charges.c.id,
            charges.c.facility,
            charges.c.kind,
            charges.c.event,
            charges.c.channel,
            charges.c.attempts,
            charges.c.at,
            used.c.content,
            used.c.corrected,
            used.c.message,
            used.c.item,
            used.c.quantity,
            used.c.lot,
            used.c.serial,
            used.c.expires,
            used.c.location,
            used.c.cost_centre,
            used.c.procedure_code,
            other.c.id.label("other"),
            other.c.state.label("other_state"),
        )
        .join(used, used.c.id == charges.c.event)
        .outerjoin(other, (other.c.event == charges.c.event) & (other.c.kind != charges.c.kind))
    )


def _charge(row: Row[Any]) -> Charge:
    credit = row.kind == "credit"
    return Charge(
        id=row.id,
        facility=row.facility,
        kind=row.kind,
        event=UsageEvent.model_validate(row.content | (row.corrected or {})),
        event_id=row.event,
        message=row.message,
        channel=row.channel,
        charge=(row.other or "") if credit else row.id,
        charge_state=(row.other_state or "") if credit else "due",
        taken_back="" if credit or row.other_state != "due" else row.other,
        item=row.item,
        quantity=row.quantity or 0,
        lot=row.lot,
        serial=row.serial,
        expires=row.expires,
        location=row.location,
        cost_centre=row.cost_centre,
        procedure_code=row.procedure_code,
        at=row.at,
        attempts=row.attempts,
    )


def _rows() -> Select[Any]:
    used = usage_events
    return select(charges, used.c.item, used.c.location, used.c.quantity).join(used, used.c.id == charges.c.event)


def _row(row: Row[Any]) -> ChargeRow:
    owner = {"owner": OWNER} if row.state == "dead" else {}
    return ChargeRow.model_validate(dict(row._mapping) | owner)
