"""A resource is changed by who knows its newest version; what that means for an order is decided where it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from formats import fhir
from tests.formats.fhir_files import changed
from tests.gateway.fhir_house import REQUEST, House, outcome


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.door.close()
    await made.client.aclose()


async def created(house: House, data: bytes = REQUEST) -> str:
    """The address of a resource that was sent, without its version."""
    answer = await house.post(data)
    assert answer.status_code == 201
    return str(answer.headers["location"].partition("/_history")[0])


def version(place: str, **changes: Any) -> bytes:
    return changed("r5_SupplyRequest", id=place.rpartition("/")[2], **changes)


async def test_a_change_is_a_version_of_its_own_beside_the_first(house: House) -> None:
    place = await created(house)
    answer = await house.put(version(place, status="cancelled"), place, 'W/"1"')
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert answer.headers["location"].endswith("/_history/2")
    assert (answer.json()["status"], answer.json()["meta"]["versionId"]) == ("cancelled", "2")
    assert (await house.get(place)).content == answer.content
    first = (await house.get(f"{place}/_history/1")).json()
    assert (first["status"], first["meta"]["versionId"]) == ("active", "1")
    outcome(await house.get(f"{place}/_history/3"), 404)
    found = await house.ask("GET", "r5/SupplyRequest", params={"identifier": "W-2026-0117"})
    assert [one["resource"]["status"] for one in found.json()["entry"]] == ["cancelled"]
    assert [one.data for one in house.messages] == [REQUEST, version(place, status="cancelled")]


async def test_who_does_not_know_the_newest_version_changes_nothing(house: House) -> None:
    place = await created(house)
    outcome(await house.put(version(place, status="cancelled"), place), 428, "required")
    outcome(await house.put(version(place, status="cancelled"), place, 'W/"2"'), 412, "conflict")
    assert (await house.put(version(place, priority="routine"), place, 'W/"1"')).status_code == 200
    outcome(await house.put(version(place, status="cancelled"), place, 'W/"1"'), 412, "conflict")
    assert (await house.get(place)).json()["status"] == "active"
    assert house.listed() == []  # who was too late hears so, and reads again
    assert (await house.put(version(place, status="cancelled"), place, 'W/"9", W/"2"')).status_code == 200


async def test_of_two_changes_at_once_one_is_taken(house: House) -> None:
    place = await created(house)
    answers = await asyncio.gather(
        *(house.put(version(place, priority=one), place, 'W/"1"') for one in ("routine", "urgent"))
    )
    assert sorted(one.status_code for one in answers) == [200, 412]
    taken = next(one for one in answers if one.status_code == 200)
    assert (await house.get(place)).content == taken.content
    assert [one.state for one in house.messages] == ["received", "received", "refused"]


async def test_a_change_sent_again_is_answered_as_the_first_time(house: House) -> None:
    place = await created(house)
    first = await house.put(version(place, status="cancelled"), place, 'W/"1"')
    again = await house.put(version(place, status="cancelled"), place, 'W/"1"')
    other = fhir.write(dict(reversed(fhir.parse(version(place, status="cancelled")).items())))
    assert again.content == first.content == (await house.put(other, place, 'W/"2"')).content
    assert len(house.messages) == 2


async def test_a_change_names_what_it_changes(house: House) -> None:
    place = await created(house)
    outcome(await house.put(REQUEST, place, 'W/"1"'), 400, "value")
    outcome(await house.put(version(place, identifier=[{"value": "other"}]), place, 'W/"1"'), 422, "business-rule")
    outcome(await house.put(version("x/nothing"), "r5/SupplyRequest/nothing", "*"), 405, "not-supported")
    outcome(await house.put(version(place), place, 'W/"1"', by="other"), 405)
    outcome(await house.put(version(place, status="bogus"), place, 'W/"1"'), 422, "code-invalid")
    assert [one.state for one in house.messages][:1] == ["received"]
    assert {one.state for one in house.messages[1:]} == {"refused"}
    assert (await house.get(place)).json()["meta"]["versionId"] == "1"


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error", "suspended"])
async def test_a_request_that_is_taken_back_is_for_a_person_who_is_told_which(house: House, status: str) -> None:
    place = await created(house)
    await house.put(version(place, status=status), place, 'W/"1"')
    await house.router().once()
    await house.router().once()
    assert len(house.engine.started) == 1
    last = house.messages[-1]
    assert last.state == "dead" and last.owner == "Ward integration"
    assert f"{status} concerns requisition W-2026-0117 of ward-desk" in last.reason
    assert house.listed() == ["unreadable"]


async def test_a_changed_quantity_is_a_conflict_for_a_person_and_orders_nothing(house: House) -> None:
    place = await created(house)
    await house.put(version(place, quantity={"value": 99, "code": "BX"}), place, 'W/"1"')
    await house.router().once()
    await house.router().once()
    assert len(house.engine.started) == 1 and house.listed() == ["requisition"]


async def test_a_draft_that_becomes_active_is_ordered_then(house: House) -> None:
    place = await created(house, changed("r5_SupplyRequest", status="draft"))
    await house.router().once()
    assert house.engine.started == []
    assert (await house.put(version(place), place, 'W/"1"')).status_code == 200
    await house.router().once()
    assert [case for case, _ in house.engine.started] == ["procure_to_pay/NGH/ward-desk/W-2026-0117"]


async def test_other_content_by_post_is_still_no_change(house: House) -> None:
    place = await created(house)
    said = outcome(await house.post(REQUEST.replace(b"1.10", b"2")), 409, "conflict")
    assert "PUT" in said["diagnostics"] and house.listed() == ["conflict"]
    assert (await house.get(place)).json()["meta"]["versionId"] == "1"


async def test_what_is_unchanged_is_not_sent_again(house: House) -> None:
    place = await created(house)
    same = await house.get(place, If_None_Match='W/"7", W/"1"')
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", 'W/"1"')
    await house.put(version(place, status="cancelled"), place, 'W/"1"')
    assert (await house.get(place, If_None_Match='W/"1"')).status_code == 200
