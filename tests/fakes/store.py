"""Our own store in memory: the ports Journal, Numbering and Cases, for tests that need no database.

They pass the same contract as the real ones (tests/store/contract.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from canonical.base import Money, case_id, content_hash, total, zero
from canonical.cases import (
    BusinessEvent,
    CaseChange,
    CaseStatus,
    CheckedDecision,
    DecisionToCheck,
    Trouble,
    seal_is_valid,
)
from canonical.errors import Rejected
from canonical.messages import CONFLICT, KeepResult, Kept, Move, NewMessage
from canonical.ports import Announcement, ControlNumbers, Unmatched
from canonical.purchasing import PurchaseOrder
from canonical.seals import document_seal_is_valid
from canonical.steps import (
    BudgetMove,
    CheckedDocuments,
    Claimed,
    ClaimRequest,
    DocumentsToCheck,
    InvoiceCheck,
    InvoiceSeen,
    OpenOrder,
    OrderNumbers,
    OrdersRequest,
    UnreadOrder,
)
from store.claim_rules import (
    FORGED,
    Held,
    Numbered,
    Start,
    ends_without_orders,
    judge,
    misfit,
    misnamed,
    read_start,
    unread,
)
from store.claims import as_written
from store.decisions import DOCUMENT_UNSEALED, unverified, verified
from store.ids import new_id
from store.kept import slot_of
from store.moves import STATES
from store.streams import in_order
from tests.fakes.register import FakeRegister


def _now() -> datetime:
    return datetime.now(UTC)


class FakeJournal:
    """The journal in memory: ``messages`` by id, ``history`` of states."""

    def __init__(self) -> None:
        self.messages: dict[str, Kept] = {}
        self.history: dict[str, list[tuple[str, str]]] = {}
        self._keys: dict[tuple[str, str], tuple[str, datetime | None]] = {}
        self._apart: dict[tuple[str, str], str] = {}
        self.parked: dict[str, tuple[str, str]] = {}  # stream -> message, reason

    async def keep(self, message: NewMessage) -> KeepResult:
        content = hashlib.sha256(message.data).hexdigest()
        at = message.at or _now()
        first = self._first(message, at)
        if first is not None and first.hash == content:
            return KeepResult(outcome="duplicate", message=first, first=first)
        if first is not None and (again := self._apart.get((first.id, content))):
            return KeepResult(outcome="conflict", message=self.messages[again], first=first)
        kept = Kept(
            **message.model_dump(exclude={"at", "data", "remember", "refused"}),
            id=new_id(at),
            at=at,
            data=message.data,
            hash=content,
            size=len(message.data),
            state="refused" if message.refused else "received" if message.direction == "in" else "validated",
            reason=f"{CONFLICT}: message {first.id} has this number with other content" if first else message.refused,
        )
        self.messages[kept.id] = kept
        self.history[kept.id] = [(kept.state, kept.reason)]
        if first is not None:
            self._apart[first.id, content] = kept.id
            return KeepResult(outcome="conflict", message=kept, first=first)
        if message.key:
            until = at + message.remember if message.remember is not None else None
            self._keys[message.direction, message.key] = (kept.id, until)
        return KeepResult(outcome="kept", message=kept)

    async def keep_many(self, messages: Sequence[NewMessage]) -> Sequence[KeepResult]:
        return [await self.keep(message) for message in messages]

    def _first(self, message: NewMessage, at: datetime) -> Kept | None:
        name, until = self._keys.get((message.direction, message.key), ("", None))
        return None if until is not None and until < at else self.messages.get(name)

    async def mark(
        self, message: str, state: str, *, reason: str = "", case: str = "", kind: str = "", control_number: str = ""
    ) -> None:
        if state not in STATES:
            raise ValueError(f"{state} is not a state of a message")
        kept = self.messages.get(message)
        if kept is None:
            raise Rejected(f"the journal has no message {message}", code="not-found", system="store")
        if kept.state == "acknowledged" and state == "sent":
            state, reason = "acknowledged", reason or kept.reason
        given = {"case": case, "kind": kind, "control_number": control_number}
        changes = {name: value for name, value in given.items() if value}
        self.messages[message] = kept.model_copy(update={"state": state, "reason": reason, **changes})
        if (kept.state, kept.reason) != (state, reason):
            self.history[message].append((state, reason))

    async def mark_many(self, moves: Sequence[Move]) -> None:
        missing = next((move.message for move in moves if move.message not in self.messages), None)
        for move in moves:
            await self.mark(missing or move.message, move.state, reason=move.reason, case=move.case, kind=move.kind)

    async def answered(self, message: str, answer: str) -> None:
        if message not in self.messages:
            raise Rejected(f"the journal has no message {message}", code="not-found", system="store")
        self.messages[message] = self.messages[message].model_copy(update={"answer": answer})

    async def read(self, message: str) -> Kept | None:
        return self.messages.get(message)

    async def kept_under(self, prefix: str) -> Sequence[Kept]:
        found = [kept for kept in self.messages.values() if kept.direction == "in" and kept.key.startswith(prefix)]
        return sorted((one for one in found if one.id not in self._apart.values()), key=lambda one: (one.at, one.id))

    async def unrouted(self, older_than: datetime, limit: int = 100, *, after: Kept | None = None) -> Sequence[Kept]:
        waiting = [kept for kept in self._waiting() if not kept.stream and kept.at < older_than]
        beyond = [kept for kept in waiting if after is None or (kept.at, kept.id) > (after.at, after.id)]
        return sorted(beyond, key=lambda kept: (kept.at, kept.id))[:limit]

    async def next_to_route(self, shard: int, of: int, limit: int = 500) -> Sequence[Kept]:
        if not 0 <= shard < of:
            raise ValueError(f"{of} shards have no shard {shard}")
        ours = [kept for kept in self._waiting() if kept.stream and slot_of(kept.stream) % of == shard]
        return in_order(kept for kept in ours if kept.stream not in self.parked)[:limit]

    async def park(self, stream: str, message: str, reason: str) -> None:
        self.parked.setdefault(stream, (message, reason))

    async def unpark(self, stream: str) -> None:
        self.parked.pop(stream, None)

    def _waiting(self) -> list[Kept]:
        return [
            kept
            for kept in self.messages.values()
            if kept.direction == "in" and kept.state in ("received", "validated")
        ]


class FakeNumbering:
    """Control numbers in memory; ``given`` by partner and key, ``about`` says for which case and kind."""

    def __init__(self) -> None:
        self.given: dict[tuple[str, str], ControlNumbers] = {}
        self.about: dict[tuple[str, str], tuple[str, str]] = {}

    async def control_numbers(self, partner: str, key: str, *, case: str, kind: str) -> ControlNumbers:
        if (partner, key) not in self.given:
            number = sum(1 for known, _ in self.given if known == partner) + 1
            self.given[partner, key] = ControlNumbers(
                interchange=number, group=number, transaction_set=number, given_at=_now().replace(microsecond=0)
            )
            self.about[partner, key] = (case, kind)
        return self.given[partner, key]


class FakeCases:
    """Claims and the read model in memory. Everything is there to be looked at; ``sealed_by`` is the doors' key."""

    def __init__(
        self,
        journal: FakeJournal | None = None,
        register: FakeRegister | None = None,
        numbering: FakeNumbering | None = None,
        seal_key: bytes = b"",
    ) -> None:
        self.journal = journal or FakeJournal()
        self.register = register or FakeRegister()
        self.numbering = numbering or FakeNumbering()
        self.seal_key = seal_key
        self.claims: dict[str, Held] = {}
        self.claim_messages: dict[str, str] = {}
        self.claim_contents: dict[str, str] = {}
        self.changes: list[CaseChange] = []
        self.current: dict[str, CaseChange] = {}
        self.carried: dict[str, str] = {}
        self.events: dict[str, BusinessEvent] = {}
        self.numbers: dict[tuple[str, str], str] = {}
        self.contents: dict[tuple[str, str], str] = {}  # facility, number -> hash of the order it was given to
        self.reserved: dict[tuple[str, str], Money] = {}
        self.orders: dict[str, tuple[str, str]] = {}  # case -> number as written, supplier
        self.moved: dict[tuple[str, str], datetime] = {}
        self.checked: list[CheckedDecision] = []
        self.reasons: dict[tuple[str, str], str] = {}
        self.unreadable: list[tuple[str, bytes, str]] = []
        self.in_trouble: dict[tuple[str, str, str], Trouble] = {}
        self.invoices: dict[str, InvoiceCheck] = {}
        self.unmatched: dict[str, Unmatched] = {}

    async def announce(self, case: str, content_hash: str, message: str, content: str = "") -> Announcement:
        held = self.claims.get(case)
        if held is None:
            self.claims[case] = Held(run=None, generation=1, hash=content_hash)
            self.claim_messages[case], self.claim_contents[case] = message, content
        elif held.hash not in ("", content_hash):
            return Announcement(outcome="conflict", case=case)
        else:
            self.claim_contents[case] = self.claim_contents.get(case) or content
        kept = self.journal.messages.get(message)
        if kept is not None and kept.state == "received":
            await self.journal.mark(message, "validated", case=case)
        started = held is not None and (held.run is not None or held.generation > 1)
        return Announcement(outcome="new" if held is None else "same", case=case, started=started)

    async def claim(self, request: ClaimRequest) -> Claimed:
        start = read_start(request)
        held = self.claims.get(request.case)
        right = self._right_one(request) if start.outcome else None
        if start.outcome == "unreadable" and held is not None and judge(held, request.run, "") == "resumed":
            return await self._go_on(request, right or start, held, "resumed")
        if held is not None and right is not None and judge(held, request.run, right.hash) == "claimed":
            await self._journalled(request, "dead", f"superseded by message {self.claim_messages[request.case]}")
            return await self._go_on(request, right, held, "claimed")
        if start.outcome:
            message = await self._journalled(request, "dead", start.problem.reason if start.problem else "")
            return Claimed(
                outcome=start.outcome,
                case=request.case,
                message=message,
                requisition=start.requisition,
                problem=start.problem,
            )
        outcome = "claimed" if held is None else judge(held, request.run, start.hash)
        held = held or Held(run=None, generation=1, hash=start.hash)
        if outcome in ("claimed", "resumed"):
            return await self._go_on(request, start, held, outcome)
        message = await self._journalled(request, "refused", outcome)
        if outcome == "conflict":
            self.unmatched[f"conflict-{message}"] = Unmatched(
                id=f"conflict-{message}", kind="requisition", message=message, case=request.case, at=request.as_of
            )
        return Claimed(
            outcome=outcome,
            case=request.case,
            first=request.case,
            generation=held.generation,
            message=message,
            requisition=start.requisition,
        )

    def _right_one(self, request: ClaimRequest) -> Start | None:
        kept = self.journal.messages.get(self.claim_messages.get(request.case, ""))
        data = self.claim_contents.get(request.case, "").encode() or (kept.data if kept is not None else b"")
        if not data:
            return None
        right = read_start(request.model_copy(update={"data": data, "encoding": "json/plain"}))
        return right if not right.outcome and right.hash == self.claims[request.case].hash else None

    async def _go_on(self, request: ClaimRequest, start: Start, held: Held, outcome: str) -> Claimed:
        self.claims[request.case] = Held(run=request.run, generation=held.generation, hash=held.hash or start.hash)
        message = self.claim_messages.get(request.case) or await self._journalled(request, "routed")
        self.claim_messages[request.case] = message
        kept = self.journal.messages.get(message)
        if kept is None or not kept.stream:
            await self.journal.mark(message, "routed", case=request.case)
        return self._claimed(request.case, held, outcome, message, start, again=held.run == request.run)

    def _claimed(
        self,
        case: str,
        held: Held,
        outcome: str,
        message: str = "",
        start: Start | None = None,
        *,
        again: bool = False,
    ) -> Claimed:
        resumed = again or outcome == "resumed"
        return Claimed(
            outcome=outcome,
            case=case,
            generation=held.generation,
            revision=self.current[case].revision if resumed and case in self.current else 0,
            carried=self.carried.get(case, "") if resumed else "",
            message=message,
            requisition=start.requisition if start else None,
        )

    async def _journalled(self, request: ClaimRequest, state: str, reason: str = "") -> str:
        content = hashlib.sha256(request.data).hexdigest()
        kept = await self.journal.keep(
            NewMessage(
                door=request.door,
                data=request.data,
                kind="requisition",
                key=f"start/{request.case}/{request.run}/{content[:16]}",
                case=request.case,
                trace=request.trace,
                at=request.as_of,
            )
        )
        await self.journal.mark(kept.message.id, state, reason=reason)
        return kept.message.id

    async def open_order(self, request: OpenOrder) -> Claimed:
        order = request.order
        case, content = order.case_id, content_hash(order)
        held = self.claims.get(case)
        why = misnamed(request) or (misfit(request, self._numbered(order)) if held is None else "")
        if why:
            self._conflict(request, f"{why}; {FORGED}")
            return Claimed(outcome="conflict", case=case, first=case, reason=why)
        again = request.goes_on and held is not None and held.run == request.run
        outcome = "claimed" if held is None else judge(held, request.run, content)
        held = held or Held(run=request.run, generation=1, hash=content)
        if outcome == "conflict":
            self._conflict(request, f"{case} was started with other content")
        if outcome not in ("claimed", "resumed"):
            return Claimed(outcome=outcome, case=case, first=case, generation=held.generation)
        self.claims[case] = Held(run=request.run, generation=held.generation, hash=held.hash)
        self.orders.setdefault(case, (as_written(order.number), order.supplier))
        if (order.facility, order.number) not in self.register.commitments:
            self.register.commitments[order.facility, order.number] = (order.cost_centre, order.amount)
            self.moved[order.facility, order.number] = request.as_of
        return self._claimed(case, held, outcome, again=again)

    async def keep_unread_order(self, start: UnreadOrder) -> None:
        content = hashlib.sha256(start.data).hexdigest()
        key = f"start/{start.case}/{start.run}/{content[:16]}"
        new = NewMessage(door="temporal", data=start.data, kind="purchase_order", key=key, at=start.as_of)
        message = (await self.journal.keep(new)).message.id
        await self.journal.mark(message, "dead", reason=start.reason)
        await self.put_unmatched(unread(start, message))

    def _numbered(self, order: PurchaseOrder) -> Numbered | None:
        key = (order.facility, order.number)
        requisition = self.register.ordered_by.get(key)
        if requisition is None:
            return None
        stands = self.current.get(requisition)
        return Numbered(
            requisition=requisition,
            claimed=requisition in self.claims,
            closed=stands is not None and stands.closed,
            content=self.contents[key],
            reserved=self.reserved[key],
        )

    def _conflict(self, request: OpenOrder, reason: str) -> None:
        order, name = request.order, f"conflict-{request.order.case_id}/{request.run}"
        self.unmatched[name] = Unmatched(
            id=name,
            kind="order",
            number=order.number,
            supplier=order.supplier,
            order=order.number,
            facility=order.facility,
            reason=reason,
            case=order.case_id,
            at=request.as_of,
        )

    async def order_numbers(
        self, request: OrdersRequest, groups: Mapping[str, Money], contents: Mapping[str, str]
    ) -> OrderNumbers:
        asked = request.requisition
        centre = await self.register.cost_centre(asked.facility, asked.cost_centre)
        promised = await self.register.committed(asked.facility, asked.cost_centre, request.case)
        committed = promised or zero(request.currency)
        new = [group for group in groups if (request.case, group) not in self.numbers]
        known = {group: number for (owner, group), number in self.numbers.items() if owner == request.case}
        open_yet = {g: (asked.facility, n) for g, n in known.items() if not self._begun(asked.facility, n)}
        new += [g for g, key in open_yet.items() if g in groups and self.reserved.get(key) != groups[g]]
        if new and not request.above_budget and centre and centre.budget and centre.budget.currency == request.currency:
            left = centre.budget - (centre.actual or zero(request.currency)) - committed
            if (request.amount or total(list(groups.values()), request.currency)).amount > left.amount:
                return OrderNumbers(budget_left=left)
        for group, key in open_yet.items():
            if group not in groups:
                self._release(*key)
        for group in new:
            number = self.numbers[request.case, group] = known.get(group) or self.next_number()
            self.register.commitments[asked.facility, number] = (asked.cost_centre, groups[group])
            self.register.ordered_by[asked.facility, number] = request.case
            self.reserved[asked.facility, number] = groups[group]
            self.moved[asked.facility, number] = request.as_of or _now()
        for group in groups:
            self.contents[asked.facility, self.numbers[request.case, group]] = contents[group]
        return OrderNumbers(numbers=tuple(self.numbers[request.case, group] for group in groups))

    def _begun(self, facility: str, number: str) -> bool:
        return case_id("purchase_order", facility, number) in self.orders

    def _release(self, facility: str, number: str) -> None:
        centre, amount = self.register.commitments[facility, number]
        self.register.commitments[facility, number] = (centre, zero(amount.currency))
        self.reserved[facility, number] = zero(amount.currency)

    def next_number(self) -> str:
        """The number of the next order."""
        return f"PO{len(self.numbers) + 1:06d}"

    async def raise_generation(self, case: str) -> int:
        """As the real one: frees the claim for a successor."""
        held = self.claims.get(case)
        if held is None:
            return self.current[case].generation if case in self.current else 1
        self.claims[case] = Held(run=None, generation=held.generation + 1, hash=held.hash)
        if case in self.current:
            self.current[case] = self.current[case].model_copy(update={"generation": held.generation + 1})
        return held.generation + 1

    async def record(self, change: CaseChange) -> None:
        before = self.current.get(change.case)
        if before is not None:
            same_run = before.run == change.run
            if change.generation < before.generation:
                return
            later = change.changed_at > before.changed_at or change.revision > before.revision
            if change.generation == before.generation and same_run and not later:
                return
        self.changes.append(change)
        self.current[change.case] = change
        if change.carried:
            self.carried[change.case] = change.carried
        for event in change.events:
            self.events.setdefault(event.key, event)
        if ends_without_orders(change):
            for key, requisition in self.register.ordered_by.items():
                if requisition == change.case and not self._begun(*key):
                    self._release(*key)
        if change.closed:
            self.in_trouble = {key: value for key, value in self.in_trouble.items() if key[0] != change.case}

    async def status(self, case: str) -> CaseStatus | None:
        change = self.current.get(case)
        if change is None:
            return None
        orders = tuple(sorted(number for (owner, _), number in self.numbers.items() if owner == case))
        return CaseStatus.model_validate(change.model_dump() | {"orders": orders})

    async def keep_reason(self, case: str, decision: str, reason: str) -> None:
        self.reasons.setdefault((case, decision), reason)

    async def check(self, request: DecisionToCheck) -> CheckedDecision:
        actor = request.decision.actor
        if (
            not self.seal_key
            or actor.known_by == "temporal"
            or not seal_is_valid(request.decision, request.case, self.seal_key)
        ):
            checked = unverified(request)
        else:
            person = self.register.person(request.facility, actor.id, by_login=actor.known_by == "os_user")
            checked = verified(request, person)
        self.checked.append(checked)
        return checked

    async def check_documents(self, request: DocumentsToCheck) -> CheckedDocuments:
        key, case = self.seal_key, request.case
        sealed = tuple(bool(key) and document_seal_is_valid(data, case, key) for data in request.documents)
        for data, ours in zip(request.documents, sealed, strict=True):
            if not ours:
                await self.keep_unreadable_decision(case, data, DOCUMENT_UNSEALED, request.as_of)
        return CheckedDocuments(sealed=sealed)

    async def keep_unreadable_decision(self, case: str, data: bytes, reason: str, at: datetime) -> None:
        if (case, data, reason) not in self.unreadable:
            self.unreadable.append((case, data, reason))

    async def trouble(self, trouble: Trouble) -> None:
        key = (trouble.case, trouble.system, trouble.step)
        if trouble.since is None:
            over = (trouble.case, trouble.system, trouble.step)
            gone = [one for one in self.in_trouble if over in (one, (one[0], "", one[2]))]
            for one in gone:
                del self.in_trouble[one]
        else:
            since = self.in_trouble[key].since if key in self.in_trouble else trouble.since
            self.in_trouble[key] = trouble.model_copy(update={"since": since})

    async def move_budget(self, move: BudgetMove) -> None:
        key = (move.facility, move.order)
        if key not in self.moved or self.moved[key] <= move.as_of:
            self.register.commitments[key] = (move.cost_centre, move.committed)
            self.moved[key] = move.as_of

    async def check_invoice(self, check: InvoiceCheck) -> InvoiceSeen:
        invoice = check.invoice
        first = self.invoices.setdefault(invoice.key, check)
        if (first.case, first.message) != (check.case, check.message):
            why = f"invoice {invoice.number} of {invoice.supplier} with this date and total was received before"
            return InvoiceSeen(duplicate=True, first_case=first.case, reason=why)
        for other in self.invoices.values():
            same = (other.invoice.supplier, other.invoice.number) == (invoice.supplier, invoice.number)
            if same and other.invoice.key != invoice.key:
                why = f"invoice {invoice.number} of {invoice.supplier} was received before with another date or total"
                return InvoiceSeen(first_case=other.case, reason=why)
        return InvoiceSeen()

    async def order_case(self, order: str, supplier: str = "") -> str | None:
        number = as_written(order)
        found = [
            case for case, (written, by) in self.orders.items() if number and written == number and supplier in ("", by)
        ]
        if len(found) > 1:
            found = [case for case in found if case not in self.current or not self.current[case].closed]
        return found[0] if len(found) == 1 else None

    async def case_of_control_number(self, partner: str, kind: str, number: str) -> str | None:
        if not number.isdecimal():
            return None
        for (known, key), numbers in reversed(self.numbering.given.items()):
            if known == partner and (numbers.interchange if kind == "TA1" else numbers.group) == int(number):
                return self.numbering.about[known, key][0] or None
        return None

    async def put_unmatched(self, document: Unmatched) -> None:
        self.unmatched.setdefault(document.id, document)
