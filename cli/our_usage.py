"""Usage events, charges and stock as the commands keep them: read from our own store, each deed noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from canonical.cases import Actor
from canonical.stock_reports import (
    ChargeRow,
    ConflictRow,
    ConsumedRow,
    CountRow,
    HeldItem,
    MovementFilter,
    MovementRow,
    NeedRow,
    ReportOf,
)
from canonical.usage import FINDINGS
from canonical.usage_kept import KeptUse, decided
from cli.exits import not_found, wrong_usage
from cli.usage_views import UsageFilter, UsageRow, UsageView, UsageWord
from store.acts import Act
from store.charges import StoredCharges
from store.ids import lowest_id
from store.needs_again import StoredNeedsAgain
from store.register_reading import utc_today
from store.stock_queries import StoredStock
from store.usage import StoredUsage
from store.usage_conflicts import StoredConflicts
from store.usage_report import StoredUsageReport
from workers.wiring import Wiring

MAY_DECIDE: Final = frozenset({"materials", "support", "admin"})
OPEN: Final = ("review", "parked")  # what waits for a person
PRESS: Final[dict[str, str]] = {
    "unknown-item": "load the item, or correct --item",
    "inactive-item": "correct --item, or post it",
    "unknown-unit": "correct --unit, or load the item's packagings",
    "not-integral": "correct --amount or --unit",
    "unknown-location": "load the location, or correct --location",
    "inactive-location": "correct --location",
    "lot-missing": "correct --lot or --serial",
    "expired": "correct --lot or --expires where it was scanned wrong; else post it and report it",
    "recalled": "correct --lot or --serial where it was scanned wrong; else post it and report it",
    "serial-used-before": "correct --serial; dismiss it where it was sent twice",
    "beyond-balance": "post it: the balance goes below zero until it is counted; or correct --amount",
    "unknown-use": "it goes on by itself when its use comes; else correct what it takes back, or dismiss it",
    "voided-before": "dismiss it",
    "partial-void": "post it: the whole use is taken back, have what was used sent anew; dismiss it where the use stands",
    "in-the-future": "have the source's clock set right; then post it",
    "too-old": "post it, or dismiss it where it was counted since",
    "no-cost-centre": "correct --cost-centre, or load the location's",
    "refused-by-erp": "mend it in the ERP, then post it",
    "by-rule": "post it, or dismiss it",
}


class OurUsage:
    """:class:`cli.usage_views.UsageDesk` over our own store; ``decider`` says who decides for a facility, or that nobody may."""

    def __init__(self, wiring: Wiring, by: Actor, decider: Callable[[str], Awaitable[Actor]]) -> None:
        self._by = by
        self._decider = decider
        self._usage = StoredUsage(wiring.database)
        self._charges = StoredCharges(wiring.database)
        self._conflicts = StoredConflicts(wiring.database)
        self._stock = StoredStock(wiring.database)
        self._report = StoredUsageReport(wiring.database)

    async def rows(self, which: UsageFilter, limit: int) -> Sequence[UsageRow]:
        wanted = which.model_dump(include={"finding", "facility", "location", "item", "lot", "procedure"})
        state: str | Sequence[str] = OPEN if which.state == "open" else which.state
        after = max(which.after, lowest_id(which.since) if which.since else "")
        return [_row(one) for one in await self._usage.list(after, limit, state=state, **wanted)]

    async def show(self, event: str) -> UsageView | None:
        held = await self._usage.event(event)
        if held is None:
            return None
        return _view(held).model_copy(
            update={
                "movements": tuple(await self._stock.movements_of(event)),
                "charges": tuple(await self._charges.list(event=held.voids or event)),
                "needs": tuple(await self._stock.needs(event=event, everything=True)),
            }
        )

    async def decide(self, event: str, word: UsageWord, dry_run: bool) -> UsageRow:
        held = await self._usage.event(event)
        if held is None:
            raise not_found("usage event", event, "see `fascia usage list`")
        by = await self._decider(held.facility)
        changes = dict(word.corrections) or None
        if dry_run:
            return _row(decided(held, word.verb, by.id, word.reason, changes))
        return _row(await self._usage.decide(event, word.verb, by, word.reason, changes))

    async def conflicts(self, everything: bool, after: str, limit: int) -> Sequence[ConflictRow]:
        return await self._conflicts.list(everything=everything, after=after, limit=limit)

    async def dismiss_conflict(self, conflict: str, why: str, dry_run: bool) -> ConflictRow:
        held = await self._conflicts.find(conflict)
        if held is None:
            raise not_found("conflict", conflict, "see `fascia usage conflicts`")
        by = await self._decider(held.facility)
        if dry_run:
            return held
        act = Act(verb="usage conflicts dismiss", about="", actor=by, reason=why)
        return await self._conflicts.dismiss(conflict, act)

    async def report(self, of: ReportOf) -> Sequence[ConsumedRow]:
        return await self._report.consumed(of)

    async def charges(self, state: str, facility: str, before: str, limit: int) -> Sequence[ChargeRow]:
        return await self._charges.list(state=state, facility=facility, before=before, limit=limit)

    async def charge_again(self, which: Sequence[str], facility: str, why: str, dry_run: bool) -> Sequence[ChargeRow]:
        act = Act(verb="usage charges --again", about="", actor=self._by, reason=why)
        return await self._charges.again(which, act, facility=facility, dry_run=dry_run)


class OurStock:
    """:class:`cli.usage_views.StockDesk` over our own store, as of today; ``decider`` as with usage."""

    def __init__(self, wiring: Wiring, decider: Callable[[str], Awaitable[Actor]]) -> None:
        self._decider = decider
        self._stock = StoredStock(wiring.database)
        self._again = StoredNeedsAgain(wiring.database)

    async def facility_of(self, location: str, facility: str) -> str:
        found = await self._facilities(location, facility)
        if len(found) > 1:
            raise wrong_usage(f"several facilities have a location {location}", f"--facility {found[0]}")
        return found[0]

    async def known(self, location: str, facility: str) -> None:
        await self._facilities(location, facility)

    async def _facilities(self, location: str, facility: str) -> Sequence[str]:
        found = [one for one in await self._stock.facilities(location) if facility in ("", one)]
        if not found:
            raise not_found("location", f"{facility} {location}".strip(), "see `fascia register show location`")
        return found

    async def counts(
        self, facility: str, location: str, everything: bool, before: str, limit: int
    ) -> Sequence[CountRow]:
        named = {"facility": facility, "location": location}
        return await self._stock.counts(**named, everything=everything, before=before, limit=limit)

    async def held(self, facility: str, location: str) -> Sequence[HeldItem]:
        return await self._stock.held(facility, location, utc_today())

    async def levels(self, facility: str, location: str, item: str, below: bool) -> Sequence[HeldItem]:
        return await self._stock.levels(facility, utc_today(), location=location, item=item, below=below)

    async def needs(
        self, facility: str, location: str, item: str, state: str, everything: bool, before: str, limit: int
    ) -> Sequence[NeedRow]:
        named = {"facility": facility, "location": location, "item": item, "state": state}
        return await self._stock.needs(**named, everything=everything, before=before, limit=limit)

    async def need_again(self, need: str, why: str, dry_run: bool) -> NeedRow:
        held = await self._stock.need(need)
        if held is None:
            raise not_found("need", need, "see `fascia stock needs --state refused`")
        act = Act(verb="stock needs --again", about="", actor=await self._decider(held.facility), reason=why)
        return await self._again.again(need, act, utc_today(), dry_run=dry_run)

    async def movements(self, which: MovementFilter, limit: int) -> Sequence[MovementRow]:
        return await self._stock.movements(which, limit)


def _row(held: KeptUse) -> UsageRow:
    event = held.event
    own = held.model_dump(include=set(UsageRow.model_fields) & set(KeptUse.model_fields))
    return UsageRow.model_validate(own | {"amount": event.amount, "unit": event.unit})


def _view(held: KeptUse) -> UsageView:
    event = held.event
    own = held.model_dump(include=set(UsageView.model_fields) & set(KeptUse.model_fields))
    codes = dict.fromkeys((held.finding, *held.findings)) if held.finding else dict.fromkeys(held.findings)
    said = {
        "amount": event.amount,
        "unit": event.unit,
        "description": event.description,
        "barcode": event.device.raw or event.device.device if event.device else "",
        "wasted": event.wasted,
        "findings": {code: FINDINGS.get(code, "") for code in codes},
        "corrected": {name: str(value) for name, value in (held.corrected or {}).items()},
        "press": press(held),
    }
    return UsageView.model_validate(own | said)


def press(held: KeptUse) -> str:
    """What a person can do with it; empty where nobody is asked."""
    if held.state not in OPEN:
        return ""
    what = PRESS.get(held.finding, "post it, correct it or dismiss it")
    return f"fascia usage decide {held.id} post|correct|dismiss --reason: {what}"
