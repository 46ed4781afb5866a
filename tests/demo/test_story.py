"""The story has all its cases, and an ending that differs from what was told is never passed over."""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from demo import __main__ as program
from demo import report
from demo.erp_acts import Document, ErpPeople, OrderDocuments
from demo.partner_state import Billed, LineHeld, Memory, OrderHeld, Remitted, state_file
from demo.story import STORY
from demo.story_doors import Doors
from demo.story_outside import Ending, Outside
from demo.story_play import Play, Played
from demo.story_scene import Scene

KEYS = {"id", "process", "story", "expected_end", "found_end", "erp_documents", "history_events", "seconds"}


class Auditor:
    """An ERP that holds what a test says."""

    def __init__(self, **held: OrderDocuments) -> None:
        self.held = held
        self.counted: dict[str, int] = {}

    def documents(self, order: str) -> OrderDocuments:
        return self.held.get(order, OrderDocuments(order))

    def orders(self) -> dict[str, int]:
        return self.counted


class Lookups:
    """Doors that know what a test says."""

    def __init__(self, known: dict[str, dict[str, Any]]) -> None:
        self.known = known

    async def look(self, _: str, path: str) -> dict[str, Any] | None:
        return self.known.get(path)


def paid(order: str = "PO1", **more: Any) -> OrderDocuments:
    return OrderDocuments(
        order,
        purchases=(Document("purchase", "1", "done"),),
        receipts=(Document("receipt", "1", "done"),),
        invoices=(Document("invoice", "1", "paid", amount=Decimal("87.00")),),
        payments=(
            Document("payment", "1", "failed", amount=Decimal("80.00")),
            Document("payment", "2", "succeeded", amount=Decimal("87.00")),
        ),
        **more,
    )


def outside(home: Path, **held: OrderDocuments) -> tuple[Outside, Auditor]:
    auditor = Auditor(**held)
    return Outside(cast(ErpPeople, auditor), home), auditor


def test_every_case_the_story_promises_is_in_it_once() -> None:
    assert [scenario.id for scenario in STORY] == [
        "three_lines",
        "small_order",
        "refused",
        "approver_on_leave",
        "unknown_item",
        "blocked_supplier",
        "back_order",
        "price_change",
        "substitution",
        "over_invoice",
        "duplicate_invoice",
        "unknown_order",
        "silent_supplier",
        "cancelled_after_receipt",
        "spoilt_x12",
        "asked_by_hl7",
        "gateway_killed",
        "unknown_code",
        "spoilt_catalogue",
        "surgical_day",
        "hiring_wave",
        "worker_killed",
        "erp_stopped",
    ]


async def test_an_ending_is_counted_in_the_erp_and_in_the_suppliers_books(tmp_path: Path) -> None:
    bill = Billed(number="A1", dated="20260101", order="PO1", total=Decimal("87.00"), segments=[], times=1)
    line = LineHeld(
        number="1", catalogue="A", quantity=Decimal(5), unit="BX", price=Decimal(1), ordered_price=Decimal(1)
    )
    order = OrderHeld(
        number="PO1", dated="20260101", ship_to="X", reference="S", times=2, lines=[line], invoices=[bill]
    )
    remitted = Remitted(reference="R", invoice="A1", amount=Decimal("87.00"), known=True)
    other = Remitted(reference="R", invoice="B9", amount=Decimal("5.00"), known=False)
    Memory(orders={"PO1": order}, remitted=[remitted, other]).save(state_file(tmp_path, "ALPINE"))
    asked, _ = outside(tmp_path, PO1=paid())
    found, documents = await asked.ending("closed", ["PO1"])
    assert found == Ending("closed", 1, 1, 2, 1, 1, Decimal("87.00"), Decimal("87.00"))
    assert [document["kind"] for document in documents] == ["purchase", "receipt", "invoice", "payment", "payment"]


async def test_a_doubled_purchase_is_another_ending(tmp_path: Path) -> None:
    two = replace(paid(), purchases=(Document("purchase", "1", "done"), Document("purchase", "2", "processing")))
    asked, _ = outside(tmp_path, PO1=two)
    found, _ = await asked.ending("closed", ["PO1"])
    assert found.purchases == 2
    assert "purchases 2" in found.text()


async def test_an_order_nobody_asked_for_spoils_the_verdict(tmp_path: Path) -> None:
    asked, auditor = outside(tmp_path)
    play = object.__new__(Play)
    play._outside, play._scenes = asked, []
    play.doors = cast(Doors, Lookups({}))
    auditor.counted = {"PO1": 1, "PO7": 1}
    played = [Played(STORY[0], STORY[0].ends.text())]
    assert played[0].as_told
    await play._nothing_else({"PO1": 1}, played)
    assert not played[0].as_told
    assert "PO7 1 times" in played[0].found


@pytest.mark.parametrize(
    ("requisition", "times", "passes"), [("R-77", 1, True), ("R-77", 2, False), ("P004-refused-1", 1, False)]
)
async def test_what_somebody_else_orders_while_the_story_plays_is_no_order_nobody_asked_for(
    tmp_path: Path, requisition: str, times: int, passes: bool
) -> None:
    asked, auditor = outside(tmp_path)
    nothing = cast(Any, None)
    quiet = Scene(stage=nothing, doors=nothing, outside=asked, tag="P004-refused")  # it made no requisition it knows of
    play = object.__new__(Play)
    play._outside, play._scenes = asked, [quiet]
    play.doors = cast(Doors, Lookups({"/v1/orders/PO7": {"parent": f"procure_to_pay/NGH/or-desk/{requisition}"}}))
    auditor.counted = {"PO7": times}
    played = [Played(STORY[0], STORY[0].ends.text())]
    await play._nothing_else({}, played)
    assert played[0].as_told is passes


def test_the_report_has_every_key_in_every_case(tmp_path: Path) -> None:
    path = report.write(tmp_path, [Played(scenario, "nothing") for scenario in STORY])
    rows = json.loads(path.read_text())["cases"]
    assert len(rows) == len(STORY)
    assert all(set(row) == KEYS for row in rows)


def test_a_case_that_ended_otherwise_is_shown_with_both_endings() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(report.cases([Played(STORY[1], "closed; nothing outside", shows="closed")]))
    text = console.export_text()
    assert "NO: closed; nothing outside" in text
    assert "expected: closed; purchases 1" in text


def test_an_unknown_scene_is_refused_by_name() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no scene nonsense"):
        program.chosen("nonsense,refused")
    assert [scenario.id for scenario in program.chosen("refused")] == ["refused"]
