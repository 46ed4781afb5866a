"""A ward that sends orders to our own store, its router, and the workers that replay; Temporal is played, and notes each start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor
from canonical.errors import Unavailable
from canonical.messages import Kept
from canonical.replays import ReplayJob
from canonical.senders import Channel, Mapping
from canonical.steps import ClaimRequest
from cli.again import OurReplays
from cli.house import MessageFilter
from gateway.hl7_door import Hl7Door
from gateway.mllp_peer import Peer
from store.query_models import MessageQuery
from store.replays import StoredReplays
from store.tables import register
from store.unmatched import StoredUnmatched
from tests.gateway.hl7_house import WARD as PLAIN
from tests.gateway.hl7_house import order
from tests.store.build import NOW, put
from workers.loops.replay_jobs import ReplayJobs
from workers.loops.router import Router
from workers.settings import Settings
from workers.wiring import Wiring

ME = Actor(id="mito", known_by="os_user")
HERE = Peer("10.2.0.7", 4000)
WARD = PLAIN.changed(
    kinds=("OMS^O05", "ADT^*", "MFN^*"), department="surgery", cost_centre="CC-4100", deliver_to="NGH-W3", requester="E-1001",
    reply_channel="WARD-REPLIES",
)  # fmt: skip
CHANNEL = Channel(code="WARD-REPLIES", facility="NGH", host="ward", port=2575)
ITEMS = Mapping(sender="WARD", table="item", rows={"ITM-1": "ITM-1001"})
BOTH = Mapping(sender="WARD", table="item", rows={"ITM-1": "ITM-1001", "NEW-9": "ITM-1002"})


class Starts:
    """The engine: a case starts once under its name, and its first step claims it. Each time it is asked is a line of the file.

    After ``answers`` of them it answers nobody any more.
    """

    def __init__(self, file: Path, answers: int | None = None) -> None:
        self.file = file
        self.answers = answers
        self.away = False
        self.wiring: Wiring | None = None

    async def start_requisition(self, case: str, data: bytes, *, trace: str = "") -> str:
        if self.away:
            raise Unavailable("Temporal does not answer", system="temporal")
        with self.file.open("a") as lines:
            lines.write(
                f"{case:<63}\n"
            )  # in no two pages of the file: who is killed while it writes leaves no half of one
        if self.answers is not None and len(self.asked) > self.answers:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        assert self.wiring is not None
        run = f"run of {case}"
        await self.wiring.cases.claim(ClaimRequest(case=case, run=run, data=data, as_of=NOW))
        return run

    @property
    def asked(self) -> list[str]:
        return [line.strip() for line in self.file.read_text().splitlines()] if self.file.exists() else []


class ReplayHouse:
    """Everything between the ward's wire and its cases."""

    def __init__(self, engine: AsyncEngine, home: Path, *, answers: int | None = None) -> None:
        self.wiring = Wiring(Settings(home=home), engine, cast(Any, None))
        self.starts = Starts(home / "starts", answers)
        self.starts.wiring = self.wiring
        self.wiring.__dict__["engine"] = self.starts
        self.journal = self.wiring.journal
        self.replays = OurReplays(self.wiring, ME)
        self.stored = StoredReplays(engine)
        self.door = Hl7Door(self.journal, self.wiring.directory, StoredUnmatched(engine), secret=b"secret")

    async def register(self) -> None:
        await put(self.wiring.database, "sender", "", "WARD", WARD)
        await put(self.wiring.database, "channel", "", "WARD-REPLIES", CHANNEL)
        await put(self.wiring.database, "mapping", "", "WARD/item", ITEMS)
        await self.wiring.directory.refresh()

    async def mend(self) -> None:
        """The ward's table of items knows the new code now."""
        which = (register.c.kind == "mapping") & (register.c.code == "WARD/item")
        async with self.wiring.database.begin() as connection:
            await connection.execute(update(register).where(which).values(document=BOTH.model_dump_json()))

    async def streams_go_on(self) -> None:
        """The ward's row says that its streams wait for no dead letter."""
        row = WARD.changed(on_dead="go on")
        which = (register.c.kind == "sender") & (register.c.code == "WARD")
        async with self.wiring.database.begin() as connection:
            await connection.execute(update(register).where(which).values(document=row.model_dump_json()))
        await self.wiring.directory.refresh()

    async def sends(self, *messages: bytes) -> None:
        for message in messages:
            (answer,) = await self.door.take(message, HERE)
            assert b"MSA|AA" in answer, answer
        await self.route()

    async def route(self) -> None:
        await Router(self.journal, self.wiring.routing(), 0, 1).once()

    async def work(self) -> None:
        """A round of the loop that does replays."""
        await ReplayJobs(self.stored, self.wiring.replayer()).once()

    async def works_until_done(self, name: str) -> None:
        """Rounds of that loop until a job is done: what was away is asked again after a second."""
        async with asyncio.timeout(60):
            while (await self.job(name)).state != "done":
                await self.work()
                await asyncio.sleep(0.05)

    async def job(self, name: str) -> ReplayJob:
        found = await self.stored.job(name)
        assert found is not None
        return found

    async def message(self, control: str) -> Kept:
        page = await self.wiring.queries.messages(MessageQuery(control_number=control, direction="in"))
        (found,) = [one for one in page.messages if not one.version_of]
        kept = await self.journal.read(found.id)
        assert kept is not None
        return kept

    async def states(self) -> dict[str, str]:
        page = await self.wiring.queries.messages(MessageQuery(direction="in"), limit=500)
        return {one.control_number: one.state for one in page.messages if not one.version_of}


DEAD = MessageFilter(state="dead", sender="WARD")


def unknown(control: str, number: str) -> bytes:
    """An order by a code the ward's table does not know."""
    return order(control, number).replace(b"ITM-1^Glove", b"NEW-9^Glove")
