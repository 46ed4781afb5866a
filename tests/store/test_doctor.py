"""What ``fascia doctor`` reads in our own tables: it warns of what no part itself would tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import AccessTarget
from canonical.cases import Trouble
from canonical.errors import Unavailable
from canonical.messages import LEFT_IN_MAILBOX
from canonical.parties import Partner
from canonical.ports import Unmatched
from cli import checks
from stack import doctor
from stack.doctor import Finding, State
from store.cases import StoredCases
from store.marks import StoredMarks
from store.register import StoredRegister
from store.unmatched import StoredUnmatched
from tests.store.build import SEAL_KEY, change, put
from workers import __main__ as programs
from workers.settings import Settings

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def settings(server: str, tmp_path: Path) -> Settings:
    return Settings.model_validate({"home": tmp_path, "database_url": f"{server}/fascia".replace("+asyncpg", "")})


@pytest.fixture
async def ssh_port() -> AsyncIterator[int]:
    """Somebody who greets as an SFTP server does."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-test\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_file_left_in_a_mailbox_is_warned_of_until_a_person_settled_it(
    engine: AsyncEngine, settings: Settings, ssh_port: int
) -> None:
    partner = Partner(
        code="ALPINE", id="ALPINEMED", our_id="FASCIANGH", mailbox_host="127.0.0.1", mailbox_port=ssh_port
    )
    report = await StoredRegister(engine).load("partner", [partner], "hospital")
    assert report.loaded == 1, report.refused
    assert (await checks.partner_sftp(settings)).state == "ok"
    stored = StoredUnmatched(engine)
    await stored.put_unmatched(Unmatched(id="u-1", kind=LEFT_IN_MAILBOX, reason="forbidden", message="m-1", at=NOW))
    await stored.put_unmatched(Unmatched(id="u-2", kind="invoice", reason="no order", message="m-2", at=NOW))
    found = await checks.partner_sftp(settings)
    assert found.state == "warn" and "1 files in them cannot be taken in" in found.text
    assert "unmatched list" in found.fix
    await stored.set_aside("u-1", by="E-IT", why="mended")
    assert (await checks.partner_sftp(settings)).state == "ok"


@pytest.mark.parametrize(("answers", "state"), [("ok", "warn"), ("fail", "fail")])
async def test_how_many_cases_wait_for_the_erp_is_said_whether_it_answers_or_not(
    engine: AsyncEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch, answers: State, state: State
) -> None:
    async def erp(_: Settings) -> Finding:
        return Finding("erp", answers, "http://erp", "tryton 8.2")

    monkeypatch.setattr(doctor, "erp", erp)
    assert await checks.erp(settings) == await erp(settings)
    cases = StoredCases(engine, SEAL_KEY)
    for name in ("a", "b"):
        await cases.record(change(name))
        for step in ("create", "receive"):
            await cases.trouble(Trouble(case=name, system="erp", step=step, since=NOW, message="no answer"))
    await cases.trouble(Trouble(case="a", system="supplier", step="send", since=NOW, message="no answer"))
    found = await checks.erp(settings)
    assert (found.state, found.text) == (state, "tryton 8.2; 2 cases wait for it")
    assert found.fix == "fascia case list --waiting"


async def test_a_worker_that_is_stuck_is_no_worker_though_its_question_to_temporal_still_stands(
    engine: AsyncEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def polled(_: Settings, queues: Sequence[str]) -> Finding:
        return Finding("workers", "ok", "task queues", "work is being asked for")

    monkeypatch.setattr(doctor, "workers", polled)
    assert (await checks.workers(settings)).state == "ok", "workers of before this version give no signs"
    marks = StoredMarks(engine)
    for name in ("worker", "revocations", "loops"):
        await marks.beat(name)
    assert (await checks.workers(settings)).state == "ok"
    async with engine.begin() as connection:
        await connection.execute(text("update marks set at = at - interval '25 s' where name = 'alive/worker'"))
    found = await checks.workers(settings)
    assert found.state == "fail" and "no sign of life from worker for 2" in found.text and found.fix
    await marks.beat("worker")
    assert (await checks.workers(settings)).state == "ok"


async def test_every_queue_is_looked_at_also_those_the_register_names(
    engine: AsyncEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[str]] = []

    async def polled(_: Settings, queues: Sequence[str]) -> Finding:
        asked.append(queues)
        return Finding("workers", "fail", "task queues", f"nobody works on {queues[-1]}", "fascia up")

    monkeypatch.setattr(doctor, "workers", polled)
    await put(engine, "access_target", "", "idp", AccessTarget(code="idp", kind="identity", adapter="scim"))
    gone = AccessTarget(code="old", kind="directory", adapter="mfn", active=False)
    await put(engine, "access_target", "", "old", gone)
    assert "nobody works on" in (await checks.workers(settings)).text
    assert set(asked[0]) == {"fascia", "erp", "supplier", "verification", "revocation", "target-idp", "target-old"}
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:9/none")})
    await checks.workers(away)
    assert set(asked[1]) == {"fascia", "erp", "supplier", "verification", "revocation"}, "what is known without a store"


async def test_a_process_gives_signs_of_life_until_it_stops_and_goes_on_after_our_store_was_away(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Parts:
        marks = StoredMarks(engine)
        beats = 0

    class Away(StoredMarks):
        async def beat(self, name: str) -> None:
            Parts.beats += 1
            if Parts.beats == 1:
                raise Unavailable("our store does not answer", system="store")
            await super().beat(name)

    Parts.marks = Away(engine)
    monkeypatch.setattr(programs, "BEAT", 0.01)
    stop = asyncio.Event()
    running = asyncio.create_task(programs.says_it_is_alive("worker", Parts(), stop))  # type: ignore[arg-type]
    async with asyncio.timeout(120):
        while await Parts.marks.silent_for("worker") is None:
            await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(running, 60)
    assert Parts.beats > 1
