"""From a use to its charge, and a person's word between, as one sees it at a terminal: on our own store, billing at the other end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import FasciaError
from canonical.messages import NewMessage
from canonical.parties import Employee
from canonical.senders import Channel
from canonical.stock_reports import ReportOf
from cli.ours import OurHouse
from cli.usage_views import UsageFilter, UsageWord
from demo.billing import Books, booked
from store.channels import StoredChannels
from store.journal import StoredJournal
from tests.gateway.charge_house import NAME, PID, PV1, SENDER
from tests.gateway.charge_house import used as theatre
from tests.store import build
from tests.store.usage_house import ITEMS, NOW, House, use, void
from tests.store.usage_stored import StoredStock
from workers.settings import Settings
from workers.wiring import Wiring

BILLING = Channel(code="BILLING", facility="NGH", host="billing", port=2576)
SAID = UsageWord(verb="correct", reason="the label says so", lot="L-8")


class Hospital:
    """One location at work, its people at a terminal, and billing."""

    def __init__(self, engine: AsyncEngine, home: Path) -> None:
        self.engine = engine
        self.wiring = Wiring(Settings(home=home), engine, cast(Any, None))
        self.terminal = OurHouse(self.wiring)
        self.stock = House(StoredStock(engine))
        self.billing = Books.open(home)

    async def opens(self, *roles: str) -> None:
        await self.stock.open()
        await self.stock.stock.opening("OR-1", "SUTURE", 10)
        await self.stock.stock.opening("OR-1", "SCREW", 10, lot="L-8")
        await build.put(self.engine, "channel", "", "BILLING", BILLING)
        await build.put(self.engine, "sender", "", "ORSYS", SENDER)
        who = Employee(id="E-700", facility="NGH", name="K. Vogel", os_user="mvogel", roles=roles)
        await build.put(self.engine, "employee", "NGH", "E-700", who)

    async def uses(self, *events: Any) -> None:
        """A theatre's message, with a patient in it, and what its feed made of it."""
        new = NewMessage(door="mllp", data=theatre(PID, PV1), kind="DFT^P03", sender="ORSYS")
        kept = await StoredJournal(self.engine).keep(new)
        await self.stock.keep(*events, message=kept.message.id)

    async def bills(self) -> list[str]:
        """Write what is due, and bring it to billing in the order of its channel; what billing answers."""
        await self.wiring.stock.charge_writer().once()
        said = []
        store, at = StoredChannels(self.engine), datetime.now(UTC) + timedelta(minutes=1)
        while (turn := await store.turn("BILLING", "me", timedelta(seconds=15))) and turn.head is not None:
            code, why = self.billing.take((await store.content(turn.head)).decode())
            said.append(f"{code} {why}".strip())
            async with self.engine.begin() as connection:
                done = "UPDATE outbound SET state = 'answered', changed_at = :at WHERE id = :id"
                await connection.execute(text(done), {"id": turn.head.id, "at": at})
        return said


@pytest.fixture
def hospital(engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    monkeypatch.setattr("cli.ours.login", lambda: "mvogel")
    return Hospital(engine, tmp_path)


async def test_each_chargeable_use_is_charged_once_and_a_void_credits_it(hospital: Hospital, tmp_path: Path) -> None:
    await hospital.opens("materials")
    await hospital.uses(use("T-1", "SUTURE", 3), use("T-2", "GLOVE"), use("T-3", "SUTURE", 2))
    await hospital.stock.round()
    assert await hospital.bills() == ["AA", "AA"]
    await hospital.uses(void("V-1", "T-1"))
    await hospital.stock.round()
    assert await hospital.bills() == ["AA"] and await hospital.bills() == []
    told = [(row.kind, row.code, row.quantity, row.of_patient) for row in booked(tmp_path)]
    assert told == [("CG", "S1", 3, "900001"), ("CG", "S1", 2, "900001"), ("CD", "S1", 3, "900001")]
    of = ReportOf(since=NOW - timedelta(days=1), until=NOW + timedelta(days=1), by=("item",))
    rows = {row.item: row for row in await hospital.terminal.usage.report(of)}
    assert (rows["SUTURE"].quantity, rows["SUTURE"].charged) == (2, 2)
    event = await hospital.stock.stock.event("T-1")
    view = await hospital.terminal.usage.show(event.id)
    assert view is not None and view.state == "voided" and view.quantity == 3
    assert [movement.quantity for movement in view.movements] == [-3]
    assert [(row.kind, row.state) for row in view.charges] == [("credit", "written"), ("charge", "written")]


async def test_an_item_without_a_charge_code_is_mended_in_the_register_and_charged(
    hospital: Hospital, tmp_path: Path
) -> None:
    await hospital.opens("materials")
    suture = ITEMS[1]
    await hospital.stock.stock.put(suture.changed(charge_code=""))
    await hospital.uses(use("T-1", "SUTURE"))
    await hospital.stock.round()
    assert await hospital.bills() == []
    (dead,) = await hospital.terminal.usage.charges("dead", "", "", 10)
    assert dead.reason == "item SUTURE has no charge code"
    await hospital.stock.stock.put(suture)
    assert len(await hospital.terminal.usage.charge_again([], "NGH", "it has its code", dry_run=False)) == 1
    assert await hospital.bills() == ["AA"] and len(booked(tmp_path)) == 1


async def test_a_parked_use_is_corrected_by_who_may_and_posted_by_its_location(hospital: Hospital) -> None:
    await hospital.opens("materials")
    await hospital.uses(use("T-1", "SCREW"))
    await hospital.stock.round()
    (row,) = await hospital.terminal.usage.rows(UsageFilter(state="open"), 10)
    assert (row.finding, row.item, row.unit) == ("lot-missing", "SCREW", "")
    view = await hospital.terminal.usage.show(row.id)
    assert view is not None and "correct --lot or --serial" in view.press
    assert list(view.findings) == ["lot-missing"]
    assert (await hospital.terminal.usage.decide(row.id, SAID, dry_run=True)).state == "waiting"
    assert await hospital.stock.state("T-1") == ("parked", "lot-missing")
    assert (await hospital.terminal.usage.decide(row.id, SAID, dry_run=False)).lot == "L-8"
    await hospital.stock.round()
    assert await hospital.stock.state("T-1") == ("posted", "")
    (deed,) = await hospital.terminal.acts(f"usage/{row.id}", 10)
    assert (deed.verb, deed.reason) == ("usage correct", "the label says so")
    (held,) = [one for one in await hospital.terminal.stock.held("NGH", "OR-1") if one.item == "SCREW"]
    assert (held.on_hand, [lot.lot for lot in held.lots]) == (9, ["L-8"])
    assert await hospital.terminal.stock.facility_of("OR-1", "") == "NGH"


async def test_who_has_no_such_role_decides_nothing(hospital: Hospital) -> None:
    await hospital.opens("buyer")
    await hospital.uses(use("T-1", "SCREW"))
    await hospital.stock.round()
    (row,) = await hospital.terminal.usage.rows(UsageFilter(state="open"), 10)
    with pytest.raises(FasciaError, match="this is for admin, materials, support, not for buyer"):
        await hospital.terminal.usage.decide(row.id, SAID, dry_run=False)
    assert await hospital.stock.state("T-1") == ("parked", "lot-missing")


async def test_no_name_is_in_what_a_terminal_shows_of_a_use_and_its_charge(hospital: Hospital) -> None:
    await hospital.opens("materials")
    await hospital.uses(use("T-1", "SUTURE"), use("T-2", "SCREW"))
    await hospital.stock.round()
    await hospital.bills()
    shown = [
        *await hospital.terminal.usage.rows(UsageFilter(), 10),
        *await hospital.terminal.usage.charges("", "", "", 9),
    ]
    views = [await hospital.terminal.usage.show(row.id) for row in await hospital.terminal.usage.rows(UsageFilter(), 9)]
    assert len(views) == 2 and NAME not in repr([*shown, *views])
