"""The FHIR door: a resource is kept as it came before it is answered, the same again is the same, and every fault is said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from canonical.messages import AS_NEW
from canonical.senders import Sender
from formats import fhir
from tests.formats.fhir_files import PUBLIC, RESOURCES, changed, kind, release, sample, tree
from tests.gateway.fhir_house import FHIR, REQUEST, USAGE, WARD, House, bundle, entry, outcome

ORDERS = "http://ward.northfield.example/orders"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.door.close()
    await made.client.aclose()


@pytest.mark.parametrize("name", RESOURCES)
async def test_a_resource_is_kept_as_it_came_and_read_back_exactly(house: House, name: str) -> None:
    base, of = name.split("_")
    created = await house.post(sample(name), f"{base}/{of}")
    assert created.status_code == 201, created.text
    (kept,) = house.messages
    assert (kept.data, kept.kind, kept.sender, kept.door) == (sample(name), f"{base}/{of}", "WARD", "fhir")
    read = await house.get(created.headers["location"])
    assert (read.status_code, read.content) == (200, created.content)
    assert read.headers["etag"] == 'W/"1"' and "last-modified" in read.headers
    assert fhir.check(fhir.read(read.content, release(name))) == []
    shown = fhir.parse(read.content)
    sent = fhir.parse(sample(name))
    assert fhir.same({**shown, "id": 0, "meta": 0}, {**sent, "id": 0, "meta": 0})
    assert shown["id"] in created.headers["location"] and shown["meta"]["versionId"] == "1"


async def test_a_quantity_keeps_its_zeros_and_forty_digits(house: House) -> None:
    forty = "1234567890123456789012345678901234567890.10"
    for number in ("1.10", forty):
        data = changed("r5_SupplyDelivery", suppliedItem=[{"quantity": {"value": fhir.Exact(number), "code": "BX"}}])
        data = data.replace(b"D-31", f"D-{len(number)}".encode())
        created = await house.post(data, "r5/SupplyDelivery")
        read = await house.get(created.headers["location"])
        assert f'"value":{number},' in created.text and f'"value":{number},' in read.text


async def test_a_moment_no_calendar_of_ours_has_keeps_no_resource_out(house: House) -> None:
    data = changed("r5_SupplyRequest", authoredOn="0001-01-01T00:00:00+14:00")
    assert (await house.post(data, "r5/SupplyRequest")).status_code == 201
    assert house.messages[0].occurred is None


async def test_the_same_again_is_answered_as_the_first_time(house: House) -> None:
    first, again = await house.post(REQUEST), await house.post(REQUEST)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert len(house.messages) == 1


async def test_the_same_in_another_layout_is_the_same(house: House) -> None:
    first = await house.post(REQUEST)
    told = dict(reversed(fhir.parse(REQUEST).items()))
    again = await house.post(fhir.write(told))
    assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
    await house.router().once()
    assert [state for _, state in house.states()] == ["routed", "routed"]
    assert len(house.engine.started) == 1 and house.listed() == []


async def test_other_content_under_a_known_identifier_is_for_a_person(house: House) -> None:
    first = await house.post(REQUEST)
    more = REQUEST.replace(b"1.10", b"1.1")
    for _ in range(2):
        outcome(await house.post(more), 409, "conflict")
    assert house.listed() == ["conflict"]
    (row,) = house.cases.unmatched.values()
    assert row.facility == "NGH" and "Ward integration" in row.reason
    assert [state for _, state in house.states()] == ["received", "refused"]
    assert (await house.get(first.headers["location"])).content == first.content


async def test_other_content_that_a_person_accepted_or_passed_over_is_no_conflict_again(house: House) -> None:
    await house.post(REQUEST)
    more = REQUEST.replace(b"1.10", b"1.1")
    await house.post(more)
    message = house.messages[1].id
    await house.journal.mark(message, "skipped", reason="passed over by mito (os_user): a test of theirs")
    outcome(await house.post(more), 409, "conflict")
    assert house.messages[1].state == "skipped" and len(house.listed()) == 1
    await house.journal.mark(message, "routed", reason=f"{AS_NEW} by mito (os_user)")
    assert (await house.post(more)).status_code == 201
    assert house.messages[1].state == "routed" and len(house.listed()) == 1


async def test_what_has_no_identifier_is_known_by_its_key_or_its_bytes(house: House) -> None:
    data = changed("r5_DeviceUsage", identifier=None)
    places = [
        (await house.post(data, "r5/DeviceUsage", **more)).headers["location"]
        for more in ({}, {}, {"Idempotency_Key": "1"}, {"Idempotency_Key": "1"}, {"Idempotency_Key": "2"})
    ]
    assert places[0] == places[1] and places[2] == places[3] and len(set(places)) == 3
    other = data.replace(b"completed", b"active")
    outcome(await house.post(other, "r5/DeviceUsage", Idempotency_Key="1"), 409, "conflict")


async def test_nothing_is_created_where_it_exists_already(house: House) -> None:
    asked = f"identifier={ORDERS}|W-2026-0117"
    first = await house.post(REQUEST, If_None_Exist=asked)
    assert first.status_code == 201
    other = REQUEST.replace(b"1.10", b"7")
    again = await house.post(other, If_None_Exist=asked)
    assert (again.status_code, again.headers["location"]) == (200, first.headers["location"])
    assert len(house.messages) == 1
    same_value = REQUEST.replace(ORDERS.encode(), b"http://elsewhere.example")
    assert (await house.post(same_value)).status_code == 201
    outcome(await house.post(other, If_None_Exist="identifier=W-2026-0117"), 412, "multiple-matches")
    outcome(await house.post(other, If_None_Exist="status=active"), 400, "not-supported")
    assert [one.state for one in house.messages] == ["received", "received", "refused"]


async def test_a_resource_is_found_by_its_identifier_and_by_nothing_else(house: House) -> None:
    await house.post(REQUEST)
    await house.post(REQUEST, by="other")
    for asked, total in (
        (f"{ORDERS}|W-2026-0117", 1),
        ("W-2026-0117", 1),
        ("|W-2026-0117", 0),
        ("LOCAL-7", 0),
        (f"nothing,{ORDERS}|W-2026-0117", 1),
        ("W\\,1", 0),
    ):
        answer = await house.ask("GET", "r5/SupplyRequest", params={"identifier": asked})
        assert (answer.status_code, answer.json()["total"]) == (200, total), asked
        assert fhir.check(fhir.read(answer.content, fhir.R5)) == []
    found = (await house.ask("GET", "r5/SupplyRequest", params={"identifier": "W-2026-0117"})).json()["entry"][0]
    assert (await house.get(found["fullUrl"])).json() == found["resource"]
    for query in (
        "",
        "?status=active",
        "?identifier=a&identifier=b",
        "?identifier=",
        "?identifier=a|b|c",
        "?identifier:of-type=a",
    ):
        outcome(await house.get(f"r5/SupplyRequest{query}"), 400)


async def test_a_sender_sees_what_it_sent_and_nothing_else(house: House) -> None:
    place = (await house.post(REQUEST)).headers["location"]
    outcome(await house.get(place, by="other"), 404, "not-found")
    outcome(await house.get(place.replace("/r5/", "/r4b/")), 404)
    outcome(await house.get(place.replace("_history/1", "_history/2")), 404)


@pytest.mark.parametrize(
    ("wish", "said"), [("minimal", ""), ("OperationOutcome", "OperationOutcome"), ("representation", "SupplyRequest")]
)
async def test_a_sender_says_what_it_wants_to_hear(house: House, wish: str, said: str) -> None:
    answer = await house.post(REQUEST, Prefer=f"return={wish}")
    assert answer.status_code == 201 and (answer.json()["resourceType"] if said else answer.text) == said


@pytest.mark.parametrize(
    ("data", "status", "code", "place"),
    [
        (b"{", 400, "structure", ""),
        (b'{"resourceType":"SupplyRequest","status":"a","status":"b"}', 400, "structure", ""),
        (USAGE, 400, "value", "resourceType"),
        (b'{"status":"active"}', 400, "structure", "resourceType"),
        (b'{"resourceType":"Nothing"}', 400, "value", "resourceType"),
        (changed("r5_SupplyRequest", quantity=None), 400, "required", "SupplyRequest.quantity"),
        (
            changed("r5_SupplyRequest", requester={"display": "Anna", "anna": "Anna"}),
            400,
            "structure",
            "SupplyRequest.requester.anna",
        ),
        (changed("r5_SupplyRequest", status="Anna"), 422, "code-invalid", "SupplyRequest.status"),
        (
            changed("r5_SupplyRequest", implicitRules="http://a.example"),
            422,
            "extension",
            "SupplyRequest.implicitRules",
        ),
    ],
)
async def test_what_is_not_taken_is_kept_with_the_reason_and_can_come_again(
    house: House, data: bytes, status: int, code: str, place: str
) -> None:
    for _ in range(2):
        said = outcome(await house.post(data), status, code)
        assert said.get("expression", [""])[0] == place
    (kept,) = house.messages
    assert (
        (kept.state, kept.data) == ("refused", data)
        and kept.reason.startswith(f"{status}: ")
        and "Anna" not in kept.reason
    )
    assert (await house.post(REQUEST)).status_code == 201  # its identifier is free


async def test_who_may_not_send_hears_so(house: House) -> None:
    answer = await house.post(REQUEST, by="")
    outcome(answer, 401, "login")
    assert answer.headers["www-authenticate"] == "Bearer"
    outcome(await house.post(REQUEST, by="wrong"), 401, "login")
    for who in ("rowless", "elsewhere", "lookups"):
        outcome(await house.post(REQUEST, by=who), 403, "forbidden")
    assert (await house.post(REQUEST, by="slow")).status_code == 201
    slowed = await house.post(REQUEST, by="slow")
    outcome(slowed, 429, "throttled")
    assert slowed.headers["retry-after"] == "42"
    assert len(house.messages) == 1


@pytest.mark.parametrize(
    ("changes", "data", "status"),
    [
        ({"kinds": ("r5/DeviceUsage",)}, REQUEST, 403),
        ({"dialect": "rest"}, REQUEST, 403),
        ({"active": False}, REQUEST, 403),
        ({"addresses": ("10.9.0.0/16",)}, REQUEST, 403),
        ({"check": "warn"}, changed("r5_SupplyRequest", foo=1), 201),
        ({"check": "off"}, changed("r5_SupplyRequest", status="bogus"), 201),
    ],
)
async def test_the_row_of_a_sender_says_what_is_taken(changes: dict[str, object], data: bytes, status: int) -> None:
    house = House(Sender.model_validate(WARD.model_dump() | changes))
    answer = await house.post(data, f"r5/{json.loads(data)['resourceType']}")
    assert answer.status_code == status, answer.text
    if status != 201:
        outcome(answer, status)


async def test_what_nothing_reads_is_refused_where_the_senders_row_says_so() -> None:
    for policy, status in (("AR", 422), ("AA", 201)):
        house = House(WARD.changed(unrouted=policy))
        house.door._reads = lambda kind, sender: False
        assert (await house.post(USAGE, "r5/DeviceUsage")).status_code == status
        await house.door.close()


async def test_while_our_database_is_away_nothing_is_answered_as_kept() -> None:
    house = House(patience=0.05)
    await house.post(REQUEST)
    house.journal.away = True
    answer = await house.post(USAGE, "r5/DeviceUsage")
    outcome(answer, 503, "transient")
    assert answer.headers["retry-after"] and len(house.messages) == 1
    house.journal.away = False
    assert (await house.post(USAGE, "r5/DeviceUsage")).status_code == 201
    await house.door.close()


async def test_more_than_agreed_is_told_to_come_later() -> None:
    house = House(WARD.changed(per_minute=12), patience=0.05)
    data = [changed("r5_SupplyRequest", identifier=[{"value": f"R-{n}"}]) for n in range(3)]
    answers = [await house.post(one) for one in data]
    assert answers[0].status_code == 201
    outcome(answers[-1], 429, "throttled")
    await house.door.close()


async def test_a_bug_of_ours_is_said_as_ours(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("Anna")

    monkeypatch.setattr(house.door, "name", broken)
    outcome(await house.post(REQUEST), 500, "exception")


async def test_no_patient_is_in_what_we_call_things(house: House) -> None:
    await house.post(USAGE, "r5/DeviceUsage")
    await house.post(sample("r4b_DeviceUseStatement"), "r4b/DeviceUseStatement")
    named = [one.model_dump_json(exclude={"data", "hash"}) for one in house.messages]
    assert not any("900001" in one or "PATIENT" in one for one in named)
    first, second = house.messages
    assert first.stream == second.stream and "/patient/" in first.stream  # about one patient, in one order


async def test_a_request_is_in_the_stream_of_what_is_about_it(house: House) -> None:
    delivered = tree("r5_SupplyDelivery", basedOn=[{"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}])
    asked = entry(REQUEST, fullUrl="urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0")
    answer = await house.post(bundle(asked, entry(json.loads(fhir.write(delivered)))), "r5")
    assert answer.status_code == 200, answer.text
    _, request, delivery = house.messages
    assert request.stream == delivery.stream


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with fhir samples")
async def test_official_examples_are_taken_or_said_to_be_no_business_of_ours(house: House) -> None:
    for file in sorted(PUBLIC.glob("*.json")):
        base, of = file.name.split("_")[0], kind(file.stem)
        taken = of in fhir.RELEASES[base].types
        answer = await house.post(file.read_bytes(), f"{base}/{of}")
        assert answer.status_code == (201 if taken else 404), answer.text


async def test_json_is_taken_under_both_names(house: House) -> None:
    for content_type in (FHIR, "application/json", f"{FHIR}; charset=UTF-8", f"{FHIR}; fhirVersion=5.0"):
        answer = await house.client.post(
            "/fhir/r5/SupplyRequest",
            content=REQUEST,
            headers={"Authorization": "Bearer ward", "Content-Type": content_type},
        )
        assert answer.status_code == 201, content_type
