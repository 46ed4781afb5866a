"""What a scanner reports is kept and taken once; what it asks is answered at once: what may not be used is stopped in the hand."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from canonical.base import Canonical
from canonical.messages import Kept
from canonical.scans import Holding, ScanFacts, UseStanding
from canonical.senders import Mapping, Mappings, Sender
from canonical.stock import StockCount
from canonical.usage import UsageEvent
from gateway.feeds import rest_counts, rest_usage
from gateway.rest_scans import ASKED, COUNTED, MANY, ONE
from gateway.routing import Routing, Taker
from tests import build
from tests.gateway.rest_house import House, problem
from workers.loops.router import Router

BARCODE = "(01)04012345000016(17)271231(10)LOT7(21)SER9"
TODAY = date(2026, 11, 2)
GLOVE = build.item("ITM-1").changed(tracking="lot")


async def routed(house: House) -> list[Any]:
    """What is taken of what was kept, in its order."""
    taken: list[Any] = []

    async def take(message: Kept, sender: Sender, noun: Canonical) -> str:
        taken.append(noun)
        return ""

    takers: dict[type[Canonical], Taker] = {UsageEvent: take, StockCount: take}
    await Router(house.journal, Routing(house.journal, house.intake, house.directory, takers), 0, 1).once()
    return taken


def fits(**facts: Any) -> ScanFacts:
    return ScanFacts.model_validate({"item": GLOVE, "location_known": True, "today": TODAY} | facts)


async def usage(house: House, body: object, key: str | None = "k-1", **more: Any) -> Any:
    return await house.post(body, key, path="/v1/usage", **more)


async def test_a_scan_is_kept_answered_with_a_place_to_look_and_becomes_a_use(house: House) -> None:
    answer = await usage(house, ONE)
    said = answer.json()
    assert (answer.status_code, said["status"], said["number"]) == (202, "kept", "k-1")
    assert answer.headers["location"] == said["href"] == f"/v1/usage/{said['message']}"
    assert (await house.get(said["href"])).json()["status"] == "kept"
    (found,) = await routed(house)
    assert (found.facility, found.source, found.number, found.sequence) == ("NGH", "surgery-app", "k-1", 1)
    assert (found.device.device, found.lot, found.serial, found.expires) == (
        "04012345000016",
        "LOT7",
        "SER9",
        date(2027, 12, 31),
    )
    assert (found.location, found.used_at) == ("OR-3", datetime(2026, 11, 22, 10, 12, tzinfo=UTC))
    house.stock.standings["NGH", "surgery-app", "k-1"] = [
        UseStanding(number="k-1", sequence=1, kind="use", state="posted", item="ITM-1", used_at=found.used_at)
    ]
    seen = (await house.get(said["href"])).json()
    assert (seen["status"], seen["uses"][0]["state"]) == ("taken", "posted")


async def test_many_scans_are_one_message_and_share_what_stands_beside_them(house: House) -> None:
    assert (await usage(house, MANY)).status_code == 202
    found = await routed(house)
    assert [(one.sequence, one.item, one.amount, one.unit, one.location) for one in found] == [
        (1, "", 1, "", "OR-3"),
        (2, "ITM-1001", 2, "BX", "OR-3"),
    ]
    assert {one.encounter for one in found} == {"visit|NGH|V-20261122-7"}
    assert {one.used_at for one in found} == {house.messages[0].at}, "when it came, where it does not say"
    assert len(house.messages) == 1 and "V-20261122-7" not in house.messages[0].model_dump_json(exclude={"data"})


async def test_the_same_key_with_the_same_body_is_one_use_and_another_body_is_refused(house: House) -> None:
    first, again = await usage(house, ONE), await usage(house, ONE)
    assert first.json() == again.json() and len(house.messages) == 1
    problem(await usage(house, MANY), 422, "idempotency-key-reused")
    problem(await usage(house, MANY), 422, "idempotency-key-reused")
    assert [one.state for one in house.messages] == ["received", "refused"]
    assert [row.kind for row in house.cases.unmatched.values()] == ["conflict"]
    problem(await house.post(COUNTED, "k-1", path="/v1/counts"), 422, "idempotency-key-reused")
    assert len(await routed(house)) == 1


async def test_a_use_is_taken_back_by_the_number_it_was_sent_under_in_its_order(house: House) -> None:
    await usage(house, MANY)
    back = {"kind": "void", "voids_number": "k-1", "voids_sequence": 2, "location": "OR-3"}
    assert (await usage(house, back, "k-2")).status_code == 202
    *_, found = await routed(house)
    assert (found.kind, found.number, found.voids_number, found.voids_sequence) == ("void", "k-2", "k-1", 2)
    use, void = house.messages
    assert use.stream == void.stream
    await usage(house, back | {"amount": "1"}, "k-3")
    *_, part = await routed(house)
    assert (found.amount_stated, part.amount_stated) == (False, True)


async def test_codes_are_those_of_the_senders_tables_and_unknown_ones_go_on_as_written(house: House) -> None:
    house.tables = [
        Mapping(sender="orplan", table="item", rows={"7": "ITM-7"}),
        Mapping(sender="orplan", table="unit", rows={"box": "BX"}),
        Mapping(sender="orplan", table="location", rows={"three": "OR-3"}),
    ]
    await usage(house, {"location": "three", "scans": [{"item": "7", "unit": "box"}, {"item": "8", "amount": "0.5"}]})
    found = await routed(house)
    assert [(one.item, one.unit, one.location) for one in found] == [("ITM-7", "BX", "OR-3"), ("8", "", "OR-3")]
    assert found[1].amount == Decimal("0.5")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"item": "A", "colour": "red"}, "$.colour"),
        ({"barcode": "(01)04012345000017"}, "$.barcode"),
        ({"scans": [{"item": "A"}, {"barcode": "hello"}]}, "$.scans[1].barcode"),
        ({"scans": [{"item": "A", "amount": 1.5}]}, "$.scans[0].amount"),
        ({"scans": [{"item": "A", "amount": "0"}]}, "$.scans[0].amount"),
        ({"scans": [{"location": "OR-3"}]}, "$.scans[0]"),
        ({"scans": []}, "$.scans"),
        ({"item": "A", "scans": [{"item": "B"}]}, "$.item"),
        ({"barcode": BARCODE, "lot": "LOT8"}, "$.lot"),
        ({"item": "A", "used_at": "2026-11-22T10:12:00"}, "$"),
        ({"kind": "void"}, "$"),
        ({"item": "A", "voids_number": "k-0"}, "$.voids_number"),
        ({"item": "A", "cost_centre": "no code"}, "$.cost_centre"),
    ],
)
async def test_what_is_not_as_agreed_is_refused_with_its_place_and_kept(house: House, body: Any, path: str) -> None:
    for _ in range(2):
        told = problem(await usage(house, body), 422, "data-invalid")
        assert told["errors"][0]["path"] == path, told
        assert "SER9" not in str(told) and "hello" not in str(told)
    assert [one.state for one in house.messages] == ["refused"]


async def test_who_may_not_is_refused_in_the_one_form(house: House) -> None:
    problem(await usage(house, ONE, key=None), 400, "data-missing")
    problem(await usage(house, ONE, key="k" * 81), 400, "data-invalid")
    problem(await usage(house, ONE, by="free"), 403, "not-allowed")
    problem(await usage(house, ONE, **{"Content-Type": "text/plain"}), 415, "parse")
    house.rows = [house.rows[0].changed(kinds=("csv_requisitions",))]
    house.scans._looked = -10.0
    problem(await usage(house, ONE), 403, "not-allowed")
    house.rows = [house.rows[0].changed(facility="SGH", kinds=("*",))]
    house.scans._looked = -10.0
    problem(await usage(house, ONE), 403, "not-allowed")
    problem(await house.get("/v1/usage/nothing"), 404, "not-found")
    assert house.messages == []


async def test_a_report_is_nobody_elses_and_of_its_own_kind(house: House) -> None:
    said = (await usage(house, ONE)).json()
    problem(await house.get(said["href"], by="free"), 404, "not-found")
    problem(await house.get(f"/v1/counts/{said['message']}"), 404, "not-found")


async def test_while_our_store_is_away_nothing_is_said_to_be_kept(house: House) -> None:
    house.journal.away = True
    problem(await usage(house, ONE), 503, "unavailable")
    house.journal.away = False
    assert (await usage(house, ONE)).status_code == 202


async def test_more_than_agreed_is_told_to_come_later(house: House) -> None:
    house.rows = [house.rows[0].changed(per_minute=12)]
    answers = [await usage(house, ONE, key=f"k-{n}") for n in range(3)]
    assert answers[0].status_code == 202
    problem(answers[-1], 429, "throttled")


async def test_the_examples_in_our_openapi_are_what_we_read(house: House) -> None:
    sender = house.rows[0]
    for example in (ONE, MANY):
        assert rest_usage.read(json.dumps(example).encode(), "k-1", build.NOW, sender, Mappings())
    assert rest_counts.read(json.dumps(COUNTED).encode(), "k-1", build.NOW, sender, Mappings())
    described = (await house.client.get("/openapi.json")).json()
    assert {"UsageIn", "ScanIn", "CountIn", "CheckIn", "Checked"} <= set(described["components"]["schemas"])
    assert {"/v1/usage", "/v1/usage/{message}", "/v1/counts", "/v1/scans/check"} <= set(described["paths"])


# ---- counts ---------------------------------------------------------------------------------------------------------------


async def test_a_count_is_kept_and_taken(house: House) -> None:
    answer = await house.post(COUNTED, path="/v1/counts")
    said = answer.json()
    assert (answer.status_code, said["href"]) == (202, f"/v1/counts/{said['message']}")
    (found,) = await routed(house)
    assert (found.location, found.source, found.number, found.kind) == ("OR-3", "surgery-app", "k-1", "par")
    assert [(one.item, one.lot, one.amount, one.unit) for one in found.lines] == [("ITM-1001", "A-77", 12, "EA")]
    assert (await house.get(said["href"])).json()["status"] == "taken"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"lines": []}, "$.lines"),
        ({"lines": [{"item": "A", "amount": "-1"}]}, "$.lines[0].amount"),
        ({"lines": [{"item": "A", "amount": "1"}, {"item": "A", "amount": "2"}]}, "$.lines[1].item"),
        ({"kind": "erp"}, "$.kind"),
        ({"location": "no such place"}, "$.location"),
    ],
)
async def test_a_count_that_cannot_be_one_is_refused_with_its_place(house: House, changes: Any, path: str) -> None:
    told = problem(await house.post(COUNTED | changes, path="/v1/counts"), 422, "data-invalid")
    assert told["errors"][0]["path"] == path, told


# ---- may this be used? ----------------------------------------------------------------------------------------------------


async def asked(house: House, **changes: Any) -> dict[str, Any]:
    answer = await house.post(ASKED | changes, None, path="/v1/scans/check")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_what_may_be_used_is_told_with_what_is_there(house: House) -> None:
    house.stock.known = fits(
        expires=date(2027, 12, 31), holdings=[Holding(lot="LOT7", on_hand=4, expires=date(2027, 12, 31))]
    )
    found = await asked(house)
    assert (found["stop"], found["item"], found["lot"], found["serial"]) == (False, "ITM-1", "LOT7", "SER9")
    assert (found["on_hand"], found["unit"], found["expires"]) == (4, GLOVE.base_unit, "2027-12-31")
    assert not {"reasons", "notes", "advice", "recalls"} & set(found)
    assert house.messages == [], "a question is kept nowhere"
    assert house.stock.asked[0].device is not None and house.stock.asked[0].facility == "NGH"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"item": None}, "unknown-item"),
        ({"recalls": ("Z-1",)}, "recalled"),
        ({"expires": date(2026, 11, 1)}, "expired"),
        ({"used_before": "k-0"}, "serial-used-before"),
    ],
)
async def test_what_may_not_be_used_is_stopped_with_its_reason(
    house: House, facts: dict[str, Any], reason: str
) -> None:
    house.stock.known = fits(**facts)
    found = await asked(house)
    assert found["stop"] and [one["code"] for one in found["reasons"]] == [reason] and found["reasons"][0]["text"]


async def test_on_its_last_day_it_may_still_be_used(house: House) -> None:
    house.stock.known = fits(expires=TODAY, holdings=[Holding(lot="LOT7", on_hand=1, expires=TODAY)])
    assert not (await asked(house))["stop"]


async def test_everything_that_is_the_matter_is_said_at_once(house: House) -> None:
    house.stock.known = fits(recalls=("Z-1", "Z-2"), expires=date(2026, 1, 1), location_known=False)
    found = await asked(house)
    assert [one["code"] for one in found["reasons"]] == ["recalled", "expired"]
    assert [one["code"] for one in found["notes"]] == ["unknown-location"] and found["recalls"] == ["Z-1", "Z-2"]


async def test_what_expires_first_is_to_be_taken_first_and_never_what_may_not_be_used(house: House) -> None:
    later = date(2027, 12, 31)
    there = [
        Holding(lot="OLD", on_hand=9, expires=date(2026, 10, 1)),
        Holding(lot="RECALLED", on_hand=9, expires=date(2026, 12, 1), recalled=True),
        Holding(lot="GONE", on_hand=-1, expires=date(2027, 1, 1)),
        Holding(lot="FIRST", on_hand=2, expires=date(2027, 2, 1)),
        Holding(lot="LOT7", on_hand=5, expires=later),
        Holding(lot="LAST", on_hand=5, expires=date(2028, 1, 1)),
    ]
    house.stock.known = fits(expires=later, holdings=there)
    found = await asked(house)
    assert (found["stop"], found["advice"]["lot"], found["advice"]["on_hand"]) == (False, "FIRST", 2)
    house.stock.known = fits(expires=date(2027, 1, 15), holdings=there)
    assert "advice" not in await asked(house), "nothing that may be used ends sooner"
    house.stock.known = fits(recalls=("Z-1",), expires=date(2027, 1, 15), holdings=there)
    assert (await asked(house))["advice"]["lot"] == "FIRST", "something must be used in its place"


async def test_an_item_may_be_asked_about_without_a_barcode_in_the_senders_words(house: House) -> None:
    house.tables = [Mapping(sender="orplan", table="item", rows={"7": "ITM-1"})]
    house.stock.known = fits()
    found = await asked(house, barcode="", item="7")
    assert house.stock.asked[0].item == "ITM-1"
    assert [one["code"] for one in found["notes"]] == ["lot-missing", "beyond-balance"] and not found["stop"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"barcode": "(01)04012345000017"}, "$.barcode"),
        ({"barcode": ""}, "$.item"),
        ({"location": ""}, "$.location"),
        ({"at": "2026-11-22T10:12:00"}, "$.at"),
        ({"colour": "red"}, "$.colour"),
    ],
)
async def test_a_question_that_cannot_be_read_is_refused_with_its_place(house: House, changes: Any, path: str) -> None:
    told = problem(await house.post(ASKED | changes, None, path="/v1/scans/check"), 422, "data-invalid")
    assert told["errors"][0]["path"] == path, told
    assert house.stock.asked == []
