"""Billing in the demonstration: its books are on disk first, nothing is in them twice, and it can be away for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from canonical.charges import Charge
from canonical.senders import Channel
from demo import billing
from demo.billing import Books, Office, booked, come_back, go_down, net
from demo.hl7_plain import Answer, frame, framed
from gateway.charge_subjects import subject
from gateway.hl7_charges import dft
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
