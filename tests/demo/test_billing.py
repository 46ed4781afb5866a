"""Billing in the demonstration: its books are on disk first, nothing is in them twice, and it can be away for a while."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from canonical.charges import Charge
from canonical.senders import Channel
from demo import billing
from demo.billing import Books, Office, booked, come_back, go_down, net
from demo.hl7_plain import Answer, frame, framed
from demo.partner_script import SEED
from gateway.charge_subjects import subject
from gateway.hl7_charges import dft
from stack.home import free_port
from tests.gateway.charge_house import BILLING, ITEM, NAME, SENDER, charge, credit, kept


def text(of: Charge, channel: Channel = BILLING) -> str:
    return dft(of, ITEM, subject(of, kept(), SENDER), SENDER, channel).data.decode()


@asynccontextmanager
async def office(home: Path) -> AsyncIterator[Office]:
    one = Office(home, 0)
    await one.look()
    try:
        yield one
    finally:
        await one.close()


async def answered(port: int, *texts: str) -> list[str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = []
    for one in texts:
        writer.write(framed(one))
        said.append(Answer.read(await frame(reader)).code)
    writer.close()
    return said


async def test_a_charge_and_its_credit_are_booked_as_we_write_them(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        assert await answered(one.port, text(charge()), text(credit())) == ["AA", "AA"]
    plus, minus = booked(tmp_path)
    assert (plus.charge, plus.use, plus.kind, plus.code, plus.quantity) == (
        "0190-charge",
        "0190-use",
        "CG",
        "C-90310",
        2,
    )
    assert (plus.cost_centre, plus.of_patient) == ("CC-4100", "900001")
    assert (minus.charge, minus.use, minus.kind) == ("0190-credit", "0190-use", "CD")
    assert net(booked(tmp_path)) == {"C-90310": 0}
    assert NAME not in (tmp_path / "billing" / "booked.jsonl").read_text()


async def test_a_repeat_is_booked_once_also_after_billing_was_started_anew(tmp_path: Path) -> None:
    for _ in range(2):
        async with office(tmp_path) as one:
            assert await answered(one.port, text(charge()), text(charge())) == ["AA", "AA"]
    assert len(booked(tmp_path)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        text(credit(event_id="another")),  # a credit without its charge
        text(charge(quantity=3)),  # the same charge, otherwise
        text(charge(id="0191-charge")),  # the same use, charged again
        text(charge(id="0192-charge", event_id="new")).replace("FT1|1|0192-charge", "FT1|1|"),
        text(charge()).replace("DFT^P03^DFT_P03", "ADT^A08^ADT_A01"),
    ],
)
async def test_what_cannot_be_right_is_refused_and_not_booked(tmp_path: Path, wrong: str) -> None:
    books = Books.open(tmp_path)
    assert books.take(text(charge()))[0] == "AA"
    code, why = books.take(wrong)
    assert code == "AR" and why and len(booked(tmp_path)) == 1


async def test_while_it_is_away_nobody_listens_and_calls_are_hung_up(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        port = one.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        go_down(tmp_path, 60)
        await one.look()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        come_back(tmp_path)
        await one.look()
        assert await answered(port, text(charge())) == ["AA"]
        go_down(tmp_path, -1)
        assert not billing.is_down(tmp_path)


async def test_the_program_serves_books_and_goes_down_and_ends_when_told(tmp_path: Path) -> None:
    port = free_port(taken=set())
    program = (sys.executable, "-m", "demo.billing", "serve", "--home", str(tmp_path), "--port", str(port))
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert (await process.stdout.readline()).decode() == f"BILLING listens on mllp://127.0.0.1:{port}\n"
        assert await answered(port, text(charge())) == ["AA"] and len(booked(tmp_path)) == 1
        go_down(tmp_path, 60)
        async with asyncio.timeout(60):
            while await listens(port):
                await asyncio.sleep(0.05)
    finally:
        process.terminate()
    assert await asyncio.wait_for(process.wait(), 60) == 0


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def test_the_stage_knows_the_way_to_billing() -> None:
    rows = {row["code"]: row for row in json.loads((SEED / "department_channels.json").read_text())}
    row = {name: value for name, value in rows[billing.CODE].items() if name != "system"}
    channel = Channel.model_validate(row)
    assert rows[billing.CODE]["system"] == billing.CODE
    assert (channel.receiving_application, channel.receiving_facility) == (billing.US.application, billing.US.facility)
