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
from cli.checks_programs import PROGRAMS
from stack import doctor, questions
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


PROGRAM_OF = {"workers": "worker", "revocations": "revocations", "loops": "loops"}


async def found(settings: Settings) -> dict[str, Finding]:
    return {name: await check(settings) for name, check in PROGRAMS.items()}


def ill(found: dict[str, Finding]) -> list[str]:
    return [name for name, one in found.items() if one.state != "ok"]


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """When somebody last asked Temporal for work, by queue; of every other queue nobody ever did."""
    polls = dict.fromkeys(("fascia", "erp", "supplier", "verification", "revocation", "target-idp"), datetime.now(UTC))

    async def connect(_: Settings) -> None: ...

    async def last_poll(_: None, queue: str) -> datetime | None:
        return polls.get(queue)

    monkeypatch.setattr(questions, "connect", connect)
    monkeypatch.setattr(questions, "last_poll", last_poll)
    return polls


@pytest.fixture
async def served(engine: AsyncEngine, settings: Settings, polls: dict[str, datetime]) -> Settings:
    """All of ours run."""
    assert polls
    await put(engine, "access_target", "", "idp", AccessTarget(code="idp", kind="identity", adapter="scim"))
    for name in PROGRAM_OF.values():
        await StoredMarks(engine).beat(name)
    return settings.model_copy(update={"temporal_address": "127.0.0.1:9"})


async def test_only_the_part_revocations_is_ill_when_nobody_serves_their_queue_and_only_workers_when_theirs(
    served: Settings, polls: dict[str, datetime]
) -> None:
    assert ill(await found(served)) == []
    asked = polls.pop("revocation")
    told = await found(served)
    assert ill(told) == ["revocations"]
    assert (told["revocations"].part, told["revocations"].text) == ("revocations", "nobody works on revocation")
    assert "python -m workers revocations" in told["revocations"].fix
    polls["revocation"] = asked
    for queue in ("fascia", "target-idp"):
        asked = polls.pop(queue)
        told = await found(served)
        assert ill(told) == ["workers"] and told["workers"].text == f"nobody works on {queue}"
        polls[queue] = asked


@pytest.mark.parametrize("part", list(PROGRAM_OF))
async def test_a_program_that_is_stuck_is_told_by_its_own_part_though_its_question_to_temporal_still_stands(
    engine: AsyncEngine, served: Settings, part: str
) -> None:
    program = PROGRAM_OF[part]
    late = text("update marks set at = at - interval '25 s' where name = :name")
    async with engine.begin() as connection:
        await connection.execute(late, {"name": f"alive/{program}"})
    told = await found(served)
    assert ill(told) == [part] and f"no sign of life from {program} for " in told[part].text and told[part].fix
    await StoredMarks(engine).beat(program)
    assert ill(await found(served)) == []


async def test_of_programs_that_never_gave_a_sign_of_life_only_the_loops_are_missed(
    engine: AsyncEngine, served: Settings
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("delete from marks"))
    told = await found(served)
    assert ill(told) == ["loops"] and "python -m workers loops" in told["loops"].fix


async def test_every_queue_is_looked_at_also_those_the_register_names(
    engine: AsyncEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, set[str]] = {}

    async def polled(_: Settings, queues: Sequence[str], *, part: str = "workers") -> Finding:
        asked[part] = set(queues)
        return Finding(part, "fail", "task queues", f"nobody works on {queues[-1]}", "fascia up")

    monkeypatch.setattr(doctor, "workers", polled)
    await put(engine, "access_target", "", "idp", AccessTarget(code="idp", kind="identity", adapter="scim"))
    gone = AccessTarget(code="old", kind="directory", adapter="mfn", active=False)
    await put(engine, "access_target", "", "old", gone)
    assert "nobody works on" in (await found(settings))["workers"].text
    always = {"fascia", "erp", "supplier", "verification"}
    assert asked == {"workers": {*always, "target-idp", "target-old"}, "revocations": {"revocation"}}
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:9/none")})
    assert (await found(away))["loops"].fix == "see database"
    assert asked == {"workers": always, "revocations": {"revocation"}}, "what is known without a store"


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
