"""Needs that were refused or given up, judged once more: by themselves once the register is mended, or because a person asks.

What is judged anew says so by having no round: its location's next round gives it one, and its case starts what brings it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Row, null, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.errors import Rejected
from canonical.parties import Location
from canonical.replenishment import AFTER_USE, NewNeed, UsedUp, need_after_use, need_of_level, short_of
from canonical.stock import Need, RoundKey, StockLevel
from canonical.stock_reports import NeedRow
from canonical.supply import Item
from store.acts import Act, note_in
from store.database import transaction
from store.ids import new_id, now
from store.register_reading import in_force
from store.stock_balances import totals
from store.stock_needs import TAKEN_BACK, on_order
from store.usage_tables import stock_needs, usage_events
from store.usage_taking import rules

NOT_SHORT: Final = "nothing is missing any more"
PAGE: Final = 200

# Records a requisition is written from: loaded, or in force, since the need was last looked at.
_MENDED: Final = text("""
SELECT n.id FROM stock_needs AS n WHERE n.state = 'refused' AND n."case" = '' AND n.warehouse = '' AND n.id > :after
AND EXISTS (SELECT FROM register AS r WHERE r.facility = n.facility AND r.valid_from <= :today
    AND (r.kind, r.code) IN (('usage_policy', n.facility), ('location', n.location),
        ('stock_level', n.location || '/' || n.item), ('item', n.item))
    AND (r.loaded_at > n.changed_at OR r.valid_from > (n.changed_at AT TIME ZONE 'UTC')::date))
ORDER BY n.id LIMIT :most""")
_OTHER: Final = text("""
SELECT id FROM stock_needs WHERE facility = :facility AND location = :location AND item = :item AND event = '' AND id <> :id
AND state IN ('open', 'ordered', 'back-ordered') LIMIT 1""")
_ASKED: Final = text("""
UPDATE stock_needs SET round = :round WHERE facility = :facility AND location = :location AND round IS NULL
AND state = 'open' AND "case" = '' AND requisition IS NOT NULL""")
_TOLD: Final = text("""
SELECT id, facility, location, item, quantity, supply, CAST(requisition AS text) AS requisition FROM stock_needs
WHERE facility = :facility AND location = :location AND round = :round AND state = 'open' AND "case" = ''
AND requisition IS NOT NULL ORDER BY id""")


class StoredNeedsAgain:
    """Looks at needs once more, in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def again(self, need: str, act: Act, as_of: date, *, dry_run: bool = False) -> NeedRow:
        """Judge a refused or cancelled need once more, now; noted with the deed in one transaction.

        Raises:
            Rejected: there is none of that id, it is under way or came, another one of its item is under way, or it is refused again.
        """
        async with transaction(self._engine) as connection:
            row = await _locked(connection, need)
            if row is None:
                raise Rejected(f"there is no need {need}", code="not-found", system="store")
            if row.state not in ("refused", "cancelled"):
                raise Rejected(f"need {need} is {row.state}, neither refused nor given up", code="wrong-state")
            values = await _judged(connection, row, as_of)
            if values["state"] in ("refused", "cancelled"):
                raise Rejected(f"need {need} stays {row.state}: {values['reason']}", code="data-missing")
            if not dry_run:
                await _write(connection, row, values, now())
                detail = f"{row.state}: {row.reason}" + (f"; now {values['id']}" if values["id"] != need else "")
                await note_in(connection, act.model_copy(update={"about": f"need/{need}", "detail": detail[:2000]}))
            return NeedRow.model_validate(dict(row._mapping) | values)

    async def mended(self, as_of: date) -> Sequence[str]:
        """Judge those once more whose requisition could not be written before the register changed; the ids of those that go on."""
        after, on = "", []
        while True:
            async with transaction(self._engine) as connection:
                found = list(await connection.scalars(_MENDED, {"after": after, "today": as_of, "most": PAGE}))
                for need in found:
                    row = await _locked(connection, need)
                    if row is None or row.state != "refused":
                        continue
                    values = await _judged(connection, row, as_of)
                    await _write(connection, row, values, now())
                    on += [need] if values["state"] == "open" else []
            if len(found) < PAGE:
                return on
            after = found[-1]


async def asked_again(connection: AsyncConnection, key: RoundKey) -> int:
    """Give the round to needs of its location that were judged again; how many."""
    return (await connection.execute(_ASKED, _of(key))).rowcount


async def told_again(connection: AsyncConnection, key: RoundKey) -> list[Need]:
    """Needs of the location in this round whose requisition nobody has started."""
    return [Need.model_validate(dict(row)) for row in (await connection.execute(_TOLD, _of(key))).mappings()]


def _of(key: RoundKey) -> dict[str, Any]:
    return {"facility": key.facility, "location": key.location, "round": key.round}


async def _locked(connection: AsyncConnection, need: str) -> Row[Any] | None:
    asked = select(stock_needs).where(stock_needs.c.id == need).with_for_update()
    return (await connection.execute(asked)).one_or_none()


async def _judged(connection: AsyncConnection, row: Row[Any], day: date) -> dict[str, Any]:
    """What becomes of a need: the columns that change, its id among them."""
    about = {name: getattr(row, name) for name in ("facility", "location", "item", "id")}
    other = "" if row.event else (await connection.scalar(_OTHER, about) or "")
    if row.state == "refused" and row.received > row.put_away:  # it came, and the ERP would not put it away
        done = row.received >= row.quantity or bool(other)
        return {"id": row.id, "state": "received" if done else "ordered", "reason": ""}
    if other:
        return _stays(row, f"need {other} of the same item is under way")
    if row.state == "refused" and row.warehouse:
        return {"id": row.id, "state": "open", "reason": ""}
    if row.state == "refused" and row.case:
        return {"id": row.id, "state": "received" if row.received else "ordered", "reason": ""}
    made = await _made(connection, row, day)
    if isinstance(made, str):
        over = made in (NOT_SHORT, TAKEN_BACK)
        return {"id": row.id, "state": "cancelled" if over else row.state, "reason": made}
    if made.refused:
        return _stays(row, made.refused)
    level = made.level
    return {
        "id": made.id,
        "state": "open",
        "reason": "",
        "supply": level.supply,
        "warehouse": (level.warehouse or "") if level.supply == "warehouse" else "",
        "package": made.package,
        "quantity": made.quantity,
        "requisition": made.requisition.model_dump(mode="json") if made.requisition else null(),
        "round": None,
        "case": "",
        "orders": "",
        "expected": None,
        "received": 0,
        "put_away": 0,
        "lots": [],
    }


def _stays(row: Row[Any], reason: str) -> dict[str, Any]:
    return {"id": row.id, "state": row.state, "reason": reason}


async def _made(connection: AsyncConnection, row: Row[Any], day: date) -> NewNeed | str:
    """The need as it is today, or why there is none. One whose requisition was started before gets a name of its own."""
    code = f"{row.location}/{row.item}"
    level = (await in_force(connection, StockLevel, "stock_level", row.facility, {code}, day)).get(code)
    item = (await in_force(connection, Item, "item", row.facility, {row.item}, day)).get(row.item)
    place = (await in_force(connection, Location, "location", row.facility, {row.location}, day)).get(row.location)
    if level is None or item is None or place is None:
        missing = "stock level" if level is None else "item" if item is None else "location"
        return f"the register has no {missing} for {row.item} at {row.location}"
    policy = (await rules(connection, row.facility, row.location, day)).policy
    number = row.id if row.state == "refused" else new_id()
    if row.event:
        used = await _used(connection, row.event)
        if used is None:
            return TAKEN_BACK
        if level.supply not in AFTER_USE:
            return f"{row.item} at {row.location} is not ordered after use any more"
        return need_after_use(number, level, item, place, policy, used)
    where = (row.location, row.item)
    on_hand = (await totals(connection, row.facility, {where})).get(where, 0)
    coming, _, _ = (await on_order(connection, row.facility, {where})).get(where, (0, False, ""))
    short = short_of(level, on_hand, coming, empty_bin=True)
    if not short or place.moved_to:
        return NOT_SHORT
    return need_of_level(number, level, item, place, policy, day, short)


async def _used(connection: AsyncConnection, event: str) -> UsedUp | None:
    of = usage_events.c
    asked = select(of.id, of.quantity, of.lot, of.serial, of.procedure, of.cost_centre)
    row = (
        await connection.execute(asked.where(of.id == event, of.state == "posted", of.voided_by == ""))
    ).one_or_none()
    return UsedUp(row[0], row[1] or 0, *row[2:]) if row is not None else None


async def _write(connection: AsyncConnection, row: Row[Any], values: dict[str, Any], at: datetime) -> None:
    """Where the goods of a level are asked for anew, what was given up stays as it was, beside the new one."""
    if values["id"] != row.id and not row.event:
        begun = dict(row._mapping) | values | {"at": at, "changed_at": at}
        await connection.execute(stock_needs.insert().values(begun))
        return
    await connection.execute(update(stock_needs).where(stock_needs.c.id == row.id).values(**values, changed_at=at))
