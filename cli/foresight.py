"""What our own store says of a message that has not come yet, and of what master files say otherwise than the register."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from canonical.base import Canonical, content_hash
from canonical.cases import Actor
from canonical.catalogue import MasterFile
from canonical.hr_ports import HrRowsApart
from canonical.invoicing import Invoice
from canonical.people import HrEvent
from canonical.purchasing import OrderAcknowledgement, Requisition, ShipNotice
from canonical.stock import StockCount
from canonical.usage import UsageEvent
from cli.views import DriftRow, Foreseen
from gateway.preview_people import event_name
from gateway.preview_uses import name_of
from gateway.simulate import Book
from store import drift as stored
from store.claims import StoredClaims
from store.foreseen import StoredForesight
from workers.wiring import Wiring


async def book(wiring: Wiring, as_of: date) -> Book:
    """Who sends to us and how each is understood on a day."""
    register = wiring.register
    return Book(as_of, await register.senders(), await register.mappings(as_of), await register.partners())


async def foresee(wiring: Wiring, noun: Canonical, facility: str, as_of: date) -> Foreseen:
    """What taking a noun would do; nothing is changed."""
    if isinstance(noun, Requisition):
        return await _case(wiring, noun)
    if isinstance(noun, UsageEvent):
        return await _use(wiring, noun)
    if isinstance(noun, HrEvent):
        return await _hr_event(wiring, noun)
    if isinstance(noun, HrRowsApart):
        return Foreseen(outcome="rows", detail=f"{len(noun.rows)} rows that cannot be read would be listed")
    if isinstance(noun, StockCount):
        return Foreseen(
            outcome="count", detail=f"{len(noun.lines)} lines would be held against {noun.location}'s balance"
        )
    if isinstance(noun, MasterFile):
        file = noun if noun.facility or not facility else noun.model_copy(update={"facility": facility})
        report = await wiring.drift.compare(file, "", as_of, dry_run=True)
        detail = f"{len(report.differ)} of {report.compared} things differ from the register"
        return Foreseen(outcome="drift", detail=detail, differ=tuple(_row(one) for one in report.differ))
    if isinstance(noun, OrderAcknowledgement | ShipNotice | Invoice):
        order = getattr(noun, "order", "") or ""
        case = await wiring.cases.order_case(order, noun.supplier) if order else None
        detail = (
            "" if case else f"no order {order or '(none named)'} to {noun.supplier}: it would be listed as unmatched"
        )
        return Foreseen(outcome="document" if case else "unmatched", case=case or "", detail=detail)
    return Foreseen(outcome="answer", detail="it settles what we sent")


async def _case(wiring: Wiring, requisition: Requisition) -> Foreseen:
    said = await StoredClaims(wiring.database).foreseen(requisition.case_id, content_hash(requisition))
    details = {
        "new": "a case would start",
        "same": "its case has this content already: nothing would change",
        "conflict": "its case has other content: a person would decide",
    }
    status = await wiring.cases.status(requisition.case_id) if said.outcome != "new" else None
    where = f" ({status.business_state})" if status else ""
    return Foreseen(outcome=said.outcome, case=said.case, detail=details[said.outcome] + where)


async def _use(wiring: Wiring, event: UsageEvent) -> Foreseen:
    event, name = wiring.stock.procedures.opaque(event), name_of(event)
    held = (await StoredForesight(wiring.database).uses([name])).get(name)
    if held is None:
        return Foreseen(outcome="new", detail=f"it would be kept for {event.location or 'no place'} and judged there")
    if held.hash == content_hash(event):
        return Foreseen(outcome="same", detail=f"it is kept already: nothing would change ({held.state})")
    return Foreseen(outcome="conflict", detail=f"its number is known with other content ({held.state})")


async def _hr_event(wiring: Wiring, event: HrEvent) -> Foreseen:
    event, name = wiring.person_hashes.opaque(event), event_name(event)
    held = (await StoredForesight(wiring.database).hr_events([name])).get(name)
    if held is None:
        now = "; access would end now" if event.emergency else ""
        return Foreseen(outcome="new", detail=f"{event.kind} from {event.effective}: it would be kept and matched{now}")
    if held.hash == content_hash(event):
        return Foreseen(outcome="same", detail=f"it is kept already: nothing would change ({held.state})")
    return Foreseen(outcome="conflict", detail=f"its number is known with other content ({held.state})")


async def drift(wiring: Wiring, facility: str, state: str, limit: int) -> Sequence[DriftRow]:
    """Differences, the newest first."""
    return [_row(one) for one in await wiring.drift.rows(facility, state, limit)]


async def settle(wiring: Wiring, verb: str, name: str, why: str, by: Actor, *, dry_run: bool) -> DriftRow:
    """Accept or dismiss a difference in the name of a person."""
    settled = wiring.drift.accept if verb == "accept" else wiring.drift.dismiss
    return _row(await settled(name, by, why, dry_run=dry_run))


def _row(one: stored.DriftRow) -> DriftRow:
    return DriftRow.model_validate(one.model_dump())
