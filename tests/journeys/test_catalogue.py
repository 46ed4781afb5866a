"""A supplier's catalogue through its mailbox: bad rows stand apart, and what differs is a person's to settle."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from demo.partner_mailbox import Mailbox
from demo.story_gateway import catalogue_rows
from demo.story_scene import BUYER, PHARMACY
from tests.journeys.conftest import Hospital
from tests.journeys.terminal import fascia
from tests.journeys.uses import until

pytestmark = pytest.mark.timeout(1500)  # the first of them starts the hospital


async def test_a_price_that_differs_waits_for_a_person_whom_a_key_may_stand_for(hospital: Hospital) -> None:
    ask = {"number": "T-CATALOGUE", "rows": catalogue_rows(Decimal("6.31"))}
    Mailbox(hospital.stage.home, "ALPINE").ask(kind="832", detail=ask)

    async def differs() -> list[dict[str, Any]]:
        listed = await fascia(hospital, "register", "drift", "--json")
        return [row for row in listed.json["items"] if row["theirs"] == "6.31 USD per BX"]

    (row,) = await until(differs, lambda: "what differs")
    assert (row["ours"], row["code"], row["source"]) == ("6.25 USD per BX", "ITM-1003", "ALPINE")
    bad: list[dict[str, Any]] = []

    async def all_apart() -> bool:
        apart = await fascia(hospital, "unmatched", "list", "--limit", "500", "--json")
        rows = [one for one in apart.json["items"] if one["kind"] == "catalogue_row"]
        bad[:] = [one for one in rows if one["message"] == row["message"]]
        return len(bad) >= 3

    await until(all_apart, lambda: f"three bad rows: {bad}")  # they are listed after what differs
    assert len(bad) == 3, bad

    dismiss = ("register", "drift", "dismiss", row["id"], "--reason", "the contract holds to its end", "--json")
    of_nobody, of_a_system = await asyncio.gather(
        fascia(hospital, *dismiss), fascia(hospital, *dismiss, key=hospital.stage.keys[PHARMACY.sender])
    )
    assert [(said.code, said.json["error"]["code"]) for said in (of_nobody, of_a_system)] == [(4, "not-allowed")] * 2
    done = await fascia(hospital, *dismiss, key=hospital.stage.keys[BUYER])
    assert done.code == 0, done.out + done.err
    every = await fascia(hospital, "register", "drift", "--all", "--json")
    assert [(one["state"], one["decided_by"]) for one in every.json["items"] if one["id"] == row["id"]] == [
        ("dismissed", BUYER)
    ]
