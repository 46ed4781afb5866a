"""Rounds of stock locations in our own database: taken and judged once under their number, posted, recorded or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.errors import Rejected
from canonical.stock import (
    NeedStarted,
    Recorded,
    RoundKey,
    RoundRefusal,
    StockPosted,
    StockPosting,
    TakenRound,
)
from canonical.stock_moves import MOVED, reserved_by
from canonical.supplies import move_out, supply
from canonical.usage_planning import Plan, WaitingUse, plan_round
from store.database import at_once, transaction
from store.ids import now
from store.needs_again import asked_again, told_again
from store.stock_balances import reserve
from store.usage_record import POSTINGS, Outcomes, record_round, refuse_round
from store.usage_taking import Gathered, gather, left, rules, waiting_of

MINUTE: Final = timedelta(minutes=1)

_LOCKED: Final = text("""
SELECT round, taken_at FROM usage_locations WHERE facility = :facility AND location = :location FOR UPDATE""")
_BEGUN: Final = text("""
INSERT INTO usage_locations (facility, location) VALUES (:facility, :location) ON CONFLICT DO NOTHING""")
_BEFORE: Final = text("""
SELECT CAST(taken AS text) FROM usage_rounds WHERE facility = :facility AND location = :location AND round = :round""")
_MOVE: Final = text("""
UPDATE usage_events SET location = :to, changed_at = :at
WHERE facility = :facility AND location = :location AND state = 'waiting'""")
_STAYED: Final = text("""
SELECT EXISTS (SELECT FROM usage_rounds AS r CROSS JOIN LATERAL jsonb_each(r.outcomes) AS o
WHERE r.facility = :facility AND r.location = :location AND r.round = :round
AND o.key LIKE :moved AND jsonb_array_length(o.value -> 'refused') > 0)""").bindparams(moved=f"%/transfer/{MOVED}")
_JUDGED: Final = text("""
UPDATE usage_events AS e SET state = g.state, owner = g.owner, finding = g.finding, findings = g.findings::jsonb,
    reason = g.reason, item = g.item, lot = g.lot, serial = g.serial, expires = g.expires, quantity = g.quantity,
    cost_centre = g.cost_centre, service_line = CASE g.service_line WHEN '' THEN e.service_line ELSE g.service_line END,
    chargeable = g.chargeable, voids = g.voids, voided_by = g.voided_by, round = :round, changed_at = :at
FROM unnest(CAST(:ids AS text[]), CAST(:states AS text[]), CAST(:owners AS text[]), CAST(:found AS text[]),
    CAST(:findings AS text[]), CAST(:reasons AS text[]), CAST(:items AS text[]), CAST(:lots AS text[]),
    CAST(:serials AS text[]), CAST(:expires AS date[]), CAST(:quantities AS bigint[]), CAST(:centres AS text[]),
    CAST(:lines AS text[]), CAST(:charged AS boolean[]), CAST(:voids AS text[]), CAST(:by AS text[])) AS g
    (id, state, owner, finding, findings, reason, item, lot, serial, expires, quantity, cost_centre, service_line,
    chargeable, voids, voided_by)
WHERE e.id = g.id""")
_VOIDED: Final = text("""
UPDATE usage_events AS e SET state = 'voided', owner = '', voided_by = g.void, changed_at = :at
FROM unnest(CAST(:uses AS text[]), CAST(:voids AS text[])) AS g (use, void) WHERE e.id = g.use""")
_FREED: Final = text("""
UPDATE usage_events AS v SET state = 'waiting', owner = '', finding = '', findings = '[]', reason = '', round = NULL,
    voids = u.id, location = :location, changed_at = :at
FROM usage_events AS u WHERE u.id = ANY(CAST(:ids AS text[])) AND u.kind <> 'void'
AND v.kind = 'void' AND v.state = 'parked' AND v.finding = 'unknown-use' AND v.voids = ''
AND (v.facility, v.source, v.voids_number) = (u.facility, u.source, u.number)
AND coalesce((coalesce(v.corrected, v.content) ->> 'voids_sequence')::int, 1) = u.sequence""")
_KEPT: Final = text("""
INSERT INTO usage_rounds (facility, location, round, state, taken, postings, recorded, at, changed_at) VALUES
(:facility, :location, :round, :state, CAST(:taken AS jsonb), CAST(:postings AS jsonb), CAST(:recorded AS jsonb), :at, :at)""")
_ANSWERED: Final = text("""
UPDATE usage_locations SET round = greatest(round, :round), woken_at = NULL, answered_at = :answered, taken_at = :taken
WHERE facility = :facility AND location = :location""")
_BACK_ORDERED: Final = text("""
UPDATE stock_needs SET state = 'back-ordered', changed_at = :at WHERE id = ANY(CAST(:needs AS text[])) AND state = 'open'""")
_POSTINGS: Final = text("""
SELECT state, CAST(postings AS text) AS postings, outcomes FROM usage_rounds
WHERE facility = :facility AND location = :location AND round = :round""")
_POSTED: Final = text("""
UPDATE usage_rounds SET outcomes = outcomes || jsonb_build_object(CAST(:posting AS text), CAST(:outcome AS jsonb)), changed_at = :at
WHERE facility = :facility AND location = :location AND round = :round AND NOT outcomes ? :posting""")
_STARTED: Final = text("""
UPDATE stock_needs SET "case" = :case, state = CASE state WHEN 'open' THEN 'ordered' ELSE state END, changed_at = :at
WHERE id = :need AND "case" = ''""")


class CountsDue(Protocol):
    """Counts of a location that join its next round; in the round's own transaction."""

    async def erp_due(self, connection: AsyncConnection, key: RoundKey) -> bool:
        """Whether our books are to be held against the ERP's before this round."""
        ...

    async def take(self, connection: AsyncConnection, key: RoundKey) -> Sequence[StockPosting]:
        """What the counts that wait differ by, as ``adjust`` postings of this round; once taken a count waits no more."""
        ...

    async def recorded(self, connection: AsyncConnection, key: RoundKey, outcomes: Mapping[str, StockPosted]) -> None:
        """The round was recorded: its movements are made, and this is what the ERP said of each posting of it."""
        ...


class StoredUsageBook:
    """The port :class:`canonical.stock_ports.UsageBook` in our own database."""

    def __init__(self, engine: AsyncEngine, counts: CountsDue | None = None) -> None:
        self._engine = engine
        self._counts = counts

    async def take(self, key: RoundKey, most: int = 200) -> TakenRound:
        """Take a round; see the port.

        Raises:
            Rejected: a round of a later number was taken, and none of this.
        """
        where = {"facility": key.facility, "location": key.location}
        async with transaction(self._engine) as connection:
            locked = (await connection.execute(_LOCKED, where)).one_or_none()
            if locked is None:
                await connection.execute(_BEGUN, where)
                locked = (await connection.execute(_LOCKED, where)).one()
            if key.round <= locked.round:
                return await _before(connection, key)
            if self._counts and await self._counts.erp_due(connection, key):
                return TakenRound(round=key.round, count_due=True)
            by = await rules(connection, key.facility, key.location, key.as_of.date())
            moved_to = (by.location.moved_to or "") if by.location else ""
            waiting = [] if moved_to else await waiting_of(connection, key, most)
            found = await gather(connection, key, by, waiting)
            plan = plan_round(found.known, waiting)
            supplies, nothing_there = _supplies(found)
            if moved_to:
                goes = move_out(key, moved_to, found.known.shelves, found.known.day)
                supplies += [goes] if goes else []
                # Judged there before the stock has come, they would be of more than there is; they wait for it, unless it stays.
                if goes is None or await connection.scalar(_STAYED, where | {"round": locked.round}):
                    await connection.execute(_MOVE, where | {"to": moved_to, "at": now()})
            counts = list(await self._counts.take(connection, key)) if self._counts else []
            again = await asked_again(connection, key)
            more = await left(connection, key) - most if len(waiting) == most else 0
            taken = TakenRound(
                round=key.round,
                lines=plan.lines,
                parked=plan.parked,
                waiting=more,
                per_second=_rate(key, locked.taken_at, waiting, more),
                fuller_after=by.policy.fuller_after,
                supplies=len(supplies),
                counts=len(counts),
                needs=again,
                moved_to=moved_to,
            )
            await _write(connection, key, plan)
            if nothing_there:
                await connection.execute(_BACK_ORDERED, {"needs": nothing_there, "at": now()})
            await _keep(connection, key, taken, [*plan.postings, *supplies, *counts])
        return taken

    async def postings(self, key: RoundKey) -> Sequence[StockPosting]:
        """What the ERP was not told yet; nothing once the round is over.

        Raises:
            Rejected: the round was never taken.
        """
        async with at_once(self._engine) as connection:
            row = (await connection.execute(_POSTINGS, _of(key))).one_or_none()
        if row is None:
            raise Rejected(f"round {key.round} of {key.location} was never taken", code="not-found")
        if row.state != "taken":
            return ()
        return [posting for posting in POSTINGS.validate_json(row.postings) if posting.key not in row.outcomes]

    async def posted(self, key: RoundKey, posting: str, outcome: StockPosted) -> None:
        """Keep what the ERP made of one posting; its first word holds."""
        given = {"posting": posting, "outcome": outcome.model_dump_json(exclude_defaults=True), "at": now()}
        async with at_once(self._engine) as connection:
            await connection.execute(_POSTED, _of(key) | given)

    async def record(self, key: RoundKey) -> Recorded:
        """Record a round; see the port.

        Raises:
            Rejected: it was never taken, or the ERP has not had its word on all of it.
        """
        async with transaction(self._engine) as connection:
            return await self._counted(connection, key, *await record_round(connection, key))

    async def refuse(self, refusal: RoundRefusal) -> Recorded:
        """Record a round with what the ERP has not answered of it put aside; what that had taken is free again.

        Raises:
            Rejected: it was never taken.
        """
        async with transaction(self._engine) as connection:
            return await self._counted(connection, refusal.key, *await refuse_round(connection, refusal))

    async def started(self, started: NeedStarted) -> None:
        """Note which case brings a need."""
        async with at_once(self._engine) as connection:
            given = {"need": started.need, "case": started.case, "at": now()}
            await connection.execute(_STARTED, given)

    async def _counted(
        self, connection: AsyncConnection, key: RoundKey, recorded: Recorded, outcomes: Outcomes | None
    ) -> Recorded:
        """Its counts end with the round that took them."""
        if self._counts and outcomes is not None:
            await self._counts.recorded(connection, key, outcomes)
        return recorded


def _of(key: RoundKey) -> dict[str, Any]:
    return {"facility": key.facility, "location": key.location, "round": key.round}


async def _before(connection: AsyncConnection, key: RoundKey) -> TakenRound:
    found = await connection.scalar(_BEFORE, _of(key))
    if found is None:
        raise Rejected(f"round {key.round} of {key.location} is over, and was empty", code="wrong-state")
    await connection.execute(
        text("UPDATE usage_locations SET woken_at = NULL WHERE facility = :facility AND location = :location"),
        {"facility": key.facility, "location": key.location},
    )
    return TakenRound.model_validate_json(found)


def _supplies(found: Gathered) -> tuple[list[StockPosting], list[str]]:
    """Transfers to make, and the needs a warehouse has nothing for."""
    postings, nothing = [], []
    known = found.known
    for due in found.supplies:
        item = known.items.get(due.item)
        posting = supply(
            known.key,
            due,
            known.day,
            tracked=item is None or item.tracking != "none",
            warehouse=found.warehouses[due.warehouse, due.item] if due.warehouse else None,
            blocked=found.blocked.get(due.item, ()),
        )
        if posting is None:
            nothing.append(due.need)
        else:
            postings.append(posting)
    return postings, nothing


def _rate(key: RoundKey, before: datetime | None, waiting: Sequence[WaitingUse], more: int) -> float:
    """Events a second since the round before, over a minute at most."""
    since = max(before or key.as_of - MINUTE, key.as_of - MINUTE)
    fresh = sum(one.kept_at >= since for one in waiting) + more
    return round(fresh / max((key.as_of - since).total_seconds(), 1.0), 3)


async def _write(connection: AsyncConnection, key: RoundKey, plan: Plan) -> None:
    """What became of each event of the round."""
    at = now()
    if plan.outcomes:
        rows = [
            (
                one.id,
                one.state,
                one.judged.owner if one.state in ("review", "parked") else "",
                one.judged.finding,
                json.dumps(one.judged.findings),
                one.judged.reason,
                one.item,
                one.judged.lot,
                one.judged.serial,
                one.judged.expires,
                one.judged.quantity,
                one.judged.cost_centre,
                one.judged.service_line,
                one.judged.chargeable,
                one.voids,
                one.voided_by,
            )
            for one in sorted(plan.outcomes.values(), key=lambda one: one.id)
        ]
        names: tuple[str, ...] = (
            "ids",
            "states",
            "owners",
            "found",
            "findings",
            "reasons",
            "items",
            "lots",
            "serials",
            "expires",
        )
        names += ("quantities", "centres", "lines", "charged", "voids", "by")
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        await connection.execute(_JUDGED, columns | {"round": key.round, "at": at})
        await connection.execute(_FREED, {"ids": columns["ids"], "location": key.location, "at": at})
    if plan.voided:
        given = {"uses": list(plan.voided), "voids": list(plan.voided.values()), "at": at}
        await connection.execute(_VOIDED, given)


async def _keep(connection: AsyncConnection, key: RoundKey, taken: TakenRound, postings: list[StockPosting]) -> None:
    """The round under its number; one that found nothing uses no number up, and its wake is answered all the same."""
    at = now()
    if not taken.empty:
        over = not (taken.lines or postings)
        await reserve(connection, [move for posting in postings for move in reserved_by(posting)], at)
        needs = await told_again(connection, key) if over and taken.needs else []
        recorded = Recorded(round=key.round, needs=tuple(needs))
        told = ",".join(posting.model_dump_json(exclude_defaults=True) for posting in postings)
        kept = {
            "state": "recorded" if over else "taken",
            "taken": taken.model_dump_json(),
            "postings": f"[{told}]",
            "recorded": recorded.model_dump_json() if over else None,
            "at": at,
        }
        await connection.execute(_KEPT, _of(key) | kept)
    answered = None if taken.empty else at  # a busy location comes by itself as long as its rounds find something
    number = 0 if taken.empty else key.round
    given = {"round": number, "answered": answered, "taken": key.as_of}
    await connection.execute(_ANSWERED, _of(key) | given)
