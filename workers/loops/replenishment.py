"""Tells each location's needs how their orders stand: ordered, back-ordered and until when, come so far, come whole, or given up.

Asked of our own read model, again and again: a word that was lost is only late. What came wakes its location by itself, which puts it
away; this loop moves no stock and starts nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Protocol

import structlog

from canonical.base import case_id
from canonical.cases import CaseStatus, LineState
from canonical.errors import Throttled, Unavailable
from canonical.purchasing import Receipt
from canonical.steps import SupplierDocument
from store.replenishment import FollowedNeed, LotCame

PAGE: Final = 200
GIVEN_UP: Final = ("refused", "cancelled", "duplicate", "conflict")
BACK_ORDERED: Final = "back-ordered"

log = structlog.get_logger(__name__)


class Needs(Protocol):
    """Needs in our own store."""

    async def unfinished(self, after: str = "", limit: int = PAGE) -> Sequence[FollowedNeed]: ...
    async def tell(self, before: FollowedNeed, after: FollowedNeed, lots: Sequence[LotCame]) -> bool: ...
    async def receipts(self, case: str) -> Sequence[SupplierDocument]: ...


class Statuses(Protocol):
    """Where cases are."""

    async def status(self, case: str) -> CaseStatus | None: ...


class Replenishment:
    """One round looks at every need that is under way."""

    def __init__(self, needs: Needs, cases: Statuses) -> None:
        self._needs = needs
        self._cases = cases
        self._seen: dict[
            str, datetime | None
        ] = {}  # when the cases of each need had last changed when it was looked at

    async def once(self) -> None:
        """Look at each, page by page; one that cannot be told now keeps no other from it."""
        after, seen = "", dict[str, datetime | None]()
        while page := await self._needs.unfinished(after, PAGE):
            for need in page:
                try:
                    if need.news is None or self._seen.get(need.id) != need.news:
                        await self._follow(need)
                    seen[need.id] = need.news
                except (Unavailable, Throttled):
                    raise
                except Exception:  # ours: the others are looked at all the same
                    log.exception("a need could not be followed", alert=True, need=need.id)
            after = page[-1].id
        self._seen = seen

    async def _follow(self, need: FollowedNeed) -> None:
        requisition = await self._cases.status(need.case)
        if requisition is None:
            return  # started, and not yet claimed
        orders = [
            (number, status)
            for number in requisition.orders
            if (status := await self._cases.status(case_id("purchase_order", need.facility, number))) is not None
        ]
        lines = [line for _, status in orders for line in status.lines if line.item == need.item]
        stands = _stands(need, requisition, [status for _, status in orders], lines)
        stands = stands.model_copy(update={"orders": " ".join(number for number, _ in orders)})
        if stands == need:
            return
        lots: Sequence[LotCame] = ()
        if stands.received:
            told = [one for _, status in orders for one in await self._needs.receipts(status.case)]
            lots = _lots(told, lines, stands.received)
        if await self._needs.tell(need, stands, lots):
            log.info("need", need=need.id, item=need.item, state=stands.state, received=stands.received)


def _stands(
    need: FollowedNeed, requisition: CaseStatus, orders: Sequence[CaseStatus], lines: Sequence[LineState]
) -> FollowedNeed:
    """The need as its orders have it. What was used before it was ordered is not received: it ends when it is billed and paid."""
    came = 0 if need.event else sum(_base_units(line, line.received) for line in lines)
    ended = requisition.closed and all(order.closed for order in orders)
    state, reason = (
        "ordered" if orders else need.state,
        need.reason if need.event else "",
    )  # that its use was taken back
    if need.event:
        state = "received" if ended and orders else state
    elif came >= need.quantity:
        state = "received"
    elif ended or (lines and all(_over(line) for line in lines)):
        state = "received" if came else "cancelled"
        reason = f"{came} of {need.quantity} came, and no more is expected" if came else ""
    elif any(line.state == BACK_ORDERED for line in lines):
        state = BACK_ORDERED
    if requisition.closed and requisition.business_state in GIVEN_UP and not came:
        state, reason = "cancelled", f"its requisition is {requisition.business_state}: {requisition.next_action}"
    if came < need.put_away:
        reason = f"{need.put_away} were put away and {came} stay received: goods were taken back, count the location"
    days = [date.fromisoformat(line.expected) for line in lines if line.expected]
    return need.model_copy(
        update={"state": state, "received": came, "reason": reason, "expected": min(days, default=None)}
    )


def _over(line: LineState) -> bool:
    """Whether no more of a line is expected: it was ended, or all of it came."""
    return line.ended or line.received >= line.ordered


def _base_units(line: LineState, count: Decimal) -> int:
    """As it was packed when it was ordered: another packaging since changes nothing of what came."""
    return int(count * (line.base_units or 1))


def _rank(receipt: Receipt) -> tuple[int, bool]:
    return receipt.revision, receipt.cancelled


def _lots(told: Sequence[SupplierDocument], lines: Sequence[LineState], came: int) -> list[LotCame]:
    """What came by lot, as the newest word of each receipt has it; what no receipt names a lot of stands without one."""
    newest: dict[str, Receipt] = {}
    for document in told:
        one = document.receipt
        if one is not None and (one.key not in newest or _rank(one) > _rank(newest[one.key])):
            newest[one.key] = one
    by_line = {line.line: line for line in lines}
    counted: dict[tuple[str, date | None], int] = defaultdict(int)
    for receipt in newest.values():
        for row in receipt.lines if not receipt.cancelled else ():
            line = by_line.get(row.line or "")
            if line is not None and row.lot:
                counted[row.lot, row.expires] += _base_units(line, row.quantity.value)
    lots = [
        LotCame(lot=lot, expires=expires, quantity=count) for (lot, expires), count in sorted(counted.items(), key=str)
    ]
    rest = came - sum(lot.quantity for lot in lots)
    return [*lots, LotCame(quantity=rest)] if rest > 0 else lots
