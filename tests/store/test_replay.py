"""A kept message goes through its door's routing once more: to the case that can take it now, and nothing happens twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor
from canonical.errors import FasciaError, Rejected
from canonical.messages import NewMessage
from canonical.parties import Partner
from canonical.purchasing import numbered_content
from canonical.steps import ClaimRequest, OpenOrder
from cli.again import OurReplays
from cli.replay_views import Accepted, Corrected
from cli.views import Replayed
from store.acts import StoredActs
from store.query_models import MessageQuery
from store.tables import order_numbers
from tests.fakes.supplier import FakeMailbox
from tests.formats.x12_files import sample
from tests.gateway.fakes import ORDER, ORDER_CASE, FakeEngine
from tests.store.build import NOW, change, order, put, requisition, start
from workers.settings import Settings
from workers.wiring import Wiring

ME = Actor(id="mito", known_by="os_user")
ALPINE = Partner(code="ALPINE", supplier="ALPINE", id="ALPINEMED", our_id="FASCIANGH")
ANSWER = "855_partly_backordered"


_ALL = MessageQuery()


class House:
    """Our own store and its doors; Temporal and the supplier's mailbox are played."""

    def __init__(self, engine: AsyncEngine, home: Path) -> None:
        self.wiring = Wiring(Settings(home=home), engine, cast(Any, None))
        self.engine, self.mailbox = FakeEngine(), FakeMailbox()
        self.wiring.__dict__["engine"] = self.engine
        self.wiring.__dict__["mailbox_for"] = lambda _: self.mailbox

    async def left(self, data: bytes) -> str:
        """What a supplier left in its mailbox, by its name in our journal."""
        before = {row.id for row in (await self.wiring.queries.messages(_ALL)).messages}
        await self.wiring.mailbox_door.accept(ALPINE, "file.x12", data)
        after = (await self.wiring.queries.messages(_ALL)).messages
        (name,) = [row.id for row in after if row.id not in before and row.direction == "in"]
        return name

    async def open_order(self) -> None:
        asked, begun = requisition(), order(ORDER)
        await self.wiring.cases.claim(start(asked))
        given = {"case": asked.case_id, "part": "1", "facility": "NGH", "number": ORDER}
        async with self.wiring.database.begin() as connection:
            await connection.execute(insert(order_numbers).values(given | {"content": numbered_content(begun)}))
        await self.wiring.cases.open_order(OpenOrder(order=begun, run="run-1", as_of=NOW))
        self.engine.open.add(ORDER_CASE)

    async def replay(self, message: str, why: str = "", *, dry_run: bool = False) -> Replayed:
        return await OurReplays(self.wiring, ME).one(message, why, dry_run)

    async def accept(self, message: str, why: str) -> Accepted:
        return await OurReplays(self.wiring, ME).accept(message, why, False)

    async def correct(self, message: str, data: bytes, *, preview: bool = False) -> Corrected:
        return await OurReplays(self.wiring, ME).correct(message, data, "they meant this", preview)

    async def deeds(self) -> list[tuple[str, str]]:
        return [(one.verb, one.about) for one in await StoredActs(self.wiring.database).acts()]


@pytest.fixture
async def house(engine: AsyncEngine, tmp_path: Path) -> House:
    await put(engine, "partner", "", "ALPINE", ALPINE)
    return House(engine, tmp_path)


async def refused(house: House, message: str) -> str:
    """Why a message is not routed again; nothing was done."""
    before, deeds = await house.wiring.journal.read(message), await house.deeds()
    with pytest.raises(FasciaError) as why:
        await house.replay(message)
    assert await house.wiring.journal.read(message) == before and await house.deeds() == deeds
    return why.value.message


async def test_a_document_that_came_before_its_order_reaches_it_and_is_answered_once(house: House) -> None:
    message = await house.left(sample(ANSWER))
    assert house.engine.delivered == [] and len(house.mailbox.put_files) == 1
    await house.open_order()
    assert (await house.replay(message, dry_run=True)).dry_run and house.engine.delivered == []
    done = await house.replay(message, "the order is here now")
    assert (done.before, done.state, done.case) == ("routed", "routed", ORDER_CASE)
    twice = await house.replay(message)
    assert twice.state == "routed"
    keys = [document.key for case, document in house.engine.delivered if case == ORDER_CASE]
    assert len(keys) == 2 and len(set(keys)) == 1, "under one key, so its case takes it once"
    assert len(house.mailbox.puts) == 1, "the partner has its 997"
    told = [reason for _, reason, _ in await house.wiring.journal.history(message)]
    assert f"replayed by mito (os_user): the order is here now [replay {done.replay}]" in told
    assert await house.deeds() == [("journal replay", f"message/{message}")] * 2


async def test_while_temporal_is_away_a_replayed_message_waits_for_the_sweep(house: House) -> None:
    message = await house.left(sample(ANSWER))
    await house.open_order()
    house.engine.away = True
    assert (await house.replay(message)).state == "validated"
    house.engine.away = False
    kept = await house.wiring.journal.read(message)
    assert kept is not None and await house.wiring.corridor().route(kept)
    assert [case for case, _ in house.engine.delivered] == [ORDER_CASE]


async def test_a_message_of_a_case_that_ended_is_refused(house: House) -> None:
    await house.open_order()
    message = await house.left(sample(ANSWER))
    about = {"process": "purchase_order", "supplier": "ALPINE"}
    await house.wiring.cases.record(change(ORDER_CASE, 1, closed=True, **about))
    assert await refused(house, message) == f"{message} belongs to {ORDER_CASE}, which is closed"


async def test_what_came_under_the_number_of_another_is_refused(house: House) -> None:
    await house.open_order()
    await house.left(sample(ANSWER))
    other = await house.left(sample(ANSWER).replace(b"SO-88120", b"SO-99999"))
    assert "with other content" in await refused(house, other)
    await house.wiring.journal.mark(other, "validated", reason="its reason is lost")
    for dry_run in (True, False):
        with pytest.raises(Rejected, match="with other content"):
            await house.replay(other, dry_run=dry_run)
    assert len(house.engine.delivered) == 1


async def test_our_own_messages_and_decisions_are_refused(house: House) -> None:
    keep = house.wiring.journal.keep
    ours = await keep(NewMessage(direction="out", door="mailbox", data=b"850", partner="ALPINE", kind="850"))
    assert "message of ours" in await refused(house, ours.message.id)
    decision = await keep(NewMessage(door="rest", data=b"{}", kind="decision"))
    assert "never given later" in await refused(house, decision.message.id)
    unknown = await keep(NewMessage(door="rest", data=b"{}", kind="fax"))
    assert "nothing reads" in await refused(house, unknown.message.id)
    with pytest.raises(FasciaError, match="no message m-0"):
        await house.replay("m-0")


async def test_what_cannot_be_read_is_dead_again_and_stays_on_the_list(house: House) -> None:
    message = await house.left(b"ISA*garbage")
    done = await house.replay(message)
    assert (done.before, done.state) == ("dead", "dead") and done.reason
    kept = await house.wiring.journal.read(message)
    assert kept is not None and kept.state == "dead"
    assert [one.message for one in await house.wiring.cases.unmatched()] == [message]


async def test_a_refused_requisition_starts_its_case_once_it_can(house: House) -> None:
    wanted = requisition("R-77")
    new = NewMessage(door="rest", data=wanted.model_dump_json().encode(), kind="requisition", key="rest/desk/k-1")
    message = (await house.wiring.journal.keep(new)).message.id
    await house.wiring.journal.mark(message, "refused", reason="unavailable: not decided")
    for _ in range(2):
        done = await house.replay(message)
        assert (done.state, done.case) == ("routed", wanted.case_id)
        await house.wiring.cases.claim(ClaimRequest(case=wanted.case_id, run="run-1", data=new.data, as_of=NOW))
        await house.wiring.cases.record(change(wanted.case_id))
    assert [case for case, _ in house.engine.started] == [wanted.case_id], "a running case is not started again"
    await house.wiring.journal.mark(message, "refused", reason="not-allowed: this key is for facility SGH")
    assert "may not ask" in await refused(house, message)
