"""What stands behind the doors in these tests: our own store in memory, an engine that notes what it is asked, keys, look-ups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from canonical.base import Money
from canonical.cases import Answer, CaseChange, Decision, State
from canonical.errors import Rejected, Unavailable
from canonical.messages import KeepResult, NewMessage
from canonical.ports import Unmatched
from canonical.steps import SupplierDocument
from canonical.supply import Item
from gateway.lookups import (
    Caller,
    CasePage,
    CaseRow,
    CaseView,
    DecisionRow,
    ItemPage,
    SupplierPage,
    SupplierRow,
)
from tests import build
from tests.fakes.store import FakeCases, FakeJournal

ORDER = "PO-20001"
ORDER_CASE = f"purchase_order/NGH/{ORDER}"


class NotingJournal(FakeJournal):
    """A journal that also notes which of our messages were acknowledged, and can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.acknowledgements: list[tuple[str, str, str, str]] = []
        self.away = False

    async def keep(self, message: NewMessage) -> KeepResult:
        if self.away:
            raise Unavailable("our own database does not answer", system="store")
        return await super().keep(message)

    async def acknowledged(self, partner: str, kind: str, number: str, *, by: str, reason: str = "") -> str | None:
        self.acknowledgements.append((partner, kind, number, reason))
        sent = (one for one in self.messages.values() if one.direction == "out" and one.partner == partner)
        return next((one.id for one in sent if one.control_number.lstrip("0") == number), None)


class FakeEngine:
    """The engine as doors see it; ``open`` are the cases that run."""

    def __init__(self) -> None:
        self.started: list[tuple[str, bytes]] = []
        self.delivered: list[tuple[str, SupplierDocument]] = []
        self.decided: list[tuple[str, Decision]] = []
        self.open: set[str] = set()
        self.told_to_look: list[str] = []
        self.away = False
        self.refuses = ""
        self.breaks: Exception | None = None

    def _answers(self) -> None:
        if self.breaks:
            raise self.breaks
        if self.away:
            raise Unavailable("Temporal does not answer", system="temporal")

    async def start_requisition(self, case: str, data: bytes, *, trace: str = "") -> str:
        self._answers()
        if case in self.open:
            await self.look_again(case)
            return ""
        self.started.append((case, data))
        self.open.add(case)
        return "run-1"

    async def look_again(self, case: str) -> bool:
        self._answers()
        self.told_to_look.append(case)
        return case in self.open

    async def deliver(self, case: str, document: SupplierDocument) -> bool:
        self._answers()
        if case not in self.open:
            return False
        self.delivered.append((case, document))
        return True

    async def decide(self, case: str, decision: Decision) -> Answer:
        self._answers()
        if self.refuses:
            raise Rejected("the case has changed since revision 1", code=self.refuses)
        self.decided.append((case, decision))
        return Answer(taken=True, message=f"{decision.verb} taken", business_state="ordered", revision=5)


class FakeKeys:
    """Keys by secret."""

    def __init__(self, **callers: Caller) -> None:
        self.callers = callers

    async def caller(self, secret: str) -> Caller | None:
        return self.callers.get(secret)


class FakeQuotas:
    """Counts of calls that never grow old."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}

    async def count(self, key: str, per_minute: int) -> float:
        self.calls[key] = self.calls.get(key, 0) + 1
        return 0 if self.calls[key] <= per_minute else 42


class FakeUnmatched:
    """The list of unmatched documents, over what the corridor put there."""

    def __init__(self, cases: FakeCases) -> None:
        self._held = cases.unmatched

    async def unmatched(self, state: str = "open", *, facility: str = "", limit: int = 100) -> Sequence[Unmatched]:
        return [one for one in self._held.values() if not state or one.state == state][:limit]

    async def unmatched_document(self, document: str) -> Unmatched | None:
        return self._held.get(document)

    async def attach(
        self, document: str, case: str, *, by: str, give: Callable[[Unmatched], Awaitable[None]], why: str = ""
    ) -> Unmatched:
        await give(self._held[document])
        return self._set(document, state="attached", case=case)

    async def set_aside(self, document: str, *, by: str, why: str) -> Unmatched:
        return self._set(document, state="set_aside")

    def _set(self, document: str, **changes: str) -> Unmatched:
        self._held[document] = self._held[document].model_copy(update=changes)
        return self._held[document]


class FakeLookups:
    """A look at one order, one item, one supplier."""

    def __init__(self, cases: FakeCases) -> None:
        self._cases = cases
        self.asked: list[tuple[str, ...]] = []

    async def cases(
        self, facility: str, process: str, *, state: str, open_only: bool, after: str, limit: int
    ) -> CasePage:
        self.asked.append((facility, process, state, str(open_only), after, str(limit)))
        row = CaseRow(
            case=ORDER_CASE,
            process=process,
            state="posted",
            business_state="sent to supplier",
            amount=build.usd("12.00"),
            changed_at=datetime(2026, 11, 2, tzinfo=UTC),
        )
        return CasePage(cases=(row,), next="more")

    async def case(self, case: str) -> CaseView | None:
        status = await self._cases.status(case)
        return CaseView(status=status) if status else None

    async def decisions(self, case: str) -> Sequence[DecisionRow]:
        return [DecisionRow(what="approved", actor="E-MGR", at=datetime(2026, 11, 2, tzinfo=UTC))]

    async def items(self, facility: str, *, search: str, after: str, limit: int) -> ItemPage:
        return ItemPage(items=(build.item("ITM-1001"),))

    async def item(self, facility: str, code: str) -> Item | None:
        return build.item(code) if code == "ITM-1001" else None

    async def suppliers(self, *, search: str, after: str, limit: int) -> SupplierPage:
        return SupplierPage(suppliers=(SupplierRow(code="ALPINE"),))

    async def supplier(self, code: str) -> SupplierRow | None:
        return SupplierRow(code=code) if code == "ALPINE" else None

    async def knows_facility(self, code: str) -> bool:
        return code in ("NGH", "SGH")


def stands(
    case: str, *, revision: int = 3, business_state: str = "sent to supplier", closed: bool = False
) -> CaseChange:
    """A case as its process wrote it."""
    return CaseChange(
        case=case,
        process=case.split("/", maxsplit=1)[0],
        facility="NGH",
        run="run-1",
        revision=revision,
        state=State.POSTED,
        business_state=business_state,
        amount=Money(amount=build.usd("12").amount),
        closed=closed,
        changed_at=datetime.now(UTC),
    )
