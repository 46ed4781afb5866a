"""A platform in memory for the commands to talk to, with one requisition, its order and a few of everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from canonical.base import Canonical, Money
from canonical.cases import Actor, Answer, Attention, Decision, LineState, Trouble
from canonical.errors import FasciaError, Rejected
from canonical.purchasing import Requisition
from cli.attention_views import StuckRow
from cli.channel_views import ChannelRow, ChannelView, OutboundView
from cli.house import CaseFilter, DeliveryFilter, KeyRequest, MessageFilter, Resumed, SubscriberRequest
from cli.views import (
    ActView,
    BankConfirmed,
    CaseRow,
    CaseView,
    ChangeView,
    DecisionView,
    DeliveryView,
    DocumentView,
    DriftRow,
    Foreseen,
    KeyRow,
    LineWay,
    LoadedRecord,
    LoadReport,
    MessageRow,
    MessageState,
    MessageView,
    NewKey,
    RegisterRow,
    SubscriberAdded,
    SubscriberRemoved,
    SubscriberRow,
    UnmatchedRow,
    WayStep,
)
from gateway.simulate import Book
from tests.cli.access_desk import FakeAccessDesk
from tests.cli.clinicians import FakeClinicians
from tests.cli.exclusions import FakeExclusions
from tests.cli.monthly import FakeMonthly
from tests.cli.people import FakePeople
from tests.cli.recalls import FakeRecalls
from tests.cli.replays import FakeReplays
from tests.cli.usage_desks import FakeStockDesk, FakeUsageDesk

NOON = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
REQUISITION = "procure_to_pay/NGH/or-desk/R-1"
ORDER = "purchase_order/NGH/PO000001"


def order(**changes: object) -> CaseView:
    """The case of an order that waits for a person."""
    values = {
        "case": ORDER,
        "process": "purchase_order",
        "facility": "NGH",
        "summary": "Order PO000001 to ALPINE",
        "state": "acknowledged",
        "business_state": "invoice blocked",
        "owner": "finance",
        "due": NOON + timedelta(hours=4),
        "next_action": "accept the price, or pay short",
        "needs_attention": True,
        "attention_since": NOON,
        "waiting_for": "erp",
        "waiting_since": NOON,
        "supplier": "ALPINE",
        "amount": Money(amount=Decimal("120.50")),
        "revision": 7,
        "changed_at": NOON,
        "parent": REQUISITION,
        "run": "run-1",
        "attention": (
            Attention(
                kind="match-exception",
                reason="price is 3 % over the contract",
                line="1",
                document="INV-9",
                verbs=("accept", "pay_short"),
                since=NOON,
            ),
        ),
        "troubles": (Trouble(case=ORDER, system="erp", step="post invoice", since=NOON, message="does not answer"),),
        "lines": (
            LineState(
                line="1", item="ITM-1001", order="PO000001", state="received", ordered=Decimal("2.00"), unit="BX"
            ),
        ),
        "documents": (
            DocumentView(
                kind="invoice", number="INV-9", system="ALPINE", state="received", message="m-3", lines=("1",)
            ),
        ),
        "decisions": (
            DecisionView(
                at=NOON, what="approve: approved as manager", actor="E-200", known_by="os_user", verified=True
            ),
        ),
        "changes": (ChangeView(revision=7, at=NOON, business_state="invoice blocked", owner="finance"),),
        "way": (
            LineWay(
                line="1",
                item="ITM-1001",
                steps=(
                    WayStep(kind="message", name="m-1", system="rest", detail="412 bytes, sha-256 ab12", at=NOON),
                    WayStep(depth=1, kind="erp_order", name="PO-17", system="tryton", state="posted"),
                ),
            ),
        ),
        "links": {"Temporal UI": "http://127.0.0.1:8233/namespaces/fascia/workflows/purchase_order%2FNGH%2FPO000001"},
    }
    return CaseView.model_validate({**values, **changes})


class FakeChannels:
    """Channels in memory: one that is paused, one whose target does not answer, one that sends."""

    def __init__(self, house: FakeHouse) -> None:
        self.house = house

    async def rows(self) -> Sequence[ChannelRow]:
        paused = {"state": "paused", "paused_by": "mito", "paused_why": "they update", "paused_at": NOON}
        broken = {"state": "breaker open", "breaker": "open", "failures": 5, "error": "LAB cannot be reached"}
        waits = {"kind": "mllp", "address": "lab:2575", "waiting": 3, "oldest": NOON, "dead": 1}
        return [
            ChannelRow.model_validate({"channel": "LAB", **waits, **broken, "probe_at": NOON}),
            ChannelRow(channel="OR", kind="mllp"),
            ChannelRow.model_validate({"channel": "PHARM", **paused}),
        ]

    async def show(self, channel: str, limit: int) -> ChannelView | None:
        found = next((row for row in await self.rows() if row.channel == channel), None)
        if found is None:
            return None
        one = OutboundView(message="m-9", control_id="C9", state="dead", blocks=True, said="AR: no such order")
        return ChannelView(**found.model_dump(), terms={"per_second": "5.0"}, dead_letters=(one,))

    async def pause(self, channel: str, why: str) -> ChannelRow:
        self.house.asked_for.append(("pause", channel, why))
        return (await self.rows())[2]

    async def resume(self, channel: str, why: str) -> ChannelRow:
        self.house.asked_for.append(("resume", channel, why))
        return (await self.rows())[1]

    async def retry(self, messages: Sequence[str], channel: str, why: str, dry_run: bool) -> Sequence[OutboundView]:
        self.house.asked_for.append((tuple(messages), channel, why, dry_run))
        return [OutboundView(message=one, channel="LAB", state="waiting") for one in messages or ("m-9",)]

    async def skip(self, message: str, why: str) -> OutboundView:
        self.house.asked_for.append(("skip", message, why))
        return OutboundView(message=message, channel="LAB", state="dead")


class FakeHouse:
    """The platform in memory; it remembers what it was asked to do."""

    def __init__(self) -> None:
        self.the_cases = {
            ORDER: order(),
            REQUISITION: CaseView(
                case=REQUISITION, process="procure_to_pay", facility="NGH", business_state="ordered", changed_at=NOON
            ),
        }
        self.actor = Actor(id="mito", known_by="os_user")
        self.decided: list[tuple[str, Decision]] = []
        self.resumed: list[str] = []
        self.handed: list[tuple[str, str, str]] = []
        self.asked_for: list[Any] = []
        self.made: list[KeyRequest] = []
        self.broken_trace: int | None = None
        self.failing: FasciaError | None = None
        self.the_drift = DriftRow(
            id="drift-1", facility="NGH", kind="contract_price", code="ITM-1001", field="price.BX", source="ALPINE",
            ours="18.75 USD per BX", theirs="19.1 USD per BX", since=date(2027, 1, 1),
        )  # fmt: skip
        self.report = LoadReport(source="items.csv", loaded=2, unchanged=1)
        self.bytes, self.withheld = "ISA*00*~", ""  # of a message, and why its content is not shown

    def fail(self) -> None:
        if self.failing:
            raise self.failing

    @property
    def usage(self) -> FakeUsageDesk:
        return FakeUsageDesk(self)

    @property
    def stock(self) -> FakeStockDesk:
        return FakeStockDesk(self)

    async def whoami(self) -> Actor:
        return self.actor

    async def cases(self, which: CaseFilter, limit: int) -> Sequence[CaseRow]:
        self.fail()
        self.asked_for.append(which)
        return [CaseRow.model_validate(case.model_dump()) for case in self.the_cases.values()][:limit]

    async def find(self, name: str) -> Sequence[CaseRow]:
        self.fail()
        exact = [case for case in self.the_cases.values() if case.case == name]
        return exact or [case for case in self.the_cases.values() if case.case.endswith("/" + name)]

    async def case(self, case: str) -> CaseView | None:
        return self.the_cases.get(case)

    async def may_decide(self, case: str, decision: Decision) -> str:
        self.fail()
        return "whether this step is yours"

    async def decide(self, case: str, decision: Decision) -> Answer:
        self.fail()
        self.decided.append((case, decision))
        if decision.revision != self.the_cases[case].revision:
            raise Rejected(f"the case has changed since revision {decision.revision}", code="changed")
        return Answer(taken=True, message="price accepted", business_state="invoice approved", revision=8)

    async def can_resume(self, case: str) -> bool:
        self.fail()
        return True

    async def resume(self, case: str, reason: str) -> Resumed:
        self.resumed.append(case)
        return Resumed(case=case, generation=2, run="run-2")

    async def history(self, case: str, run: str) -> str:
        return f'{{"events": [], "case": "{case}", "run": "{run}"}}'

    async def unmatched(self, state: str, facility: str, limit: int) -> Sequence[UnmatchedRow]:
        self.asked_for.append(state)
        return [UnmatchedRow(id="u-1", kind="invoice", number="INV-77", supplier="ALPINE", reason="unknown order")]

    async def attach(self, document: str, case: str, why: str, dry_run: bool) -> UnmatchedRow:
        self.fail()
        self.handed.append((document, case, "dry" if dry_run else why))
        return UnmatchedRow(id=document, kind="invoice", number="INV-77", state="attached", case=case)

    async def dismiss(self, document: str, why: str, dry_run: bool) -> UnmatchedRow:
        self.handed.append((document, "", "dry" if dry_run else why))
        return UnmatchedRow(id=document, kind="invoice", number="INV-77", state="set_aside")

    async def messages(self, which: MessageFilter, limit: int) -> Sequence[MessageRow]:
        self.asked_for.append(which)
        row = MessageRow(id="m-1", direction="in", door="sftp", partner="ALPINE", kind="855", state="routed", at=NOON)
        return [row.model_copy(update={"id": f"m-{n}"}) for n in range(min(limit, 3))]

    async def message(self, message: str) -> MessageView | None:
        if message != "m-1":
            return None
        return MessageView(
            id="m-1", direction="in", door="sftp", kind="855", state="routed", size=8, at=NOON, withheld=self.withheld,
            data="" if self.withheld else self.bytes,
            history=(MessageState(state="received", at=NOON), MessageState(state="routed", at=NOON)),
        )  # fmt: skip

    async def load(self, path: Path, kind: str, facility: str, source: str, dry_run: bool) -> LoadReport:
        self.asked_for.append((path.name, kind, facility, source))
        return self.report.model_copy(update={"dry_run": dry_run})

    async def load_from_erp(self, facility: str, dry_run: bool) -> LoadReport:
        self.asked_for.append(("erp", facility))
        return self.report.model_copy(update={"source": "erp", "dry_run": dry_run})

    async def register(self, kind: str, facility: str, code: str, limit: int) -> Sequence[RegisterRow]:
        rows = [
            RegisterRow(
                kind=kind, code="ITM-1001", facility="NGH", record={"code": "ITM-1001", "description": "Gloves"}
            )
        ]
        return [row for row in rows if code in ("", row.code)]

    async def drift(self, facility: str, state: str, limit: int) -> Sequence[DriftRow]:
        self.asked_for.append((facility, state))
        return [self.the_drift][:limit]

    async def settle_drift(self, verb: str, drift: str, why: str, dry_run: bool) -> DriftRow:
        self.fail()
        self.handed.append((verb, drift, "dry" if dry_run else why))
        return self.the_drift.changed(state="accepted" if verb == "accept" else "dismissed")

    async def book(self, as_of: date) -> Book:
        self.fail()
        return Book(as_of)

    async def foresee(self, noun: Canonical, facility: str, as_of: date) -> Foreseen:
        case = noun.case_id if isinstance(noun, Requisition) else ""
        return Foreseen(outcome="new", case=case, detail="a case would start")

    async def confirm_bank(self, supplier: str, fingerprint: str, dry_run: bool) -> BankConfirmed:
        self.fail()
        return BankConfirmed(supplier=supplier, fingerprint=fingerprint or "f-now", dry_run=dry_run)

    async def keys(self, limit: int) -> Sequence[KeyRow]:
        return [KeyRow(id="k-1", sender="or-desk", facility="NGH", made_at=NOON)]

    async def add_keys(self, requests: Sequence[KeyRequest]) -> Sequence[NewKey]:
        self.fail()
        first = len(self.made) + 1
        self.made += requests
        secrets = [f"fk_secret_{n + 1}" if n else "fk_secret" for n in range(len(requests))]
        return [
            NewKey(id=f"k-{n}", secret=secret, **request.model_dump(exclude={"days"}))
            for n, (request, secret) in enumerate(zip(requests, secrets, strict=True), first)
        ]

    async def revoke_key(self, key: str) -> KeyRow:
        self.fail()
        return KeyRow(id=key, sender="or-desk", revoked_at=NOON)

    async def subscribers(self, everyone: bool, limit: int) -> Sequence[SubscriberRow]:
        return [SubscriberRow(name="stock", url="https://stock.test/hook", types=("order.*",), facilities=("NGH",))]

    async def subscribe(
        self, request: SubscriberRequest, secret: str, replace: bool, new_secret: bool
    ) -> SubscriberAdded:
        self.fail()
        self.asked_for.append((request, secret, replace, new_secret))
        return SubscriberAdded(**request.model_dump(), secret="" if secret else "whsec_made")

    async def unsubscribe(self, name: str) -> SubscriberRemoved:
        return SubscriberRemoved(name=name, url="https://stock.test/hook", active=False, dropped=2)

    async def attention(self, limit: int) -> Sequence[StuckRow]:
        press = "fascia journal show m-1, then journal replay, correct or skip"
        row = StuckRow(what="parked stream", name="hl7/WARD/order/REQ-1", why="unknown-code", since=NOON, press=press)
        return [row, StuckRow(what="dead letter", name="m-2", count=7, owner="Ward integration")][:limit]

    async def deliveries(self, which: DeliveryFilter, limit: int) -> Sequence[DeliveryView]:
        self.asked_for.append(which)
        return [DeliveryView(id=7, event="k7", type="order.issued.v1", case=ORDER, subscriber="stock", state="dead")]

    async def retry_deliveries(
        self, ids: Sequence[int], subscriber: str, why: str, dry_run: bool
    ) -> Sequence[DeliveryView]:
        self.asked_for.append((tuple(ids), subscriber, why, dry_run))
        return [DeliveryView(id=one, event=f"k{one}", subscriber="stock", state="waiting") for one in ids or (7,)]

    @property
    def clinicians(self) -> FakeClinicians:
        return FakeClinicians(self.asked_for)

    @property
    def exclusions(self) -> FakeExclusions:
        return FakeExclusions(self.asked_for)

    @property
    def monitoring(self) -> FakeMonthly:
        return FakeMonthly(self)

    @property
    def people(self) -> FakePeople:
        return FakePeople(self.asked_for, self.broken_trace)

    @property
    def access(self) -> FakeAccessDesk:
        return FakeAccessDesk(self.asked_for)

    @property
    def recalls(self) -> FakeRecalls:
        return FakeRecalls(self.asked_for)

    @property
    def replays(self) -> FakeReplays:
        return FakeReplays(self)

    @property
    def channels(self) -> FakeChannels:
        return FakeChannels(self)

    async def acts(self, about: str, limit: int) -> Sequence[ActView]:
        return [ActView(at=NOON, actor="mito", known_by="os_user", verb="outbox retry", about=about or "delivery/7")]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[FakeHouse]:
        self.fail_at_opening()
        yield self

    def fail_at_opening(self) -> None:
        """Overwritten by a test whose servers are away."""


LOADED_PARTLY = LoadReport(
    source="items.csv",
    loaded=1,
    refused=1,
    records=(
        LoadedRecord(kind="item", code="ITM-1", outcome="loaded", where="line 2"),
        LoadedRecord(kind="item", code="ITM-2", outcome="refused", where="line 3", reason="base_unit: not a unit"),
    ),
)
