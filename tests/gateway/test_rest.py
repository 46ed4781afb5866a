"""The REST door takes requisitions: 202 means kept, whatever is away behind it; the rest is refused with its place."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from canonical.purchasing import Requisition
from canonical.steps import ClaimRequest
from gateway.rest_requisitions import EXAMPLE
from tests import build
from tests.gateway.fakes import stands
from tests.gateway.rest_house import House, problem, wire


async def test_a_requisition_is_kept_started_and_acknowledged_with_its_case(house: House) -> None:
    answer = await house.post(wire())
    assert answer.status_code == 202
    case = "procure_to_pay/NGH/surgery-app/R-1"
    assert answer.json()["case"] == case
    assert answer.json()["status"] == "started"
    assert answer.headers["location"] == "/v1/requisitions/surgery-app/R-1"
    (message,) = house.messages
    assert (message.state, message.case, message.kind, message.door) == ("routed", case, "requisition", "rest")
    assert house.engine.started == [(case, message.data)], "the bytes as they came"


async def test_the_example_in_our_openapi_is_a_requisition() -> None:
    assert Requisition.model_validate(EXAMPLE, extra="forbid").lines[0].quantity.unit == "BX"


async def test_the_same_key_with_the_same_body_is_answered_alike_and_starts_nothing(house: House) -> None:
    first, second = await house.post(wire()), await house.post(wire())
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert len(house.engine.started) == 1
    assert len(house.messages) == 1


async def test_the_same_key_with_the_same_wrong_body_is_refused_alike(house: House) -> None:
    first, second = await house.post(wire(colour="red")), await house.post(wire(colour="red"))
    problem(second, 422, "data-invalid")
    assert first.json()["errors"] == second.json()["errors"]
    assert len(house.messages) == 1


async def test_the_same_key_with_another_body_is_refused_and_kept(house: House) -> None:
    await house.post(wire())
    problem(await house.post(wire(note="other")), 422, "idempotency-key-reused")
    assert [message.state for message in house.messages] == ["routed", "refused"]
    assert len(house.engine.started) == 1


async def test_two_senders_may_use_the_same_key(house: House) -> None:
    await house.post(wire())
    assert (await house.post(wire(number="R-2", source="e-buy"), by="person")).status_code == 202


async def test_the_same_requisition_under_another_key_is_the_same_case(house: House) -> None:
    await house.post(wire())
    await house.cases.record(stands("procure_to_pay/NGH/surgery-app/R-1"))
    again = await house.post(wire(), "k-2")
    assert (again.status_code, again.json()["case"]) == (202, "procure_to_pay/NGH/surgery-app/R-1")
    assert len(house.engine.started) == 1


async def test_a_repeat_of_a_cancelled_requisition_hears_that_nothing_starts_and_what_to_do(house: House) -> None:
    await house.post(wire())
    case = "procure_to_pay/NGH/surgery-app/R-1"
    await house.cases.claim(ClaimRequest(case=case, run="run-1", data=house.engine.started[0][1], as_of=build.NOW))
    ended = stands(case, business_state="cancelled", closed=True).changed(state="failed")
    await house.cases.record(ended)
    for _ in range(2):  # the same key again is answered alike
        told = problem(await house.post(wire(), "k-2"), 409, "ended")
        assert told["case"] == case
        assert "(cancelled)" in str(told["detail"]) and "under a new number" in str(told["detail"])
    assert len(house.engine.started) == 1 and [one.state for one in house.messages] == ["routed", "refused"]
    assert (await house.post(wire())).status_code == 202, "the first key is answered as it was"


async def test_a_repeat_of_what_was_delivered_and_paid_is_the_same_case(house: House) -> None:
    await house.post(wire())
    case = "procure_to_pay/NGH/surgery-app/R-1"
    await house.cases.claim(ClaimRequest(case=case, run="run-1", data=house.engine.started[0][1], as_of=build.NOW))
    await house.cases.record(stands(case, business_state="closed", closed=True).changed(state="reconciled"))
    assert (await house.post(wire(), "k-2")).json()["case"] == case


async def test_a_requisition_whose_number_a_malformed_start_holds_is_never_lost(house: House) -> None:
    case = "procure_to_pay/NGH/surgery-app/R-1"
    await house.cases.record(stands(case, revision=1, business_state="needs attention"))  # begun by Temporal's client
    house.engine.open.add(case)
    answer = await house.post(wire())
    assert (answer.status_code, answer.json()["status"]) == (202, "kept")
    (message,) = house.messages
    assert message.state == "validated" and house.engine.told_to_look == [case]
    assert not await house.intake.route(message)  # the sweep waits while that run may still take it
    house.engine.open.discard(case)  # it ended without
    assert await house.intake.route(message)
    assert house.engine.started == [(case, message.data)] and house.messages[0].state == "routed"


async def test_other_content_under_a_known_number_is_a_conflict_that_names_the_case(house: House) -> None:
    await house.post(wire())
    for _ in range(2):
        told = problem(await house.post(wire(note="two more please"), "k-2"), 409, "conflict")
        assert told["case"] == "procure_to_pay/NGH/surgery-app/R-1"
    assert [message.state for message in house.messages] == ["routed", "refused"]
    assert [one.kind for one in house.cases.unmatched.values()] == ["requisition"]
    assert len(house.engine.started) == 1


async def test_a_key_sends_for_its_own_ordering_system_only(house: House) -> None:
    told = problem(await house.post(wire(source="pharmacy-desk")), 403, "not-allowed")
    assert "source: this key is for surgery-app" in str(told["detail"])
    problem(await house.post(wire(), "k-2", by="person"), 403, "not-allowed")  # without a source it is for its own name
    assert (await house.post(wire(source="e-buy"), "k-3", by="person")).status_code == 202
    assert len(house.engine.started) == 1


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"emergency": "yes"}, "$.emergency"),
        ({"emergency": 1}, "$.emergency"),
        ({"number": 5}, "$.number"),
        ({"needed_by": 1790000000}, "$.needed_by"),
        ({"lines": [{"id": "1", "item": "ITM-1", "quantity": {"value": True}}]}, "$.lines[0].quantity.value"),
    ],
)
async def test_a_wrong_json_type_is_refused_with_its_path(house: House, changes: dict[str, object], path: str) -> None:
    told = problem(await house.post(wire(**changes)), 422, "data-invalid")
    assert told["errors"][0]["path"] == path
    assert house.engine.started == []


async def test_a_decimal_is_text_or_an_integer(house: House) -> None:
    for key, value in (("a", "10.50"), ("b", 10)):
        line = {"id": "1", "item": "ITM-1", "quantity": {"value": value}}
        assert (await house.post(wire(number=key, lines=[line]), key)).status_code == 202


async def test_a_byte_order_mark_is_named(house: House) -> None:
    told = problem(await house.post(b"\xef\xbb\xbf" + json.dumps(wire()).encode()), 400, "data-invalid")
    assert "byte order mark" in str(told["detail"])


async def test_all_that_is_wrong_is_told_at_once_each_with_its_path(house: House) -> None:
    line = {"id": "1", "item": "ITM-1", "quantity": {"value": "x"}, "colour": "blue"}
    told = problem(await house.post(wire(cost_centre="", lines=[line])), 422, "data-invalid")
    paths = [one["path"] for one in told["errors"]]
    assert "more)" in str(told["detail"]) and not any("more)" in one["detail"] for one in told["errors"])
    assert paths == ["$.cost_centre", "$.lines[0].quantity.value", "$.lines[0].colour"]


async def test_no_way_of_the_door_passes_over_a_parameter_it_does_not_read(house: House) -> None:
    """All of them, those added later too; signed requests are asked for it once they are known (test_hooks)."""
    ways = (await house.get("/openapi.json", "person")).json()["paths"]
    asked = 0
    for path, verbs in ways.items():
        for verb in verbs:
            if not path.startswith("/v1/") or path.startswith("/v1/hooks/"):
                continue
            filled = re.sub(r"\{[^}]*\}", "x", path)
            about = {"Authorization": "Bearer person", "Idempotency-Key": "k", "Content-Type": "application/json"}
            answer = await house.client.request(verb, f"{filled}?foo=1", headers=about, content=b"{}")
            if path.startswith("/v1/scim/"):  # in SCIM's own form
                assert (answer.status_code, "$.query.foo" in answer.json()["detail"]) == (400, True), f"{verb} {path}"
            else:
                told = problem(answer, 422, "data-invalid")
                assert told["errors"][0]["path"] == "$.query.foo", f"{verb} {path}"
            asked += 1
    assert asked >= 14 and house.messages == []


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders/PO1", "/v1/requisitions", "/v1/items", "/v1/unmatched"])
async def test_a_parameter_nobody_reads_is_refused_by_name_and_not_passed_over(house: House, path: str) -> None:
    told = problem(await house.get(f"{path}?foo=1", "person"), 422, "data-invalid")
    assert told["errors"][0]["path"] == "$.query.foo"
    assert (await house.get(f"{path}?foo=1", "nobody")).status_code == 401
    assert (await house.get("/v1/orders?open=true&limit=1&state=sent", "person")).status_code == 200


async def test_a_field_given_twice_is_refused_with_its_path_and_starts_nothing(house: House) -> None:
    body = json.dumps(wire()).replace('"facility":', '"facility": "WEST", "facility":', 1).encode()
    assert problem(await house.post(body), 422, "data-invalid")["errors"][0]["path"] == "$.facility"
    assert house.engine.started == []


@pytest.mark.parametrize("wrong", [{"facility": "WEST"}, {"lines": []}], ids=["another's facility", "no lines"])
async def test_what_is_refused_is_so_from_the_commit_that_keeps_it(house: House, wrong: dict[str, Any]) -> None:
    """Killed after it, the door leaves nothing the sweep would route, which knows no key's facility."""
    assert (await house.post(wire(**wrong))).status_code in (403, 422)
    (moves,) = house.journal.moves.values()
    assert [state for state, _, _ in moves] == ["refused"]


async def test_without_an_idempotency_key_nothing_is_kept(house: House) -> None:
    problem(await house.post(wire(), None), 400, "data-missing")
    assert not house.messages


@pytest.mark.parametrize(
    ("changes", "path", "pointer"),
    [
        ({"colour": "red"}, "$.colour", "#/colour"),
        ({"lines": [{"id": "1", "item": "ITM-1", "quantity": {"value": 1.5}}]}, "$.lines[0].quantity.value", None),
        (
            {"lines": [{"id": "1", "item": "ITM-1", "quantity": {"value": "1", "size": 2}}]},
            "$.lines[0].quantity.size",
            None,
        ),
        ({"lines": []}, "$.lines", "#/lines"),
        ({"facility": None}, "$.facility", "#/facility"),
    ],
)
async def test_a_wrong_field_is_refused_with_its_path_and_kept(
    house: House, changes: dict[str, object], path: str, pointer: str | None
) -> None:
    told = problem(await house.post(wire(**changes)), 422, "data-invalid")
    assert told["errors"][0]["path"] == path
    assert pointer is None or told["errors"][0]["pointer"] == pointer
    assert house.messages[0].state == "refused"
    assert not house.engine.started


@pytest.mark.parametrize("body", [b"{not json", b"\xff\xfe\x00", b"[" * 100_000])
async def test_what_is_no_json_is_refused_and_kept(house: House, body: bytes) -> None:
    problem(await house.post(body), 400, "data-invalid")
    assert (house.messages[0].data, house.messages[0].state) == (body, "refused")


async def test_no_value_of_a_refused_requisition_is_repeated(house: House) -> None:
    answer = await house.post(wire(requester="Dr. John Miller, born 1950"))
    assert answer.status_code == 422
    assert "Miller" not in answer.text
    assert "Miller" not in house.messages[0].reason


async def test_another_facilitys_requisition_is_refused_and_kept(house: House) -> None:
    problem(await house.post(wire(facility="SGH")), 403, "not-allowed")
    assert house.messages[0].state == "refused"


async def test_while_temporal_is_away_a_requisition_is_kept_and_the_sweep_starts_it(house: House) -> None:
    house.engine.away = True
    answer = await house.post(wire())
    assert (answer.status_code, answer.json()["status"]) == (202, "kept")
    (message,) = house.messages
    assert message.state == "validated"
    assert not await house.intake.route(message)
    house.engine.away = False
    assert await house.intake.route(message)
    assert len(house.engine.started) == 1
    assert house.messages[0].state == "routed"


async def test_a_case_announced_by_a_door_that_then_died_is_started_by_the_sweep(house: House) -> None:
    house.engine.away = True
    await house.post(wire())
    house.engine.away = False
    assert (await house.post(wire())).json()["status"] == "started"
    assert len(house.engine.started) == 1


async def test_while_our_journal_is_away_nothing_is_acknowledged(house: House) -> None:
    house.journal.away = True
    answer = await house.post(wire())
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"]
    assert not house.engine.started


async def test_many_at_once_under_one_key_start_one_case(house: House) -> None:
    answers = await asyncio.gather(*(house.post(wire()) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(house.messages) == 1
    assert {case for case, _ in house.engine.started} == {"procure_to_pay/NGH/surgery-app/R-1"}


@pytest.mark.parametrize(
    "odd", [{"number": "\N{THERMOMETER}" * 40}, {"needed_by": "0001-01-01"}, {"needed_by": "9999-12-31"}]
)
async def test_what_could_never_become_a_case_or_an_order_is_refused_at_the_door(
    house: House, odd: dict[str, str]
) -> None:
    """Temporal keeps 255 characters of a case's name, and an accented one counts for many; a year has four digits."""
    told = problem(await house.post(wire(**odd)), 422, "data-invalid")
    assert "number" in str(told) or "needed_by" in str(told)
    assert not house.engine.started


@pytest.mark.parametrize(
    ("headers", "path"),
    [({"Authorization": "bearer system"}, ""), ({}, "?"), ({"Authorization": "Bearer  system"}, "")],
)
async def test_a_request_in_an_unusual_form_is_answered_as_the_usual_one(
    house: House, headers: dict[str, str], path: str
) -> None:
    usual = await house.post(wire())
    odd = await house.post(wire(), path=f"/v1/requisitions{path}", **headers)
    assert (odd.status_code, odd.json(), odd.headers["location"]) == (202, usual.json(), usual.headers["location"])
    assert odd.headers["content-type"] == usual.headers["content-type"] and len(house.messages) == 1
    assert int(usual.headers["content-length"]) == len(usual.content)


async def test_an_idempotency_key_that_is_too_long_or_a_parameter_is_refused_as_it_is_described(house: House) -> None:
    told = problem(await house.post(wire(), "k" * 201), 422, "data-invalid")
    assert "header" in told["errors"][0]["path"]
    problem(await house.post(wire(), path="/v1/requisitions?urgent=1"), 422, "data-invalid")
    assert not house.messages
