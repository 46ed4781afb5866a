"""The one corridor every message comes in by: keep, check, acknowledge, read, route; and where it rests when it cannot go on.

A door keeps a message and acknowledges it; from then on it is ours. What cannot be routed now stays in the journal as
``received`` or ``validated`` until the sweep routes it, so an outage loses nothing; a repeat changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog

from canonical.base import case_parts, content_hash, read_strictly
from canonical.cases import State
from canonical.errors import FasciaError, Malformed, Rejected, Throttled, Unavailable
from canonical.messages import Asking, KeepResult, Kept, NewMessage
from canonical.ports import Announcement, Cases, Engine, Journal, Unmatched
from canonical.purchasing import Requisition
from canonical.steps import SupplierDocument
from gateway.keeping import Line, NotKept
from gateway.starts import Starts

REQUISITION = "requisition"
ERP_DOCUMENT = "erp_document"
PATIENCE = 3.0  # seconds a requisition may wait for our database, before its sender is told to come again

log = structlog.get_logger(__name__)


class Route(Protocol):
    """How one kind of kept message goes on: called by its door, and again by the sweep."""

    async def __call__(self, message: Kept) -> None: ...


@dataclass(frozen=True, slots=True)
class Started:
    """What became of a requisition: ``started``, ``kept`` (its case starts when Temporal answers) or ``conflict``."""

    outcome: str
    case: str


class Conflict(Rejected):
    """Another content came under a number we know. ``case`` is the one that has it."""

    code = "conflict"

    def __init__(self, message: str, case: str) -> None:
        super().__init__(message, code="conflict")
        self.case = case


class Ended(Conflict):
    """What was asked under this number was cancelled or refused: nothing starts again. ``case`` is the one that ended."""

    def __init__(self, message: str, case: str) -> None:
        super().__init__(message, case)
        self.code = "ended"


class _Asking:
    """Brings a line of messages that each ask for a case to our store."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases

    async def keep_many(self, messages: Sequence[NewMessage]) -> Sequence[KeepResult]:
        return await self._cases.keep_asking([one for one in messages if isinstance(one, Asking)])


def reason_of(why: FasciaError) -> str:
    """Why a message is refused, as the journal keeps it: code, place and words."""
    path = getattr(why, "path", "")
    where = f" at {path}" if path and path not in why.message else ""
    return f"{why.code}{where}: {why.message}"


class Intake:
    """The corridor. Doors bring the message; this decides where it goes and writes down what became of it."""

    def __init__(
        self,
        journal: Journal,
        cases: Cases,
        engine: Engine,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        patience: float = PATIENCE,
    ) -> None:
        self.journal = journal
        self._cases = cases
        self._engine = engine
        self._clock = clock
        self._line = Line(_Asking(cases), patience=patience)
        self._starts = Starts(self._start)
        self._away = False
        self._routes: dict[str, Route] = {REQUISITION: self._requisition_again, ERP_DOCUMENT: self._erp_document_again}

    def add_route(self, kind: str, route: Route) -> None:
        """How a kept message of this kind goes on; a door says it once."""
        self._routes[kind] = route

    def routes(self, kind: str) -> bool:
        """Whether messages of this kind can go on."""
        return kind in self._routes

    # ---- any kept message ---------------------------------------------------------------------------------------------

    async def route(self, message: Kept) -> bool:
        """Route a kept message, now or again. False when it must wait for something that is away."""
        route = self._routes.get(message.kind)
        if route is None:
            await self.dead(message, f"nothing reads messages of kind {message.kind or 'unknown'}")
            return True
        return await self._settled(message, lambda: route(message))

    async def _settled(self, message: Kept, work: Callable[[], Awaitable[object]]) -> bool:
        """Nothing leaves the corridor without a state in the journal."""
        try:
            await work()
        except (Unavailable, Throttled) as away:
            log.warning("message waits", message=message.id, kind=message.kind, problem=away.message)
            return False
        except Conflict as conflict:
            await self.refused(message, conflict, case=conflict.case)
        except (Rejected, Malformed) as refused:
            await self.refused(message, refused)
        except Exception as bug:
            log.exception("message could not be routed", message=message.id, kind=message.kind)
            await self.dead(message, f"unexpected {type(bug).__name__} while routing")
        return True

    async def refused(self, message: Kept, why: FasciaError, *, case: str = "") -> None:
        """Its sender is told; it goes no further. A message in a stream is settled by its router alone, see :meth:`_routed`."""
        if message.stream:
            return
        await self.journal.mark(message.id, "refused", reason=reason_of(why), case=case)

    async def dead(self, message: Kept, reason: str, *, facility: str = "") -> None:
        """Nobody could be told: a dead letter, listed for a person, and an alert."""
        log.error(
            "dead letter", alert=True, message=message.id, kind=message.kind, partner=message.partner, reason=reason
        )
        await self.listed("unreadable", message, reason, facility=facility)
        await self.journal.mark(message.id, "dead", reason=reason)

    async def listed(
        self,
        kind: str,
        message: Kept,
        reason: str,
        document: SupplierDocument | None = None,
        part: str = "",
        **about: str,
    ) -> None:
        """Put it (or a ``part`` of it) on the list of unmatched documents; the same one again is the same row."""
        name = document.key if document else f"{message.id}/{part}"
        row = Unmatched(
            id=f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:20]}",
            kind=kind,
            reason=reason,
            message=message.id,
            at=self._clock(),
            document=document.model_dump_json(exclude_defaults=True) if document else "",
            **({"supplier": message.partner} | about),
        )
        await self._cases.put_unmatched(row)
        log.warning("document unmatched", kind=kind, message=message.id, reason=reason, unmatched=row.id)

    async def settled(self, messages: Sequence[str], why: str) -> None:
        """What was listed of messages that were taken after all waits for nobody any more."""
        await self._cases.settle_unmatched(messages, why)

    # ---- requisitions -------------------------------------------------------------------------------------------------

    async def keep_asking(self, asking: Asking) -> KeepResult:
        """Keep a requisition that was read, and announce its case by the same commit, together with those that come meanwhile.

        Where its message is kept and validated, that is done: go on by :meth:`begin`; else by :meth:`requisition`.

        Raises:
            Unavailable: our database made it wait longer than patience lasts.
        """
        try:
            (result,) = await self._line.kept(self._line.join([asking]))
        except NotKept as late:
            raise Unavailable(late.message, system="store") from late
        return result

    async def begin(self, message: Kept, case: str) -> Started:
        """Start the case that this message has announced; where many are being started, soon."""
        try:
            began = await self._starts.begin(message, case)
        except (Unavailable, Throttled) as away:
            return self._later(case, away)
        return Started("started" if began else "kept", case)

    async def close(self) -> None:
        """End what is under way; what was kept goes on elsewhere."""
        await self._starts.close()
        await self._line.close()

    async def requisition(self, message: Kept, requisition: Requisition, data: bytes | None = None) -> Started:
        """Announce and start the case of a requisition that was read; other content under its number is a conflict.

        ``data`` is the requisition in JSON, where the message says it in other words.

        Raises:
            Conflict: the number is known with other content; the message is refused and listed for a person.
            Ended: the number is known and its case was cancelled or refused; the message is refused.
        """
        announced = await self._announced(message, requisition, data)
        if announced.outcome == "same" and announced.started:
            await self._not_ended(message, requisition)
        return await self._started(message, announced, data)

    async def _announced(self, message: Kept, requisition: Requisition, data: bytes | None = None) -> Announcement:
        content = "" if data is None else data.decode()
        announced = await self._cases.announce(requisition.case_id, content_hash(requisition), message.id, content)
        if announced.outcome == "conflict":
            reason = f"requisition {requisition.number} of {requisition.source} is known with other content"
            part = (
                requisition.number if message.stream else ""
            )  # it may ask for several, each of which stands in the list
            facility, number = requisition.facility, requisition.number
            await self.listed("requisition", message, reason, part=part, facility=facility, number=number)
            conflict = Conflict(reason, announced.case)
            await self.refused(message, conflict, case=announced.case)
            raise conflict
        return announced

    async def _not_ended(self, message: Kept, requisition: Requisition) -> None:
        """Nothing starts again under the number of a case that was cancelled or refused: its sender must hear that."""
        case = requisition.case_id
        status = await self._cases.status(case)
        if status is None or not status.closed or status.state is not State.FAILED:
            return
        asked = f"requisition {requisition.number} of {requisition.source}"
        why = f"{asked} has ended ({status.business_state}): send what is still needed under a new number"
        ended = Ended(why, case)
        await self.refused(message, ended, case=case)
        raise ended

    async def _started(self, message: Kept, announced: Announcement, data: bytes | None = None) -> Started:
        if announced.outcome == "same" and announced.started:
            await self._routed(message, announced.case, "the case has this content")
            return Started("started", announced.case)
        try:
            began = await self._start(message, announced.case, data)
        except (Unavailable, Throttled) as away:
            return self._later(announced.case, away)
        return Started("started" if began else "kept", announced.case)

    async def _start(self, message: Kept, case: str, data: bytes | None = None) -> bool:
        content = message.data if data is None else data
        run = await self._engine.start_requisition(case, content, trace=message.trace)
        self._away = False
        if not run:  # a run that is there takes it, or ends: the sweep looks which, and nothing is lost meanwhile
            return False
        await self._routed(message, case)
        return True

    def _later(self, case: str, away: FasciaError) -> Started:
        write = log.debug if self._away else log.warning  # once while it lasts: there may be a thousand in a second
        write("requisition kept, its case starts later", case=case, problem=away.message)
        self._away = True
        return Started("kept", case)

    async def _routed(self, message: Kept, case: str, reason: str = "") -> None:
        """One case of it has begun. A message in a stream may ask for several: its router says when all of them have."""
        if not message.stream:
            await self.journal.mark(message.id, "routed", reason=reason, case=case)

    async def _requisition_again(self, message: Kept) -> None:
        announced = await self._announced(message, read_strictly(Requisition, message.data))
        if (await self._started(message, announced)).outcome == "kept":
            raise Unavailable("Temporal does not answer, or the case has not taken it yet", system="temporal")

    # ---- documents for an order's case --------------------------------------------------------------------------------

    async def document(self, message: Kept, document: SupplierDocument, *, order: str = "", facility: str = "") -> str:
        """Bring a document to the case of its order; without an open one, to the list a person works. Gives the case.

        ``facility`` is whose it is when its orders do not say: it stands in the list of that facility.

        Raises:
            Unavailable: Temporal or the store is away, or the case stands still; route the message again later.
        """
        kind, number, named = describe(document)
        orders = (order,) if order else named
        about = {"number": number, "facility": facility, "order": ", ".join(orders)}
        if len(orders) > 1:
            about["facility"] = await self._facility_of(orders, _supplier(document)) or facility
            await self.listed(kind, message, f"it names {len(orders)} orders: a person decides", document, **about)
            return ""
        case = await self._case_of(document, orders[0] if orders else "", message.partner)
        if case is None:
            reason = "it answers nothing we sent" if document.functional else "no order of this number to this supplier"
            await self.listed(kind, message, reason, document, **about)
            return ""
        try:
            delivered = await self._engine.deliver(case, document)
        except Rejected as never:
            about |= {"case": case, "facility": _of_case(case)}
            await self.listed(kind, message, f"its case cannot take it: {never.message}", document, **about)
            return case
        if not delivered:
            if await self._should_run(case):
                raise Unavailable("its case was stopped from outside: the document waits until it is resumed")
            if not (document.functional and document.functional.accepted):  # a good one is settled in the journal
                about |= {"case": case, "facility": _of_case(case)}
                await self.listed(kind, message, "its case is closed", document, **about)
        return case

    async def _facility_of(self, orders: tuple[str, ...], supplier: str) -> str:
        """The one facility of all these orders to the supplier; empty where any is unknown or they are of several."""
        cases = [await self._cases.order_case(order, supplier) for order in orders] if supplier else []
        facilities = {_of_case(case) if case else "" for case in cases}
        return facilities.pop() if len(facilities) == 1 else ""

    async def _should_run(self, case: str) -> bool:
        """Whether only something from outside can have ended its run: the case itself never said that it is closed."""
        status = await self._cases.status(case)
        if status is not None:
            return not status.closed
        return await self._cases.order_case(case_parts(case)[-1]) == case  # ended before it said its first word

    async def attach(self, held: Unmatched, case: str, person: str) -> None:
        """Bring an unmatched document to the case a person names.

        Raises:
            Rejected: it is no document a case takes, another supplier's, settled otherwise, or the case is closed.
        """
        if not held.document:
            raise Rejected("it holds no document a case could take", code="not-open")
        if held.state != "open" and held.case != case:
            raise Rejected(f"it is {held.state.replace('_', ' ')}", code="conflict")
        document = SupplierDocument.model_validate_json(held.document)
        supplier = _supplier(document)
        number = case_parts(case)[-1]
        if supplier and await self._cases.order_case(number) == case != await self._cases.order_case(number, supplier):
            raise Rejected(f"{number} is no order to {supplier}, whose document this is", code="not-open")
        if not await self._engine.deliver(case, document.model_copy(update={"attached_by": person})):
            raise Rejected("this case is not open", code="not-open")

    async def _case_of(self, document: SupplierDocument, order: str, partner: str) -> str | None:
        if functional := document.functional:
            return await self._cases.case_of_control_number(partner, functional.kind, functional.control_number)
        if document.payment and "/payment/" in document.payment.key:
            return document.payment.key.partition("/payment/")[0]
        return await self._cases.order_case(order, _supplier(document)) if order else None

    async def erp_document(self, message: Kept) -> bool:
        """Route what the ERP's watcher kept: the message's bytes are the document itself."""
        return await self.route(message)

    async def _erp_document_again(self, message: Kept) -> None:
        document = SupplierDocument.model_validate_json(message.data)
        facility, _, rest = message.sender.partition("/")
        case = await self.document(
            message, document.model_copy(update={"message": message.id}), order=rest, facility=facility
        )
        await self.journal.mark(message.id, "routed", case=case)


def _of_case(case: str) -> str:
    """The facility in an order's case's name."""
    parts = case_parts(case)
    return parts[1] if len(parts) > 1 and parts[0] == "purchase_order" else ""


def _supplier(document: SupplierDocument) -> str:
    """Whose document it is; nobody's when it is the ERP's or answers by control number."""
    nouns = (document.acknowledgement, document.ship_notice, document.invoice)
    return next((noun.supplier for noun in nouns if noun), "")


def describe(document: SupplierDocument) -> tuple[str, str, tuple[str, ...]]:
    """A document's kind, its own number and the orders it names."""
    if one := document.acknowledgement:
        return "order_acknowledgement", one.supplier_reference, (one.order,) if one.order else ()
    if functional := document.functional:
        return "functional_acknowledgement", functional.control_number, ()
    if shipment := document.ship_notice:
        return "ship_notice", shipment.number, (shipment.order,) if shipment.order else ()
    if invoice := document.invoice:
        orders = tuple(dict.fromkeys(name for name in (invoice.order, *invoice.orders) if name))
        return "invoice", invoice.number, orders
    if receipt := document.receipt:
        return "receipt", receipt.number or receipt.key, (receipt.order,)
    if payment := document.payment:
        return "payment", payment.number or payment.key, (payment.order,) if payment.order else ()
    return "cancellation" if document.cancelled_in_erp else "document", "", ()
