"""Bundles: a transaction is taken whole or not at all, whatever ends us in between; a batch is taken entry by entry."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from canonical.errors import Unavailable
from canonical.messages import Move
from formats import fhir
from tests.formats.fhir_files import changed, sample, tree
from tests.gateway.fhir_house import REQUEST, USAGE, House, bundle, entry, outcome

WHOLE = sample("r5_Bundle")
URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.door.close()
    await made.client.aclose()


def responses(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert fhir.check(fhir.read(answer.content, fhir.R5)) == []
    return [one["response"] for one in answer.json()["entry"]]


async def test_a_transaction_is_answered_entry_by_entry_and_each_can_be_read(house: House) -> None:
    answer = await house.post(WHOLE, "r5")
    told = responses(answer)
    assert answer.json()["type"] == "transaction-response"
    assert [one["status"] for one in told] == ["201 Created"] * 3
    request, delivery, _ = [(await house.get(f"r5/{one['location']}")).json() for one in told]
    assert request["quantity"]["value"] == 4.0
    assert delivery["basedOn"] == [{"reference": f"SupplyRequest/{request['id']}"}]
    assert '"value":4.0' in (await house.get(f"r5/{told[1]['location']}")).text
    assert house.states() == [
        ("r5/Bundle", "routed"),
        ("r5/SupplyRequest", "received"),
        ("r5/SupplyDelivery", "received"),
        ("r5/DeviceUsage", "received"),
    ]
    assert house.messages[0].data == WHOLE


async def test_a_transaction_sent_again_is_answered_as_the_first_time(house: House) -> None:
    first = await house.post(WHOLE, "r5")
    again = await house.post(WHOLE, "r5")
    assert responses(first)[:2] == responses(again)[:2]
    assert responses(again)[2]["status"] == "200 OK"  # it asked for it only if there was none
    assert len(house.messages) == 4
    await house.router().once()
    assert len(house.engine.started) == 1


@pytest.mark.parametrize(
    ("bad", "status", "place"),
    [
        (entry(changed("r5_SupplyDelivery", status="bogus")), 422, "Bundle.entry[1].resource.status"),
        (entry(changed("r5_SupplyDelivery", foo=1)), 400, "Bundle.entry[1].resource.foo"),
        (entry({"resourceType": "Patient", "active": True}), 422, "Bundle.entry[1].resource"),
        (entry(USAGE, "SupplyRequest"), 400, "Bundle.entry[1].request.url"),
        ({"request": {"method": "DELETE", "url": "SupplyRequest/1"}}, 422, "Bundle.entry[1].request.method"),
        (entry(REQUEST), 422, "Bundle.entry[1].resource.identifier"),
        (
            entry(changed("r5_SupplyDelivery", basedOn=[{"reference": URN}])),
            400,
            "Bundle.entry[1].resource.basedOn[0].reference",
        ),
        (
            entry(changed("r5_SupplyDelivery", basedOn=[{"reference": "SupplyRequest?identifier=1"}])),
            400,
            "Bundle.entry[1].resource.basedOn[0].reference",
        ),
    ],
)
async def test_one_bad_entry_refuses_the_whole_transaction_and_is_named(
    house: House, bad: dict[str, Any], status: int, place: str
) -> None:
    said = outcome(await house.post(bundle(entry(REQUEST), bad, entry(USAGE)), "r5"), status)
    assert said["expression"] == [place]
    assert house.states() == [("r5/Bundle", "refused")]
    assert (await house.post(bundle(entry(REQUEST), entry(USAGE)), "r5")).status_code == 200


async def test_every_bad_entry_is_said_at_once(house: House) -> None:
    bad = [entry(changed("r5_SupplyRequest", **wrong)) for wrong in ({"status": "x"}, {"quantity": None})]
    answer = await house.post(bundle(*bad), "r5")
    outcome(answer, 400)
    assert [one["expression"][0].partition(".resource")[0] for one in answer.json()["issue"]] == [
        "Bundle.entry[0]",
        "Bundle.entry[1]",
    ]


async def test_an_entry_that_is_known_otherwise_refuses_all_and_is_listed(house: House) -> None:
    await house.post(REQUEST)
    told = bundle(entry(USAGE), entry(REQUEST.replace(b"1.10", b"9")))
    for _ in range(2):
        said = outcome(await house.post(told, "r5"), 409, "conflict")
        assert said["expression"] == ["Bundle.entry[1].resource"]
    assert house.listed() == ["conflict"]
    assert house.states() == [("r5/SupplyRequest", "received"), ("r5/Bundle", "refused")]


async def test_a_transaction_cut_short_has_no_effect_until_it_comes_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(_: Sequence[Move]) -> None:
        raise Unavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(house.journal, "mark_many", killed)
        outcome(await house.post(WHOLE, "r5"), 503, "transient")
    assert {state for _, state in house.states()} == {"refused"}
    await house.router().once()
    assert house.engine.started == []
    found = await house.ask("GET", "r5/SupplyRequest", params={"identifier": "W-2026-0201"})
    assert found.json()["total"] == 0
    told = responses(await house.post(WHOLE, "r5"))
    assert [one["status"] for one in told] == ["201 Created"] * 3
    assert [state for _, state in house.states()] == ["routed", "received", "received", "received"]


async def test_an_entry_of_a_transaction_cut_short_counts_when_it_comes_by_itself_in_whatever_layout(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(_: Sequence[Move]) -> None:
        raise Unavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(house.journal, "mark_many", killed)
        outcome(await house.post(bundle(entry(REQUEST)), "r5"), 503, "transient")
    assert (await house.post(fhir.write(dict(reversed(fhir.parse(REQUEST).items()))))).status_code == 201
    await house.router().once()
    assert len(house.engine.started) == 1


async def test_an_entry_that_comes_by_another_way_in_between_is_no_second_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_yet(_: str) -> list[Any]:
        return []

    await house.post(REQUEST)
    with monkeypatch.context() as patch:
        patch.setattr(house.journal, "kept_under", not_yet)
        assert responses(await house.post(bundle(entry(REQUEST)), "r5"))[0]["status"] == "201 Created"
        other = bundle(entry(USAGE), entry(REQUEST.replace(b"1.10", b"9")))
        outcome(await house.post(other, "r5"), 409, "conflict")
    usage = next(one for one in house.messages if one.kind == "r5/DeviceUsage")
    assert usage.state == "refused" and house.listed() == ["conflict"]
    await house.router().once()
    assert len(house.engine.started) == 1


async def test_the_same_thing_twice_in_one_bundle_is_two_things(house: House) -> None:
    twice = tree("r5_DeviceUsage", identifier=None)
    told = responses(await house.post(bundle(entry(twice), entry(twice)), "r5"))
    assert told[0]["location"] != told[1]["location"]
    assert responses(await house.post(bundle(entry(twice), entry(twice)), "r5")) == told
    assert len(house.messages) == 3


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (bundle(kind="searchset"), 400, "structure"),
        (json.dumps({"resourceType": "Bundle", "type": "searchset"}).encode(), 400, "value"),
        (REQUEST, 400, "value"),
        (b"{", 400, "structure"),
        (bundle(*[entry({"resourceType": "DeviceUsage"})] * 201), 413, "too-costly"),
    ],
)
async def test_what_is_no_bundle_we_take_is_refused_whole(house: House, data: bytes, status: int, code: str) -> None:
    outcome(await house.post(data, "r5"), status, code)
    assert [state for _, state in house.states()] == ["refused"]


async def test_a_batch_takes_what_is_good_and_says_of_each_other_why(house: House) -> None:
    bad = entry(changed("r5_SupplyDelivery", status="Anna"))
    changes = {"request": {"method": "PUT", "url": "SupplyRequest/1"}, "resource": json.loads(REQUEST)}
    answer = await house.post(bundle(entry(REQUEST), bad, changes, entry(USAGE), kind="batch"), "r5")
    told = responses(answer)
    assert [one["status"] for one in told] == [
        "201 Created",
        "422 Unprocessable Entity",
        "405 Method Not Allowed",
        "201 Created",
    ]
    assert told[1]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1].resource.status"]
    assert told[2]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[2].request.method"]
    assert "Anna" not in answer.text
    assert len([one for one in house.messages if one.state == "received"]) == 3  # the batch itself is one


async def test_an_empty_transaction_is_answered_by_an_empty_one(house: House) -> None:
    data = json.dumps({"resourceType": "Bundle", "type": "transaction"}).encode()
    assert (await house.post(data, "r5")).json() == {"resourceType": "Bundle", "type": "transaction-response"}
