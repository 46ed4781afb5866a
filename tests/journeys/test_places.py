"""What changes around a use while uses come: its place moves away, its unit does not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.journeys.conftest import Hospital
from tests.journeys.terminal import fascia
from tests.journeys.uses import Uses, hand_scanners, until, uses_at

pytestmark = pytest.mark.timeout(1500)  # the first journey starts the hospital

LABORATORY, THEATRES = "NGH-LAB", "NGH-OR"
TUBES = ("ITM-1020", "SST-1188")  # kept at the laboratory alone, and far above its reorder point
PLACE = {"code": LABORATORY, "facility": "NGH", "cost_centre": "CC-4300", "service_line": "laboratory"}


@pytest.fixture(scope="module")
async def scanners(hospital: Hospital) -> str:
    return await hand_scanners(hospital)


@pytest.fixture
async def uses(hospital: Hospital, scanners: str) -> Uses:
    return await uses_at(hospital, scanners, LABORATORY, THEATRES)


async def load(hospital: Hospital, kind: str, *rows: dict[str, Any]) -> None:
    """The hospital's master data is changed."""
    folder = hospital.stage.home / "changed"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (folder / f"{kind}.json").write_text(json.dumps(rows), encoding="utf-8")
    said = await fascia(hospital, "register", "load", str(folder), "--json")
    assert said.code == 0, said.out + said.err


async def shelf_is(uses: Uses, place: str, many: int) -> None:
    """Wait until the ERP has so many tubes at a place."""

    async def so() -> bool:
        return (await uses.shelf(place)).get(TUBES, 0) == many

    await until(so, lambda: f"{many} of {TUBES} at {place}")


async def scan(uses: Uses, number: str, **said: str) -> None:
    """A tube is scanned by whoever works at the laboratory."""
    item, lot = TUBES
    await uses.scan("/v1/usage", number, {"location": LABORATORY, "item": item, "lot": lot} | said)


async def test_a_part_of_a_piece_moves_nothing_and_waits_for_a_person(uses: Uses) -> None:
    there = uses.opening[LABORATORY][TUBES]
    await scan(uses, "half-1", amount="0.5", unit="EA")
    await scan(uses, "half-2", amount="0.005", unit="BX")
    await scan(uses, "whole-1", amount="0.02", unit="BX")
    shown = await uses.become("half-1", "half-2", "whole-1")
    assert [(row["state"], row["finding"]) for row in shown[:2]] == [("parked", "not-integral")] * 2
    assert shown[2]["state"] == "posted"
    await shelf_is(uses, LABORATORY, there - 2)


async def test_a_place_that_moves_takes_its_uses_and_its_stock_along(hospital: Hospital, uses: Uses) -> None:
    there, theatres = uses.opening[LABORATORY][TUBES], uses.opening[THEATRES].get(TUBES, 0)
    assert there > 10
    await scan(uses, "moved-1", amount="3")
    await shelf_is(uses, LABORATORY, there - 3)
    await load(hospital, "locations", PLACE | {"moved_to": THEATRES})
    try:
        await scan(
            uses, "moved-2", amount="2"
        )  # whoever scans there has not heard of it; it waits until the stock has come
        await shelf_is(uses, LABORATORY, 0)
        shown = await uses.become("moved-1", "moved-2")
        assert [(row["location"], row["state"]) for row in shown] == [(LABORATORY, "posted"), (THEATRES, "posted")]
        await shelf_is(uses, THEATRES, theatres + there - 5)
    finally:
        await load(hospital, "locations", PLACE)
