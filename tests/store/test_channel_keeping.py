"""Channels as operators keep them: what the list says is so, each deed is noted, and a repeat changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor
from canonical.errors import FasciaError, Rejected
from canonical.parties import Facility
from cli.checks import channels as doctor_asks
from cli.our_channels import OurChannels
from store.acts import StoredActs
from store.authority import HOSPITAL
from store.outbox import StoredOutbox, Subscriber
from store.register import StoredRegister
from tests.adapters.mllp_server import Call, ack
from tests.store.channel import Lane, lane
from workers import channels
from workers.loops.channel_sender import LEASE
from workers.settings import Settings
from workers.wiring import Wiring

ME = Actor(id="mito", known_by="os_user")


def refusing(*control_ids: str) -> Any:
    async def script(call: Call, control_id: str) -> None:
        await call.say(ack(control_id, "AR" if control_id in control_ids else "AA", "no such order"))

    return script


async def ours(engine: AsyncEngine, one: Lane, home: Path) -> OurChannels:
    """The commands, with this channel in the register."""
    register = StoredRegister(engine)
    await register.load("facility", [Facility(code="NGH")], HOSPITAL)
    report = await register.load("channel", [one.channel], HOSPITAL)
    assert report.refused == ()
    return OurChannels(Wiring(Settings(home=home), engine, cast(Any, None)), ME)


async def test_the_list_names_the_backlog_its_oldest_and_what_was_said_last(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    async with lane(engine, refusing("M1"), on_dead="stand still") as one:
        commands = await ours(engine, one, tmp_path)
        await StoredOutbox(engine).subscribe(Subscriber(name="stock", url="https://stock.test/hook"))
        lab, stock = await commands.rows()
        assert (lab.channel, lab.state, lab.waiting, lab.owner) == ("LAB", "open", 0, "IT")
        assert (stock.channel, stock.kind, stock.state) == ("webhook/stock", "webhook", "open")
        await one.put("M1", "M2", "M3")
        await one.drain()
        lab, _ = await commands.rows()
        rows = await one.rows()
        assert (lab.state, lab.waiting, lab.dead, lab.oldest) == ("stands still", 2, 1, rows["M2"].put_at)
        assert lab.error == "AR: no such order"
        view = await commands.show("LAB", 10)
        assert view is not None and [row.control_id for row in view.next] == ["M1", "M2", "M3"]
        assert [row.control_id for row in view.dead_letters] == ["M1"] and view.terms["answer_within"] == "60.0"


async def test_pause_and_resume_are_noted_once_with_who_and_why(engine: AsyncEngine, tmp_path: Path) -> None:
    async with lane(engine) as one:
        commands = await ours(engine, one, tmp_path)
        paused = await commands.pause("LAB", "they update")
        assert (paused.state, paused.paused_by, paused.paused_why) == ("paused", "mito", "they update")
        again = await commands.pause("LAB", "another reason")
        assert (again.paused_why, again.paused_at) == ("they update", paused.paused_at)
        await one.put("M1")
        await one.sender().drain(asyncio.Event())
        assert one.server.ids == []
        assert (await commands.resume("LAB", "done")).state == "open"
        await commands.resume("LAB", "done")
        acts = await StoredActs(engine).acts("channel/LAB")
        assert [(act.verb, act.reason) for act in acts] == [
            ("channel resume", "done"),
            ("channel pause", "they update"),
        ]
        with pytest.raises(FasciaError, match="NONE"):
            await commands.pause("NONE", "x")


async def test_resume_tries_at_once_what_waits_for_its_time(engine: AsyncEngine, tmp_path: Path) -> None:
    async def silent(_: Call, __: str) -> None:
        return

    async with lane(engine, silent, answer_within=0.02, open_after=1, half_open_after=3600.0) as one:
        commands = await ours(engine, one, tmp_path)
        await one.put("M1")
        sender = one.sender()
        await sender.drain(asyncio.Event())
        assert await one.store.due(one.clock()) == [] and (await commands.rows())[0].state == "breaker open"
        await commands.resume("LAB", "they are back")
        await sender.close()
        one.server.script, one.channel = refusing(), one.channel.changed(answer_within=60.0)  # now it is waited for
        await one.sender().drain(asyncio.Event())
        assert one.server.ids == ["M1", "M1"] and (await commands.rows())[0].state == "open"


async def test_dead_letters_go_again_in_their_old_order_and_each_retry_is_noted(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    async with lane(engine, refusing("M1", "M2"), on_dead="go on") as one:
        commands = await ours(engine, one, tmp_path)
        await one.put("M1", "M2", "M3")
        await one.drain()
        rows = await one.rows()
        assert [row.state for row in await commands.retry([], "LAB", "", True)] == ["dead", "dead"]
        one.server.script = refusing()
        again = await commands.retry([], "", "the order is there", False)
        assert [row.control_id for row in again] == ["M1", "M2"]
        await one.drain()
        assert one.server.ids == ["M1", "M2", "M3", "M1", "M2"] and one.server.got[0] == one.server.got[3]
        (act,) = await StoredActs(engine).acts(f"message/{rows['M1'].message}")
        assert (act.verb, act.reason, act.actor.id) == ("channel retry", "the order is there", "mito")
        with pytest.raises(Rejected, match="was taken"):
            await commands.retry([rows["M1"].message], "", "", False)
        with pytest.raises(Rejected, match="no channel has"):
            await commands.retry(["nothing"], "", "", False)


async def test_the_doctor_warns_of_channels_that_do_not_send(engine: AsyncEngine, server: str, tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": tmp_path, "database_url": f"{server}/fascia".replace("+asyncpg", "")})
    async with lane(engine, refusing("M1"), on_dead="stand still") as one:
        commands = await ours(engine, one, tmp_path)
        assert (await doctor_asks(settings)).state == "ok"
        await one.put("M1")
        await one.drain()
        await commands.pause("LAB", "they update")
        found = await doctor_asks(settings)
        assert found.state == "warn" and "LAB is paused (they update)" in found.text and "stands still" in found.text


async def test_the_loop_of_our_processes_sends_by_the_registers_rows_until_it_is_told_to_stop(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    async with lane(engine) as one:
        await ours(engine, one, tmp_path)
        await one.put("M1", "M2")
        stop = asyncio.Event()
        loop = asyncio.create_task(channels.send(Wiring(Settings(home=tmp_path), engine, cast(Any, None)), stop))
        async with asyncio.timeout(120):
            while one.server.ids != ["M1", "M2"] or set((await one.states()).values()) != {"answered"}:
                await asyncio.sleep(0.05)
            stop.set()
            await loop
        assert await one.store.turn("LAB", "another", LEASE) is not None, "its lease was given back"
