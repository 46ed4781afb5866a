"""What stands still of use and stock and needs a person: parked uses, conflicts, charges, locations and needs; why, what to press."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, ScalarSelect, Select, Table, TextClause, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical, case_id
from canonical.charges import OWNER as BILLING
from canonical.stock_moves import MOVED
from canonical.usage import FINDINGS
from canonical.usage import OWNER as MATERIALS
from store.count_tables import counted_again, stock_counts
from store.database import transaction
from store.stock_needs import TAKEN_BACK
from store.stuck import Stuck
from store.usage_tables import charges, stock_needs, usage_conflicts, usage_events, usage_rounds

MOST_COUNTED: Final = 10_000  # of one kind: more are many, however many
WAITS: Final = ("review", "parked")
TOLD_FOR: Final = timedelta(days=30)  # that something was paid for which was not used; nothing here can answer that
# A location that moved whose last round could not hand all of its stock over, as long as any of it is there.
_NOT_MOVED: Final = text("""
SELECT l.facility, l.location, l.location AS id, r.taken ->> 'moved_to' AS moved_to, r.changed_at AS at,
    o.value #>> '{refused,0,reason}' AS reason, jsonb_array_length(o.value -> 'refused') AS many
FROM usage_locations AS l JOIN usage_rounds AS r USING (facility, location, round)
CROSS JOIN LATERAL jsonb_each(r.outcomes) AS o
WHERE r.taken ->> 'moved_to' <> '' AND o.key LIKE :moved AND jsonb_array_length(o.value -> 'refused') > 0
AND EXISTS (SELECT FROM stock_balances AS b WHERE (b.facility, b.location) = (l.facility, l.location) AND b.on_hand > 0)
""").bindparams(moved=f"%/transfer/{MOVED}")


class UsageStands(Canonical):
    """How much is under way: uses no round has taken, charges not written, needs that have not come."""

    waiting: int
    charges: int
    needs: int


async def standing_of(engine: AsyncEngine) -> UsageStands:
    """Counted by the indexes of what is unfinished."""
    open_need = stock_needs.c.state.in_(("open", "ordered", "back-ordered"))
    asked = select(
        _how_many(usage_events, usage_events.c.state == "waiting").label("waiting"),
        _how_many(charges, charges.c.state == "due").label("charges"),
        _how_many(stock_needs, open_need).label("needs"),
    )
    async with transaction(engine) as connection:
        return UsageStands.model_validate(dict((await connection.execute(asked)).mappings().one()))


def _how_many(table: Table, which: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(table).where(which).scalar_subquery()


async def stuck_uses(engine: AsyncEngine, before: datetime) -> Sequence[Stuck]:
    """All of it; ``before``: what waits for us since then is waiting too long."""
    asked: list[tuple[Select[Any] | TextClause, Callable[[RowMapping], Stuck]]] = [
        (_parked(), _of_parked),
        (_conflicts(), _of_conflicts),
        (_charges(), _of_charges),
        (_unanswered(before), _of_unanswered),
        (_refused(), _of_refused),
        (_counts(), _of_counts),
        (_taken_back(before - TOLD_FOR), _of_taken_back),
        (_NOT_MOVED, _of_not_moved),
    ]
    async with transaction(engine) as connection:
        return [made(row) for one, made in asked for row in (await connection.execute(one)).mappings()]


def _parked() -> Select[Any]:
    """By what was found and where."""
    used = usage_events.c
    some = select(used.id, used.facility, used.location, used.state, used.finding, used.reason, used.owner, used.at)
    some_ = some.where(used.state.in_(WAITS)).order_by(used.id).limit(MOST_COUNTED).subquery()
    by = (some_.c.facility, some_.c.location, some_.c.state, some_.c.finding)
    return select(*by, *_counted(some_), func.max(some_.c.owner).label("owner")).group_by(*by)


def _of_parked(row: RowMapping) -> Stuck:
    found, where = row["finding"], row["location"] or "no location"
    why = f"{where}: {FINDINGS.get(found, '') or row['reason']}"
    which = "".join(f" --{name} {row[name]}" for name in ("location", "finding") if row[name])
    one = row["id"] if row["many"] == 1 else "ID"
    listed = "" if row["many"] == 1 else f"fascia usage list{which}; "
    press = f"{listed}fascia usage show {one}, then usage decide {one} post, correct or dismiss"
    what = "use in review" if row["state"] == "review" else "parked use"
    return _line(row, what, why=why, owner=row["owner"] or MATERIALS, press=press)


def _conflicts() -> Select[Any]:
    open_ = select(usage_conflicts.c.event.label("id"), usage_conflicts.c.at, literal("").label("reason"))
    open_one = open_.where(usage_conflicts.c.state == "open").order_by(usage_conflicts.c.id).limit(MOST_COUNTED)
    return select(*_counted(open_one.subquery())).having(func.count() > 0)


def _of_conflicts(row: RowMapping) -> Stuck:
    why = "it came again under its number with other content: the first stands"
    press = (
        "fascia usage conflicts; have it taken back and sent under a new number where the second is right, then dismiss"
    )
    return _line(row, "use in conflict", why=why, owner=MATERIALS, press=press)


def _charges() -> Select[Any]:
    """By what is in their way."""
    dead = select(charges.c.id, charges.c.facility, charges.c.reason, charges.c.at).where(charges.c.state == "dead")
    some = dead.order_by(charges.c.id).limit(MOST_COUNTED).subquery()
    return select(*_counted(some)).group_by(some.c.facility, some.c.reason)


def _of_charges(row: RowMapping) -> Stuck:
    press = "mend what it names, then fascia usage charges --again"
    return _line(row, "dead charge", why=row["reason"], owner=BILLING, press=press)


def _unanswered(before: datetime) -> Select[Any]:
    """Locations whose events wait since then, and whether a round of theirs waits for the ERP."""
    used = usage_events.c
    waits = (
        select(used.facility, used.location, func.min(used.id).label("id"), func.min(used.at).label("at"))
        .add_columns(func.count().label("many"))
        .where(used.state == "waiting")
        .group_by(used.facility, used.location)
        .having(func.min(used.at) < before)
        .subquery()
    )
    place = (usage_rounds.c.facility == waits.c.facility) & (usage_rounds.c.location == waits.c.location)
    under_way = select(func.min(usage_rounds.c.round)).where(place, usage_rounds.c.state == "taken")
    return select(waits, under_way.scalar_subquery().label("round"))


def _of_unanswered(row: RowMapping) -> Stuck:
    name = f"{row['facility']}/{row['location']}"
    case = case_id("consumption_to_replenishment", row["facility"], row["location"])
    if row["round"] is None:
        why = "its uses wait, and its case does not take them"
        press = f"fascia doctor: do workers and loops run? fascia case show {case}"
    else:
        why = f"its uses wait behind round {row['round']}, which the ERP has not booked yet"
        press = f"fascia doctor: does the ERP answer? it goes on by itself; fascia case show {case}"
    return _line(row, "location waits", name=name, why=why, press=press)


def _refused() -> Select[Any]:
    need = stock_needs.c
    some = select(need.id, need.facility, need.location, need.reason, need.at).where(need.state == "refused")
    some_ = some.order_by(need.id).limit(MOST_COUNTED).subquery()
    by = (some_.c.facility, some_.c.location)
    return select(*by, *_counted(some_)).group_by(*by)


def _of_refused(row: RowMapping) -> Stuck:
    listed = f"fascia stock needs --location {row['location']} --state refused; " if row["many"] > 1 else ""
    one = row["id"] if row["many"] == 1 else "NEED"
    press = f"{listed}mend the register, it goes on by itself; or the ERP, then fascia stock needs --again {one} --reason ..."
    return _line(row, "need refused", why=f"{row['location']}: {row['reason']}", owner=MATERIALS, press=press)


def _taken_back(since: datetime) -> Select[Any]:
    """Orders after a use that was taken back: those under way, and those billed and paid before it was."""
    need = stock_needs.c
    told = select(need.id, need.facility, need.location, need.state, need.item, need.case, need.reason)
    placed = told.add_columns(need.changed_at.label("at")).where(need.reason == TAKEN_BACK, need.state != "cancelled")
    some = placed.where((need.state != "received") | (need.changed_at > since))
    some_ = some.order_by(need.id).limit(MOST_COUNTED).subquery()
    paid = (some_.c.state == "received").label("paid")
    by = (some_.c.facility, some_.c.location, paid)
    return select(
        *by, *_counted(some_), func.min(some_.c.item).label("item"), func.min(some_.c.case).label("case")
    ).group_by(*by)


def _of_taken_back(row: RowMapping) -> Stuck:
    why = f"{row['location']}: {row['item']} was ordered after a use that was taken back"
    listed = f"fascia stock needs --location {row['location']} --all; " if row["many"] > 1 else ""
    case = row["case"] if row["many"] == 1 else "CASE"
    if row["paid"]:
        press = f"{listed}fascia case show {case}: it is billed and paid; ask the supplier for a credit"
        return _line(row, "paid order of no use", why=why, owner=MATERIALS, press=press)
    press = f'{listed}fascia case cancel {case} --reason "{TAKEN_BACK}"; the supplier is asked not to bill it'
    return _line(row, "order of no use", why=why, owner=MATERIALS, press=press)


def _of_not_moved(row: RowMapping) -> Stuck:
    why = f"{row['location']} moved to {row['moved_to']}, and the ERP refuses to move its stock: {row['reason']}"
    press = f"mend it in the ERP; it is tried again each night. What lies there: fascia stock show {row['location']}"
    return _line(
        row, "stock not moved", name=f"{row['facility']}/{row['location']}", why=why, owner=MATERIALS, press=press
    )


def _counts() -> Select[Any]:
    """Parked counts by location and kind; one that was counted again since is answered by that."""
    of = stock_counts.c
    some = select(of.id, of.facility, of.location, of.number, of.kind, of.reason, of.at).where(of.state == "parked")
    some_ = some.where(~counted_again()).order_by(of.id).limit(MOST_COUNTED).subquery()
    by = (some_.c.facility, some_.c.location, some_.c.kind)
    return select(*by, *_counted(some_), func.min(some_.c.number).label("number")).group_by(*by)


def _of_counts(row: RowMapping) -> Stuck:
    if row["kind"] == "erp":
        press = f"mend location {row['location']} in the ERP; it is asked again the next night"
        return _line(row, "ERP count parked", why=f"{row['location']}: {row['reason']}", owner=MATERIALS, press=press)
    why = f"{row['location']}: {row['reason'] or 'some of its lines are not booked'}"
    press = f"fascia stock counts --location {row['location']}; mend what the lines name, then have it counted again"
    return _line(row, "count parked", why=why, owner=MATERIALS, press=press)


def _counted(some: Any) -> tuple[Any, ...]:
    """How many, the first of them, since when, and a reason."""
    first = func.min(some.c.id).label("id")
    return func.count().label("many"), first, func.min(some.c.at).label("at"), func.min(some.c.reason).label("reason")


def _line(row: RowMapping, what: str, **said: str) -> Stuck:
    return Stuck(what=what, count=row["many"], since=row["at"], **({"name": row["id"]} | said))
