"""Our own store in memory: the ports Journal, Numbering and Cases, for tests that need no database.

They pass the same contract as the real ones (tests/store/contract.py).
"""

from __future__ import annotations

from datetime import datetime

from canonical.cases import (
    OF_THE_HOUSE,
    BusinessEvent,
    CaseChange,
    CaseStatus,
    CheckedDecision,
    DecisionToCheck,
    Trouble,
    seal_is_valid,
)
from canonical.parties import Employee, Facility
from canonical.purchasing import Requisition
from canonical.seals import document_seal_is_valid
from canonical.steps import (
    BudgetMove,
    CheckedDocuments,
    DocumentsToCheck,
    InvoiceCheck,
    InvoiceSeen,
)
from store.claim_rules import (
    ends_without_orders,
)
from store.claims import as_written
from store.decisions import DOCUMENT_UNSEALED, unverified, verified
from tests.fakes.claims import FakeClaims
from tests.fakes.journal import FakeJournal, FakeNumbering
from tests.fakes.register import FakeRegister

__all__ = ["FakeCases", "FakeJournal", "FakeNumbering"]


class FakeCases(FakeClaims):
    """Claims and the read model in memory. Everything is there to be looked at; ``sealed_by`` is the doors' key."""

    def __init__(
        self,
        journal: FakeJournal | None = None,
        register: FakeRegister | None = None,
        numbering: FakeNumbering | None = None,
        seal_key: bytes = b"",
    ) -> None:
        super().__init__(journal, register)
        self.numbering = numbering or FakeNumbering()
        self.seal_key = seal_key
        self.changes: list[CaseChange] = []
        self.events: dict[str, BusinessEvent] = {}
        self.checked: list[CheckedDecision] = []
        self.reasons: dict[tuple[str, str], str] = {}
        self.unreadable: list[tuple[str, bytes, str]] = []  # whatever did not fit
        self.refused: list[tuple[str, str]] = []  # of it, what was read as a decision
        self.in_trouble: dict[tuple[str, str, str], Trouble] = {}
        self.invoices: dict[str, InvoiceCheck] = {}
        self.used: list[Requisition] = []  # orders after use that a use stands behind

    async def was_used(self, requisition: Requisition) -> bool:
        return requisition in self.used

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
            person, elsewhere = self._decides(request)
            checked = verified(request, person, elsewhere=elsewhere)
        self.checked.append(checked)
        return checked

    def _decides(self, request: DecisionToCheck) -> tuple[Employee | None, bool]:
        actor, facilities = request.decision.actor, [r.code for r in self.register.records if isinstance(r, Facility)]
        by_login = actor.known_by == "os_user"
        person = self.register.person(request.facility, actor.id, by_login=by_login)
        if person is not None or request.facility in facilities:
            return person, False
        people = [self.register.person(facility, actor.id, by_login=by_login) for facility in facilities]
        fit = [person for person in people if person and person.active and OF_THE_HOUSE & set(person.roles)]
        return (fit[0], True) if fit else (None, False)

    async def check_documents(self, request: DocumentsToCheck) -> CheckedDocuments:
        key, case = self.seal_key, request.case
        sealed = tuple(bool(key) and document_seal_is_valid(data, case, key) for data in request.documents)
        for data, ours in zip(request.documents, sealed, strict=True):
            if not ours:
                await self.keep_unreadable_decision(case, data, DOCUMENT_UNSEALED, request.as_of)
        return CheckedDocuments(sealed=sealed)

    async def keep_unreadable_decision(
        self, case: str, data: bytes, reason: str, at: datetime, *, read: bool = False
    ) -> None:
        if read:
            self.refused.append((case, reason))
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
