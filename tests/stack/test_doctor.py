"""``fascia doctor`` on a machine where nothing runs, and against parts that somebody else started."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.app import run
from stack import doctor, questions
from stack.doctor import Finding
from workers.settings import Settings

PARTS = {"database", "temporal", "temporal_ui", "erp", "hr", "partner_sftp", "api", "mllp", "workers", "channels"}
PARTS |= {"revocations", "loops", "senders", "folders", "usage", "attention"}


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FASCIA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FASCIA_API_PORT", "9")  # the discard port: nobody answers there
    return tmp_path / "home"


def _doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    code = run(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    return code, {check["part"]: check for check in checks}


@pytest.mark.usefixtures("empty")
def test_every_part_is_asked_and_each_failure_names_its_fix(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = _doctor(capsys)
    assert code == 1 and set(found) == PARTS
    assert found.pop("hr")["text"] == "no HR system is asked"  # none need be
    assert {check["state"] for check in found.values()} <= {"warn", "fail"}
    assert all(check["fix"] and check["text"] for check in found.values())
    assert "fascia up" in found["database"]["fix"]


@pytest.mark.usefixtures("empty")
def test_people_see_the_same_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert all(part in shown for part in PARTS) and "no address known" in shown


async def test_a_part_that_somebody_else_started_is_asked_at_its_address(tmp_path: Path) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readline()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(page, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Settings(home=tmp_path, temporal_ui_url=f"http://127.0.0.1:{port}")
    async with server:
        assert (await doctor.temporal_ui(settings)).state == "ok"
    assert (await doctor.temporal_ui(settings)).state == "fail"


async def test_a_check_that_breaks_is_itself_a_finding(tmp_path: Path) -> None:
    async def broken(_: Settings) -> Finding:
        raise KeyError("mllp")

    (found,) = await doctor.examine(Settings(home=tmp_path), {"mllp": broken})
    assert (found.part, found.state) == ("mllp", "fail") and "KeyError" in found.text


async def test_no_password_is_shown(tmp_path: Path) -> None:
    url = "postgresql+asyncpg://fascia:hunter2@127.0.0.1:9/fascia"
    found = await doctor.database(Settings(home=tmp_path, database_url=url))
    assert found.state == "fail" and found.address == "127.0.0.1:9/fascia" and "hunter2" not in repr(found)


async def test_a_part_that_takes_connections_and_says_nothing_is_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PATIENCE", 0.2)
    held: list[asyncio.StreamWriter] = []

    async def frozen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(frozen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    given = dict.fromkeys(("erp_url", "hr_url"), f"http://127.0.0.1:{port}")
    given |= {"database_url": f"postgresql+asyncpg://f@127.0.0.1:{port}/f"}
    settings = Settings.model_validate({"home": tmp_path, **given})
    for check in (doctor.erp, doctor.hr, doctor.database):
        found = await check(settings)
        assert found.state == "fail" and "imeout" in found.text and not found.text.strip().endswith(":"), found
    for writer in held:
        writer.close()
    server.close()


async def test_a_queue_nobody_asks_is_named_among_those_that_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    polls = {"fascia": now, "revocation": None, "target-idp": now - timedelta(minutes=3), "target-rota": now}

    async def connect(_: Settings) -> None: ...

    async def last_poll(_: None, queue: str) -> datetime | None:
        return polls[queue]

    monkeypatch.setattr(questions, "connect", connect)
    monkeypatch.setattr(questions, "last_poll", last_poll)
    settings = Settings.model_validate({"home": tmp_path, "temporal_address": "127.0.0.1:9"})
    found = await doctor.workers(settings, tuple(polls))
    assert (found.state, found.text) == ("fail", "nobody works on revocation, target-idp")
    assert "worker's log" in found.fix and "target-rota" in found.address
    polls |= {"target-idp": now}
    assert "python -m workers revocations" in (await doctor.workers(settings, tuple(polls))).fix
    polls |= {"revocation": now}
    assert (await doctor.workers(settings, tuple(polls))).state == "ok"
    polls |= dict.fromkeys(polls)
    assert (await doctor.workers(settings, tuple(polls))).fix == "fascia up"
