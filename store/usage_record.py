"""The end of a round: movements, balances, events, charges and needs in one transaction; what the ERP refused is put aside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.errors import Rejected
from canonical.replenishment import UsedUp
from canonical.stock import Recorded, RoundKey, RoundRefusal, StockPosted, StockPosting
from canonical.stock_moves import Move, reserved_by, rose
from canonical.usage import FINDINGS, OWNER
from canonical.usage_settling import settle, touched
from store.ids import new_id, now
from store.needs_again import told_again
from store.stock_balances import move
from store.stock_needs import Looked, brought, new_needs, no_more_wanted, not_brought, put_away_again, try_again
from store.usage_taking import rules

_ROUND: Final = text("""
SELECT state, CAST(postings AS text) AS postings, outcomes, CAST(recorded AS text) AS recorded FROM usage_rounds
WHERE facility = :facility AND location = :location AND round = :round FOR UPDATE""")
_STAND: Final = text("""
UPDATE usage_events SET state = 'posted', owner = '', posted_at = :at, changed_at = :at
WHERE facility = :facility AND location = :location AND round = :round AND state = 'taken'
    AND NOT id = ANY(CAST(:refused AS text[]))
RETURNING id, kind, item, lot, serial, quantity, procedure, cost_centre, chargeable, voids""")
_ASIDE: Final = text("""
UPDATE usage_events AS e SET state = 'parked', owner = :owner, finding = 'refused-by-erp',
    findings = CASE WHEN e.findings ? 'refused-by-erp' THEN e.findings ELSE e.findings || '["refused-by-erp"]'::jsonb END,
    reason = :said || g.reason, changed_at = :at
FROM unnest(CAST(:ids AS text[]), CAST(:reasons AS text[])) AS g (id, reason) WHERE e.id = g.id AND e.state = 'taken'""")
_TAKEN_BACK: Final = text("""
UPDATE usage_events AS u SET state = 'voided', voided_by = g.void, changed_at = :at
FROM unnest(CAST(:uses AS text[]), CAST(:voids AS text[])) AS g (use, void) WHERE u.id = g.use""")
_FREED: Final = text("""
UPDATE usage_events SET state = 'waiting', owner = '', finding = '', findings = '[]', reason = '', round = NULL, changed_at = :at
WHERE voids = ANY(CAST(:ids AS text[])) AND voids <> '' AND state = 'parked' AND finding = 'unknown-use'""")
_CHARGES: Final = text("""
INSERT INTO charges (id, facility, event, kind, channel, state, again_at, at, changed_at)
SELECT g.id, :facility, g.event, 'charge', :channel, 'due', t.at, t.at, t.at
FROM (SELECT CAST(:at AS timestamptz) AS at) AS t,
    unnest(CAST(:ids AS text[]), CAST(:events AS text[])) AS g (id, event) ON CONFLICT (event, kind) DO NOTHING""")
_CREDITS: Final = text("""
INSERT INTO charges (id, facility, event, kind, channel, state, again_at, at, changed_at)
SELECT g.id, c.facility, c.event, 'credit', c.channel, 'due', t.at, t.at, t.at
FROM (SELECT CAST(:at AS timestamptz) AS at) AS t, unnest(CAST(:ids AS text[]), CAST(:events AS text[])) AS g (id, event)
JOIN charges AS c ON c.event = g.event AND c.kind = 'charge' ON CONFLICT (event, kind) DO NOTHING""")
_OVER: Final = text("""
UPDATE usage_rounds SET state = 'recorded', recorded = CAST(:recorded AS jsonb), changed_at = :at
WHERE facility = :facility AND location = :location AND round = :round""")
_REFUSED: Final = text("""
UPDATE usage_rounds SET outcomes = CAST(:refused AS jsonb) || outcomes, reason = :reason
WHERE facility = :facility AND location = :location AND round = :round""")

Outcomes = Mapping[str, StockPosted]
POSTINGS: Final = TypeAdapter(list[StockPosting])


async def record_round(connection: AsyncConnection, key: RoundKey) -> tuple[Recorded, Outcomes | None]:
    """Record a round once; with what the ERP said of it, or None where it was over before.

    Raises:
        Rejected: it was never taken, or the ERP has not had its word on all of it.
    """
    row = await _locked(connection, key)
    if row.recorded is not None:
        return Recorded.model_validate_json(row.recorded), None
    if row.state != "taken":
        return Recorded(round=key.round), None
    postings = POSTINGS.validate_json(row.postings)
    outcomes = {name: StockPosted.model_validate(one) for name, one in row.outcomes.items()}
    if any(posting.key not in outcomes for posting in postings):
        raise Rejected(f"round {key.round} of {key.location} is not posted yet", code="wrong-state")
    at = now()
    settled = settle(postings, outcomes)
    await move(connection, settled.moves, at, key.round, _reserved(postings))
    stand = await _stand(connection, key, list(settled.refused), at)
    if settled.refused:
        aside = {"ids": list(settled.refused), "reasons": list(settled.refused.values())}
        await connection.execute(_ASIDE, aside | _said(at))
    voids = [one for one in stand if one.kind == "void"]
    if voids:
        given = {"uses": [one.voids for one in voids], "voids": [one.id for one in voids]}
        await connection.execute(_TAKEN_BACK, given | {"at": at})
        await no_more_wanted(connection, [one.voids for one in voids], at)
    await _free(connection, [*settled.refused, *(one.id for one in stand)], at)
    await brought(connection, settled.brought, at)
    await not_brought(connection, settled.not_brought, at)
    moved = {(one.location, one.item) for one in settled.moves}
    await put_away_again(connection, key.facility, moved, settled.not_brought, at)
    risen = {(location, item) for _, location, item in rose(settled.moves)}
    await try_again(connection, key.facility, risen, at)
    by = await rules(connection, key.facility, key.location, key.as_of.date())
    await _charge(connection, key, by.policy.bill_to, stand, at)
    needs = await new_needs(connection, key, by.policy, _looked(key, stand, settled.moves), at)
    begun = {need.id: need for need in [*needs, *await told_again(connection, key)]}
    recorded = Recorded(round=key.round, posted=len(stand), needs=tuple(begun.values()))
    await connection.execute(_OVER, _of(key) | {"recorded": recorded.model_dump_json(), "at": at})
    return recorded, outcomes


async def refuse_round(connection: AsyncConnection, refusal: RoundRefusal) -> tuple[Recorded, Outcomes | None]:
    """Record a round whose unanswered postings are refused, line by line, unless it is over; as :func:`record_round`.

    What the ERP has answered stands in its books: put aside, a person's ``post`` would book it a second time.
    """
    row = await _locked(connection, refusal.key)
    if row.state == "taken":
        unanswered = (one for one in POSTINGS.validate_json(row.postings) if one.key not in row.outcomes)
        refused = {
            one.key: one.refused(refusal.reason, refusal.code).model_dump(mode="json", exclude_defaults=True)
            for one in unanswered
        }
        given = {"refused": json.dumps(refused), "reason": refusal.reason}
        await connection.execute(_REFUSED, _of(refusal.key) | given)
    return await record_round(connection, refusal.key)


def _of(key: RoundKey) -> dict[str, Any]:
    return {"facility": key.facility, "location": key.location, "round": key.round}


def _said(at: datetime) -> dict[str, Any]:
    return {"owner": OWNER, "said": f"{FINDINGS['refused-by-erp']}: ", "at": at}


def _reserved(postings: Sequence[StockPosting]) -> list[Move]:
    return [one for posting in postings for one in reserved_by(posting)]


async def _locked(connection: AsyncConnection, key: RoundKey) -> Row[Any]:
    row = (await connection.execute(_ROUND, _of(key))).one_or_none()
    if row is None:
        raise Rejected(f"round {key.round} of {key.location} was never taken", code="not-found")
    return row


async def _stand(connection: AsyncConnection, key: RoundKey, refused: Sequence[str], at: datetime) -> list[Row[Any]]:
    found = await connection.execute(_STAND, _of(key) | {"refused": list(refused), "at": at})
    return sorted(found.all(), key=lambda one: str(one.id))


async def _free(connection: AsyncConnection, events: Sequence[str], at: datetime) -> None:
    """Voids that waited for the end of these uses' round."""
    if events:
        await connection.execute(_FREED, {"ids": list(events), "at": at})


async def _charge(
    connection: AsyncConnection, key: RoundKey, channel: str, stand: Sequence[Row[Any]], at: datetime
) -> None:
    """A charge for each chargeable use, where charges have a channel; a credit for each charge that is taken back."""
    charged = [one.id for one in stand if one.kind == "use" and one.chargeable]
    if charged and channel:
        given = {"ids": [new_id() for _ in charged], "events": charged, "facility": key.facility, "channel": channel}
        await connection.execute(_CHARGES, given | {"at": at})
    back = [one.voids for one in stand if one.kind == "void" and one.chargeable]
    if back:
        await connection.execute(_CREDITS, {"ids": [new_id() for _ in back], "events": back, "at": at})


def _looked(key: RoundKey, stand: Sequence[Row[Any]], moves: Sequence[Move]) -> Looked:
    empty = {(key.location, one.item) for one in stand if one.kind == "empty-bin"}
    uses = [one for one in stand if one.kind == "use"]
    used = {
        one.id: UsedUp(one.id, one.quantity or 0, one.lot, one.serial, one.procedure, one.cost_centre) for one in uses
    }
    return Looked(touched(moves, empty), empty, used, {one.id: one.item for one in uses})
