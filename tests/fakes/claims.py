"""Claims, orders' numbers and what is listed for a person, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from canonical.base import Money, case_id, content_hash, total, zero
from canonical.cases import (
    CaseChange,
)
from canonical.messages import Asking, KeepResult, NewMessage
from canonical.ports import Announcement, Unmatched
from canonical.purchasing import PurchaseOrder
from canonical.steps import (
    Claimed,
    ClaimRequest,
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
    elsewhere,
    judge,
    misfit,
    misnamed,
    of_another,
    read_start,
    unread,
)
from store.claims import as_written
from tests.fakes.journal import FakeJournal
from tests.fakes.register import FakeRegister


class FakeClaims:
    """Who holds which case. Everything is there to be looked at."""

    def __init__(self, journal: FakeJournal | None = None, register: FakeRegister | None = None) -> None:
        self.journal = journal or FakeJournal()
        self.register = register or FakeRegister()
        self.claims: dict[str, Held] = {}
        self.claim_messages: dict[str, str] = {}
        self.claim_contents: dict[str, str] = {}
        self.current: dict[str, CaseChange] = {}
        self.carried: dict[str, str] = {}
        self.numbers: dict[tuple[str, str], str] = {}
        self.contents: dict[tuple[str, str], str] = {}  # facility, number -> hash of the order it was given to
        self.reserved: dict[tuple[str, str], Money] = {}
        self.orders: dict[str, tuple[str, str]] = {}  # case -> number as written, supplier
        self.moved: dict[tuple[str, str], datetime] = {}
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

    async def keep_asking(self, asking: Sequence[Asking]) -> Sequence[KeepResult]:
        results = []
        for one in asking:
            result = await self.journal.keep(NewMessage(**one.model_dump(exclude={"asks", "content_hash"})))
            if result.outcome == "kept" and one.asks not in self.claims:
                await self.announce(one.asks, one.content_hash, result.message.id)
                result = result.model_copy(update={"message": self.journal.messages[result.message.id]})
            results.append(result)
        return results

    async def claim(self, request: ClaimRequest) -> Claimed:
        if why := of_another(request.case):
            message = await self._journalled(request, "dead", why, case="")
            await self.put_unmatched(elsewhere(request, why, message))
            return Claimed(outcome="conflict", case=request.case, message=message, reason=why)
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

    async def _journalled(self, request: ClaimRequest, state: str, reason: str = "", case: str | None = None) -> str:
        content = hashlib.sha256(request.data).hexdigest()
        kept = await self.journal.keep(
            NewMessage(
                door=request.door,
                data=request.data,
                kind="requisition",
                key=f"start/{request.case}/{request.run}/{content[:16]}",
                case=request.case if case is None else case,
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
            self.moved[asked.facility, number] = request.as_of or datetime.now(UTC)
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

    async def put_unmatched(self, document: Unmatched) -> None:
        self.unmatched.setdefault(document.id, document)

    async def settle_unmatched(self, messages: Sequence[str], why: str) -> None:
        for one in [one for one in self.unmatched.values() if one.message in messages and one.state == "open"]:
            self.unmatched[one.id] = one.model_copy(update={"state": "set_aside"})
