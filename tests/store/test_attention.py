"""Who is on call sees in one list what is stuck, why, and what to press; and doctor says that there is something."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.messages import LEFT_IN_MAILBOX, NewMessage
from canonical.ports import Unmatched
from cli import checks
from store.acts import Act
from store.attention import StoredAttention
from store.channel_keeping import StoredChannelKeeping
from store.open_cases import StoredOpenCases
from store.stuck import Stuck
from tests.gateway.hl7_house import order
from tests.store.build import change, requisition
from tests.store.replay_house import DEAD, HERE, ME, ReplayHouse, unknown
from workers.settings import Settings


@pytest.fixture
async def ward(engine: AsyncEngine, tmp_path: Path) -> ReplayHouse:
    made = ReplayHouse(engine, tmp_path)
    await made.register()
    return made


async def stuck(ward: ReplayHouse, later: timedelta = timedelta(0)) -> dict[str, Stuck]:
    """The list by what each is."""
    found = await StoredAttention(ward.wiring.database).stuck(datetime.now(UTC) + later)
    return {one.what: one for one in found}


def act(verb: str) -> Act:
    return Act(verb=verb, about="channel/WARD-REPLIES", actor=ME, reason="they install an update")


async def test_nothing_is_stuck_where_nothing_waits_for_a_person(ward: ReplayHouse) -> None:
    await ward.sends(order("W-1", "REQ-1"))
    assert await stuck(ward, timedelta(hours=1)) == {}
    await ward.door.take(order("W-2", "REQ-2"), HERE)
    assert await stuck(ward) == {}
    assert "of WARD is kept" in (await stuck(ward, timedelta(hours=1)))["message waits"].why, "no router runs"


async def test_a_parked_stream_says_for_what_it_waits_and_how_many_behind(ward: ReplayHouse) -> None:
    await ward.sends(unknown("W-1", "REQ-1"), order("W-2", "REQ-1"))
    found = (await stuck(ward))["parked stream"]
    message = (await ward.message("W-1")).id
    assert message in found.why and "NEW-9" in found.why and "1 behind it" in found.why
    assert found.press == f"fascia journal show {message}, then journal replay, correct or skip"


async def test_dead_letters_stand_by_sender_and_kind_with_their_owner(ward: ReplayHouse) -> None:
    await ward.streams_go_on()
    await ward.sends(unknown("W-1", "REQ-1"), unknown("W-2", "REQ-2"))
    found = (await stuck(ward))["dead letter"]
    assert (found.count, found.owner, found.name) == (2, "Ward integration", (await ward.message("W-1")).id)
    assert found.press.startswith("fascia journal list --state dead --sender WARD --kind OMS^O05")
    assert "parked stream" not in await stuck(ward)


async def test_a_replay_that_came_to_nothing_is_told_until_its_messages_are_dealt_with(ward: ReplayHouse) -> None:
    await ward.sends(unknown("W-1", "REQ-1"))
    row = await ward.replays.begin(DEAD, "try")
    assert "failed replay item" not in await stuck(ward)
    late = (await stuck(ward, timedelta(hours=1)))["replay waits"]
    assert (late.name, late.count) == (row.replay, 1) and "fascia replay show" in late.press
    await ward.work()
    found = (await stuck(ward))["failed replay item"]
    assert (found.name, found.count) == (row.replay, 1) and found.why.startswith("still unreadable: ")
    await ward.replays.skip((await ward.message("W-1")).id, "ordered by phone", False)
    assert not {"failed replay item", "dead letter", "parked stream", "unmatched unreadable"} & set(await stuck(ward))


async def test_a_paused_channel_and_an_open_breaker_say_why_and_what_to_press(ward: ReplayHouse) -> None:
    engine = ward.wiring.database
    await StoredChannelKeeping(engine).pause("WARD-REPLIES", act("channel pause"))
    paused = (await stuck(ward))["paused channel"]
    assert (paused.name, paused.why) == ("WARD-REPLIES", "by mito: they install an update")
    assert paused.press == "fascia channel resume WARD-REPLIES --reason"
    await StoredChannelKeeping(engine).resume("WARD-REPLIES", act("channel resume"))
    async with engine.begin() as connection:
        opened = "UPDATE channel_states SET breaker = 'open', failures = 5, error = 'no answer', opened_at = now()"
        await connection.execute(text(opened))
    found = (await stuck(ward))["open breaker"]
    assert (found.name, found.why) == ("WARD-REPLIES", "5 failures in a row: no answer")


async def test_a_file_that_lies_kept_and_is_not_brought_on_is_a_stalled_folder(ward: ReplayHouse) -> None:
    new = NewMessage(door="folder", data=b"a", sender="ALPINE", kind="csv_catalogue", channel="IN")
    await ward.journal.keep(new.model_copy(update={"at": datetime.now(UTC) - timedelta(hours=2)}))
    found = (await stuck(ward))["stalled folder"]
    assert (found.name, found.count) == ("IN", 1) and "csv_catalogue of ALPINE" in found.why


async def test_what_is_unmatched_stands_by_its_kind_with_what_that_asks_for(ward: ReplayHouse) -> None:
    now = datetime.now(UTC)
    for kind, name in ((LEFT_IN_MAILBOX, "m"), ("run", "r"), ("invoice", "i"), ("invoice", "j")):
        row = Unmatched(id=f"{kind}-{name}", kind=kind, reason="why", message="m-1", at=now)
        await ward.wiring.cases.put_unmatched(row)
    await ward.sends(order("W-1", "REQ-1"))
    await ward.door.take(order("W-1", "REQ-2"), HERE)
    found = await stuck(ward)
    assert (
        found["unmatched invoice"].count == 2
        and "fascia unmatched attach invoice-i" in found["unmatched invoice"].press
    )
    assert found["unmatched file"].press.endswith("fascia unmatched dismiss mailbox_file-m")
    assert "end that run" in found["unmatched run"].press
    assert found["unmatched conflict"].press.startswith("fascia journal accept ")


async def test_cases_that_need_a_person_are_counted_and_doctor_says_where_to_look(
    ward: ReplayHouse, server: str, tmp_path: Path
) -> None:
    url = f"{server}/fascia".replace("+asyncpg", "")
    settings = Settings.model_validate({"home": tmp_path, "database_url": url})
    ok = await checks.attention(settings)
    assert (ok.state, ok.text) == ("ok", "nothing waits for a person")
    await ward.wiring.cases.record(change("procure_to_pay/NGH/ward-desk/REQ-1", 1))
    async with ward.wiring.database.begin() as connection:
        await connection.execute(text("UPDATE cases SET stopped = 'stopped outside'"))
    await ward.sends(unknown("W-1", "REQ-2"))
    assert (await stuck(ward))["case"].press == "fascia case list --attention"
    told = await checks.attention(settings)
    assert (told.state, told.fix) == ("warn", "fascia attention list")
    assert told.text == "1 case, 1 parked stream, 1 unmatched unreadable"


async def test_an_order_that_was_numbered_and_that_no_run_claimed_has_not_begun(ward: ReplayHouse) -> None:
    asked = requisition()
    async with ward.wiring.database.begin() as connection:
        rows = "INSERT INTO order_numbers (\"case\", part, facility, number) VALUES (:case, '1', 'NGH', 'PO000001')"
        await connection.execute(text(rows), {"case": asked.case_id})
    cases: StoredOpenCases = ward.wiring.cases
    assert await cases.not_begun([asked.case_id, "c"]) == ["purchase_order/NGH/PO000001"]
    async with ward.wiring.database.begin() as connection:
        claim = (
            'INSERT INTO claims ("case", process, facility, source, number, at)'
            " VALUES ('purchase_order/NGH/PO000001', 'purchase_order', 'NGH', 'fascia', 'PO000001', now())"
        )
        await connection.execute(text(claim))
    assert await cases.not_begun([asked.case_id]) == [] and await cases.not_begun([]) == []
