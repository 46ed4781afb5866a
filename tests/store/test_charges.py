"""A charge leaves once and in order, whatever billing's channel does; what cannot be written waits until a person says again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor
from canonical.charges import Charge
from canonical.errors import Rejected
from canonical.messages import Kept, NewMessage
from canonical.senders import Channel
from store.acts import Act
from store.channel_keeping import StoredChannelKeeping
from store.charges import StoredCharges
from store.ids import new_id
from store.journal import StoredJournal
from store.usage_tables import charges as table
from store.usage_tables import usage_events
from tests.adapters.mllp_server import MllpServer
from tests.gateway.charge_house import BILLING, ITEM, NAME, event, used
from tests.store.channel import Lane, lane
from tests.store.channel_house import at_port, scripted
from tests.workers.test_charges import FakeTerms
from workers.loops.charges import ChargeWriter

LATER = datetime.now(UTC) + timedelta(days=1)
ME = Actor(id="mito", known_by="os_user")
AGAIN = Act(verb="usage charges --again", about="", actor=ME, reason="the item has its code now")


class Ledger:
    """Uses as they are recorded, their charges, and the loop that writes them to billing's channel."""

    def __init__(self, engine: AsyncEngine, channel: Channel = BILLING) -> None:
        self.engine = engine
        self.charges = StoredCharges(engine)
        self.terms = FakeTerms()
        self.terms.rows = [channel]
        self.terms.bill_to = channel.code
        self.loop = ChargeWriter(self.charges, StoredJournal(engine), self.terms, clock=lambda: LATER)

    async def use(self, number: str, item: str = ITEM.code) -> str:
        """A chargeable use was recorded; its id."""
        kept = await StoredJournal(self.engine).keep(
            NewMessage(door="mllp", data=used(), kind="DFT^P03", sender="ORSYS", key=f"hl7/{number}")
        )
        at, use = datetime.now(UTC), new_id()
        one = event(number=number, item=item)
        row: dict[str, Any] = {
            "id": use,
            "facility": "NGH",
            "source": "ORSYS",
            "number": number,
            "message": kept.message.id,
        }
        row |= {
            "state": "posted",
            "location": "NGH-OR",
            "item": item,
            "quantity": 1,
            "content": one.model_dump(mode="json"),
        }
        async with self.engine.begin() as connection:
            await connection.execute(insert(usage_events).values(row | {"used_at": at, "at": at, "changed_at": at}))
        await self.put(use, "charge")
        return use

    async def put(self, use: str, kind: str) -> str:
        at, one = datetime.now(UTC), new_id()
        row = {"id": one, "facility": "NGH", "event": use, "kind": kind, "state": "due"}
        async with self.engine.begin() as connection:
            await connection.execute(insert(table).values(row | {"again_at": at, "at": at, "changed_at": at}))
        return one

    async def states(self) -> dict[str, str]:
        async with self.engine.connect() as connection:
            rows = await connection.execute(select(table.c.event, table.c.kind, table.c.state))
            return {f"{row.kind} {row.event}": row.state for row in rows}


@pytest.fixture
def ledger(engine: AsyncEngine) -> Ledger:
    return Ledger(engine)


def numbers(peer: MllpServer) -> list[tuple[str, str]]:
    """What billing heard, in order: the use (FT1-23) and whether it is charged or credited."""
    rows = [next(row for row in data.decode().split("\r") if row.startswith("FT1")).split("|") for data in peer.got]
    return [(row[23].split("^")[0], row[6]) for row in rows]


async def told(one: Lane, ledger: Ledger) -> None:
    await ledger.loop.once()
    await one.drain()


def book(engine: AsyncEngine, one: Lane) -> Ledger:
    return Ledger(engine, BILLING.changed(code=one.channel.code, host=one.channel.host, port=one.channel.port))


async def test_each_charge_reaches_billing_once_and_a_credit_after_its_charge(engine: AsyncEngine) -> None:
    async with lane(engine) as one:
        ledger = book(engine, one)
        first, second = await ledger.use("T-1"), await ledger.use("T-2")
        await told(one, ledger)
        await ledger.put(first, "credit")
        await told(one, ledger)
        await told(one, ledger)  # nothing is due any more
        assert numbers(one.server) == [(first, "CG"), (second, "CG"), (first, "CD")]


async def test_what_is_taken_back_before_it_was_written_never_leaves(engine: AsyncEngine) -> None:
    async with lane(engine) as one:
        ledger = book(engine, one)
        use, other = await ledger.use("T-1"), await ledger.use("T-2")
        await ledger.put(use, "credit")
        await told(one, ledger)
        assert numbers(one.server) == [(other, "CG")]
        states = await ledger.states()
        assert states[f"charge {use}"] == states[f"credit {use}"] == "needless"


async def test_a_charge_that_was_put_before_the_worker_died_is_credited_and_not_forgotten(engine: AsyncEngine) -> None:
    async with lane(engine) as one:
        ledger = book(engine, one)
        use = await ledger.use("T-1")
        (due,) = await ledger.charges.due(LATER)
        await ledger.loop.once()
        await ledger.put(use, "credit")
        assert not await ledger.charges.needless(due.id, "taken back")  # billing is told of it already
        await told(one, ledger)
        assert numbers(one.server) == [(use, "CG"), (use, "CD")]


async def test_billing_down_for_a_minute_loses_doubles_and_reorders_nothing(engine: AsyncEngine) -> None:
    async with lane(engine) as one:
        port = one.channel.port
        ledger = book(engine, one)
    one.channel = one.channel.changed(half_open_after=5.0)
    uses = [await ledger.use(f"T-{number}") for number in range(5)]
    sender = one.sender()
    await ledger.loop.once()
    await ledger.put(uses[2], "credit")
    await ledger.loop.once()
    for _ in range(60):  # nobody listens
        await sender.drain(asyncio.Event())
        one.clock.advance(1)
    assert set((await one.states()).values()) == {"waiting"}
    async with at_port(port) as peer:
        await one.drain(sender)
        await sender.close()
        assert numbers(peer) == [*((use, "CG") for use in uses), (uses[2], "CD")]


async def test_a_paused_channel_keeps_charges_waiting(engine: AsyncEngine) -> None:
    async with lane(engine) as one:
        ledger, keeping = book(engine, one), StoredChannelKeeping(engine)
        pause = Act(verb="channel pause", about=f"channel/{one.channel.code}", actor=ME, reason="their upgrade")
        await keeping.pause(one.channel.code, pause)
        use = await ledger.use("T-1")
        await ledger.loop.once()
        sender = one.sender()
        await sender.drain(asyncio.Event())
        assert one.server.got == [] and (await ledger.states())[f"charge {use}"] == "written"
        await keeping.resume(one.channel.code, pause)
        await one.drain(sender)
        assert numbers(one.server) == [(use, "CG")]


async def test_what_billing_refuses_is_a_dead_letter_of_its_channel(engine: AsyncEngine) -> None:
    async with lane(engine, scripted("AR"), on_dead="go on") as one:
        ledger = book(engine, one)
        await ledger.use("T-1")
        second = await ledger.use("T-2")
        await told(one, ledger)
        (dead,) = await one.keeping.outbound(one.channel.code, "dead")
        assert dead.said.startswith("AR") and numbers(one.server)[1] == (second, "CG")


async def test_a_charge_without_a_code_waits_for_the_items_row_and_then_goes(engine: AsyncEngine) -> None:
    async with lane(engine) as one:
        ledger = book(engine, one)
        ledger.terms.items[ITEM.code] = ITEM.changed(charge_code="")
        use = await ledger.use("T-1")
        await told(one, ledger)
        (row,) = await ledger.charges.list(state="dead")
        assert (row.owner, row.reason, row.event) == ("billing", "item IMP-310 has no charge code", use)
        ledger.terms.items[ITEM.code] = ITEM
        (again,) = await ledger.charges.again([], AGAIN)
        assert again.state == "due"
        await told(one, ledger)
        assert numbers(one.server) == [(use, "CG")] and await ledger.charges.list(state="dead") == []


async def test_what_billing_was_told_is_not_told_again(ledger: Ledger) -> None:
    await ledger.use("T-1")
    await ledger.loop.once()
    (row,) = await ledger.charges.list(state="written")
    with pytest.raises(Rejected, match="is not dead"):
        await ledger.charges.again([row.id], AGAIN)
    with pytest.raises(Rejected, match="no charge"):
        await ledger.charges.again(["nothing"], AGAIN)


async def test_a_credit_waits_while_its_charge_waits_for_another_try(ledger: Ledger) -> None:
    use = await ledger.use("T-1")
    other = await ledger.use("T-2")
    await ledger.put(use, "credit")
    (first,) = [one for one in await ledger.charges.due(LATER) if one.event_id == use and one.kind == "charge"]
    await ledger.charges.later(first.id, "the store is away", LATER + timedelta(minutes=1))
    assert [one.event_id for one in await ledger.charges.due(LATER)] == [other]
    both = [one for one in await ledger.charges.due(LATER + timedelta(minutes=2)) if one.event_id == use]
    assert [(one.kind, one.attempts) for one in both] == [("charge", 1), ("credit", 0)]


async def test_a_patients_name_stands_in_no_row_about_a_charge(engine: AsyncEngine, ledger: Ledger) -> None:
    await ledger.use("T-1")
    await ledger.loop.once()
    (row,) = await ledger.charges.list(state="written")
    kept: Kept | None = await StoredJournal(engine).read(row.message)
    assert kept is not None and NAME.encode() in kept.data  # billing is told it
    async with engine.connect() as connection:
        for one in (table, usage_events):
            for found in (await connection.execute(select(one))).mappings():
                assert NAME not in repr(dict(found))
    assert NAME not in repr(kept.model_dump(exclude={"data"}))


async def test_what_has_no_quantity_is_shown(engine: AsyncEngine, ledger: Ledger) -> None:
    use = await ledger.use("T-1")
    async with engine.begin() as connection:
        await connection.execute(update(usage_events).where(usage_events.c.id == use).values(quantity=None))
    await ledger.loop.once()
    assert (await ledger.states())[f"charge {use}"] == "dead"


async def test_charges_are_listed_newest_first_page_by_page(ledger: Ledger) -> None:
    uses = [await ledger.use(f"T-{number}") for number in range(3)]
    first = await ledger.charges.list(limit=2)
    rest = await ledger.charges.list(limit=2, before=first[-1].id)
    assert [row.event for row in (*first, *rest)] == uses[::-1]
    assert await ledger.charges.counts("NGH") == {"due": 3}
    assert isinstance((await ledger.charges.due(LATER))[0], Charge)
