"""The surgical day is told as it was: billing that booked in its minute, a shelf that did not move; its codes have their lots."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from canonical.senders import Sender
from demo import billing, story_surgery
from demo.department import OR_SYSTEM
from demo.hl7_plain import Use
from demo.story_day import CODES, PENCIL, TROCAR, Day, Shelf, patient
from demo.story_surgery import SURGERY_SCENES
from tests.gateway.feeds.hl7_senders import nouns

OPENING: Shelf = {(PENCIL, "ESP-1"): 40, (TROCAR, "TRC-1"): 24}


async def minute(monkeypatch: pytest.MonkeyPatch, home: Path, shelf: Shelf, *booked: str) -> tuple[str, bool]:
    """What is told of billing's minute, and whether billing was to be away in it."""
    monkeypatch.setattr(story_surgery, "HANGS_UP", story_surgery.BILLING_AWAY)
    scene = SimpleNamespace(stage=SimpleNamespace(home=home, erp=SimpleNamespace(stock=lambda _: shelf)))
    day = Day(cast(Any, scene), OPENING, {}, 0, {}, Counter())
    for charge in booked:
        billing._write_down(
            billing.book_file(home),
            billing.Booked("M", charge, charge, billing.CHARGED, CODES[PENCIL], 1, "", patient(1)),
        )
    return await story_surgery._billing_away(day), billing.is_down(home)


def as_told(found: str) -> bool:
    return found in SURGERY_SCENES[0].ends.also


async def test_billings_minute_is_one_in_which_stock_moves_and_nothing_is_booked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, away = await minute(monkeypatch, tmp_path, {(PENCIL, "ESP-1"): 30, (TROCAR, "TRC-1"): 11})
    assert as_told(found) and away


async def test_a_charge_that_billing_booked_while_it_was_away_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, _ = await minute(monkeypatch, tmp_path, {(PENCIL, "ESP-1"): 30}, "C1")
    assert "1 charges booked" in found and not as_told(found)


async def test_stock_that_waited_for_billing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found, _ = await minute(monkeypatch, tmp_path, OPENING)
    assert "NO stock moved" in found and not as_told(found)


def test_a_code_of_the_operating_rooms_own_comes_with_its_lot() -> None:
    text = OR_SYSTEM.writer.charges(
        "U1", patient(2), "V-2", Use("P1-1", "ESP-P1", lot="ESP-3301"), Use("P1-2", "GZ-44")
    )
    theatre = Sender(code="OR-SYS", facility="NGH", applications=("ORSYS",), addresses=("10.1.0.0/16",), source="or")
    pencil, gauze = nouns(text.encode(), {"item": {"ESP-P1": PENCIL}}, sender=theatre)
    assert (pencil.item, pencil.lot, gauze.lot) == (PENCIL, "ESP-3301", "")
