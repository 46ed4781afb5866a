"""What was used, from the wire into our own database: once, with nobody's name, and mended by a table and a replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.messages import NewMessage
from canonical.parties import Location
from canonical.replays import CONFLICT, DONE, NEW
from canonical.senders import Mapping
from canonical.usage_kept import KeptUse
from cli.foresight import foresee
from cli.house import MessageFilter
from store.usage import StoredUsage
from tests.gateway.csv_house import NOW
from tests.gateway.test_csv_uses import USES
from tests.gateway.usage_house import CANARY, THEATRE, charged, ft1
from tests.store.build import put
from tests.store.replay_house import ReplayHouse

TABLE = Mapping(sender="OR-SYS", table="item", rows={"NEW-9": "ITM-1002", "ITM-1001": "ITM-1001"})


class Theatre(ReplayHouse):
    """A theatre that charges what it uses; everything behind it is as in a process of ours."""

    def __init__(self, engine: AsyncEngine, home: Path) -> None:
        super().__init__(engine, home)
        self.wiring.__dict__["seal_key"] = b"a secret of these tests"
        self.uses = StoredUsage(engine)

    async def open(self) -> None:
        row = THEATRE.changed(on_dead="go on", kinds=("*",))
        await put(self.wiring.database, "sender", "", "OR-SYS", row)
        place = Location(code="NGH-OR", facility="NGH", cost_centre="CC-4100")
        await put(self.wiring.database, "location", "NGH", "NGH-OR", place)
        await self.wiring.directory.refresh()

    async def kept(self) -> dict[str, KeptUse]:
        return {use.number: use for use in await self.uses.list()}

    async def everything(self) -> str:
        """All that is kept of uses, word for word."""
        found: list[Any] = []
        async with self.wiring.database.connect() as connection:
            for table in ("usage_events", "usage_conflicts", "unmatched", "acts"):
                rows = await connection.execute(text(f"SELECT CAST(to_jsonb(t) AS text) FROM {table} AS t"))
                found += rows.scalars()
        return "\n".join(found)


@pytest.fixture
async def theatre(engine: AsyncEngine, tmp_path: Path) -> Theatre:
    made = Theatre(engine, tmp_path)
    await made.open()
    return made


async def test_uses_are_kept_once_with_a_reference_of_their_encounter_and_no_name(theatre: Theatre) -> None:
    first = charged("U-1", ft1("T-1"), ft1("T-2", item="ITM-1003"))
    await theatre.sends(first, first, charged("U-2", ft1("T-1")), charged("U-3", ft1("T-2", amount="9")))
    kept = await theatre.kept()
    assert sorted(kept) == ["T-1", "T-2"] and {use.state for use in kept.values()} == {"waiting"}
    assert len({use.procedure for use in kept.values()}) == 1 and len(kept["T-1"].procedure) == 22
    assert (await theatre.states())["U-3"] == "refused"
    said = await theatre.everything()
    assert not any(secret in said for secret in (CANARY, "900001", "V-1"))
    assert "T-2" in said and "known with other content" in said


async def test_an_unknown_code_goes_on_once_its_table_has_it_and_its_message_is_replayed(theatre: Theatre) -> None:
    await theatre.sends(charged("U-1", ft1("T-1", item="NEW-9"), ft1("T-2")))
    before = (await theatre.kept())["T-1"]
    async with theatre.wiring.database.begin() as connection:  # as its location's case would
        await connection.execute(
            text("UPDATE usage_events SET state = 'parked', finding = 'unknown-item' WHERE number = 'T-1'")
        )
        await connection.execute(text("UPDATE usage_events SET state = 'posted' WHERE number = 'T-2'"))
    await put(theatre.wiring.database, "mapping", "", "OR-SYS/item", TABLE)
    await theatre.wiring.directory.refresh()
    message = await theatre.message("U-1")
    seen = await theatre.replays.preview(message.id)
    assert seen.outcome == NEW and "T-2 is kept (posted)" in seen.detail
    assert [(one.path, one.was, one.now) for one in seen.differences] == [("use T-1/1 item", "NEW-9", "ITM-1002")]
    done = await theatre.replays.one(message.id, "the table has it now", False)
    assert done.outcome == NEW
    after = (await theatre.kept())["T-1"]
    assert (after.id, after.state, after.item, after.finding) == (before.id, "waiting", "ITM-1002", "")
    assert (await theatre.kept())["T-2"].state == "posted"
    assert (await theatre.replays.preview(message.id)).outcome == DONE


async def test_what_was_acted_on_is_left_alone_by_a_replay(theatre: Theatre) -> None:
    await theatre.sends(charged("U-1", ft1("T-1", item="NEW-9")))
    await put(theatre.wiring.database, "mapping", "", "OR-SYS/item", TABLE)
    await theatre.wiring.directory.refresh()
    (seen,) = await theatre.replays.preview_all(MessageFilter(sender="OR-SYS"), 10)
    assert seen.outcome == CONFLICT and "waiting" in seen.detail
    assert (await theatre.kept())["T-1"].event.item == "NEW-9"


async def test_a_use_is_foreseen_before_its_message_comes(theatre: Theatre) -> None:
    await theatre.sends(charged("U-1", ft1("T-1")))
    (event,) = [use.event for use in (await theatre.kept()).values()]
    same = await foresee(theatre.wiring, event, "NGH", NOW.date())
    other = await foresee(theatre.wiring, event.changed(amount="5"), "NGH", NOW.date())
    new = await foresee(theatre.wiring, event.changed(number="T-2"), "NGH", NOW.date())
    assert [one.outcome for one in (same, other, new)] == ["same", "conflict", "new"]


async def test_a_file_of_uses_is_kept_by_the_corridor_of_our_own_process(theatre: Theatre) -> None:
    new = NewMessage(door="rest", kind="csv_usage", sender="OR-SYS", data=USES, key="rest/OR-SYS/1")
    message = (await theatre.journal.keep(new)).message
    assert await theatre.wiring.corridor().route(message)
    assert sorted(await theatre.kept()) == ["C-1", "C-2"]
