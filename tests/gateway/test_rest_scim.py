"""An HR system that speaks SCIM: put, patched and deleted users are HR events by the corridor of all, refused as SCIM says it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from canonical.senders import Mapping
from gateway.feeds.rest_scim import ENTERPRISE, HR
from gateway.rest_people import SCIM
from gateway.scim_faults import ERROR
from gateway.scim_operations import PATCH, USER
from tests.gateway.rest_house import House, heard

NAMED = "/v1/scim/Users/E-2077"


async def do(house: House, method: str, path: str = NAMED, said: Any = None, **more: Any) -> httpx.Response:
    """A request as a SCIM client makes it."""
    headers = {"Authorization": "Bearer system", "Content-Type": "application/scim+json"} | more.pop("headers", {})
    content = more.pop("content", None if said is None else json.dumps(said))
    return await house.client.request(method, path, content=content, headers=headers)


async def patched(house: House, *operations: dict[str, Any]) -> httpx.Response:
    return await do(house, "PATCH", said={"schemas": [PATCH], "Operations": list(operations)})


async def test_a_user_made_put_patched_and_deleted_is_an_event_each(house: House) -> None:
    made = await do(house, "POST", "/v1/scim/Users", SCIM)
    assert (made.status_code, made.json()["id"]) == (201, "E-2077")
    moved = SCIM | {ENTERPRISE: {"department": "icu"}}
    put = await do(house, "PUT", said=moved)
    assert (put.status_code, put.json()["id"]) == (200, "E-2077")
    off = await patched(house, {"op": "Replace", "path": "active", "value": "False"})
    on = await patched(house, {"op": "replace", "value": {"active": True}})
    gone = await do(house, "DELETE")
    assert [one.status_code for one in (off, on, gone)] == [204, 204, 204] and off.content == b""
    told = await heard(house)
    assert [one.kind for one in told] == ["hire", "update", "deactivate", "activate", "delete"]
    assert {one.person for one in told} == {"E-2077"} and len({one.number for one in told}) == 5
    assert told[1].position.department == "icu"
    seen = await do(house, "GET", off.headers["Location"])
    assert seen.json()["status"] == "taken"


async def test_a_patch_says_what_it_names_and_nothing_else(house: House) -> None:
    await patched(
        house,
        {"op": "replace", "path": "name.familyName", "value": "BIRCH"},
        {"op": "add", "path": 'emails[type eq "work"].value', "value": "b@x.example"},
        {"op": "replace", "path": f"{ENTERPRISE}:costCenter", "value": "CC-1"},
        {"op": "replace", "path": f"{USER}:title", "value": "nurse"},
        {"op": "replace", "path": HR, "value": {"effective": "2026-12-24"}},
        {"op": "replace", "path": "displayName", "value": "passed over"},
    )
    (event,) = await heard(house)
    assert (event.kind, event.effective.isoformat()) == ("update", "2026-12-24")
    assert (event.record.name.family, event.record.name.given, event.record.email) == ("BIRCH", "", "b@x.example")
    assert (event.position.cost_centre, event.position.title, event.position.department) == ("CC-1", "nurse", None)


async def test_what_a_leaver_is_to_them_says_the_senders_table_or_the_event_itself(house: House) -> None:
    house.tables = [Mapping(sender="orplan", table="event", rows={"deactivate": "terminate", "delete": "terminate"})]
    await patched(house, {"op": "replace", "path": "active", "value": False})
    await do(house, "DELETE")
    said = {"event": "terminate", "effective": "2026-11-09", "emergency": True, "reason": "for-cause"}
    await patched(house, {"op": "add", "path": HR, "value": said})
    told = await heard(house)
    overtakes = [("terminate", True), *[("terminate", False)] * 2]
    assert [(one.kind, one.emergency) for one in told] == overtakes, "an emergency is routed first"


@pytest.mark.parametrize(
    ("method", "said", "kind"),
    [
        ("PUT", "no json", "invalidSyntax"),
        ("PUT", "", "invalidSyntax"),
        ("PUT", {"schemas": []}, "invalidValue"),
        ("PUT", SCIM | {"externalId": "E-9"}, "invalidValue"),
        ("PUT", [SCIM], "invalidValue"),
        ("PATCH", SCIM, "invalidValue"),
        ("PATCH", {"schemas": [PATCH], "Operations": []}, "invalidValue"),
        ("PATCH", {"schemas": [PATCH], "Operations": [{"op": "remove", "path": "title"}]}, "mutability"),
        ("PATCH", {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "a b", "value": 1}]}, "invalidPath"),
        (
            "PATCH",
            {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "nme.x", "value": "1"}]},
            "invalidPath",
        ),
        (
            "PATCH",
            {"schemas": [PATCH], "Operations": [{"op": "add", "path": "name.first", "value": "1"}]},
            "invalidPath",
        ),
        ("PUT", SCIM | {HR: {"event": "terminate", "emergancy": True}}, "invalidValue"),
        (
            "PATCH",
            {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": []}]},
            "invalidValue",
        ),
        ("PATCH", '{}, "path": "/Users/E-9", "method": "DELETE", "x": {}', "invalidSyntax"),
    ],
)
async def test_what_is_not_as_agreed_is_refused_in_scims_own_form_and_kept(
    house: House, method: str, said: Any, kind: str
) -> None:
    answer = await do(house, method, content=said if isinstance(said, str) else json.dumps(said))
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/scim+json")
    error = answer.json()
    assert (error["schemas"], error["status"], error["scimType"]) == ([ERROR], "400", kind)
    assert "MAPLE" not in answer.text
    assert [one.state for one in house.messages] == (["refused"] if said else [])
    assert await heard(house) == []


async def test_what_is_not_offered_is_said(house: House) -> None:
    config = (await do(house, "GET", "/v1/scim/ServiceProviderConfig")).json()
    told = {name: one["supported"] for name, one in config.items() if isinstance(one, dict)}
    assert told == {"patch": True, **dict.fromkeys(("bulk", "filter", "changePassword", "sort", "etag"), False)}
    for path in ("/v1/scim/Users", NAMED):
        answer = await do(house, "GET", path)
        assert (answer.status_code, answer.json()["schemas"]) == (501, [ERROR])
    nobody = await do(house, "DELETE", headers={"Authorization": "Bearer nobody"})
    assert (nobody.status_code, nobody.json()["status"]) == (401, "401") and house.messages == []


async def test_the_same_request_under_a_key_is_one_and_without_it_each_is_its_own(house: House) -> None:
    off = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    for _ in range(2):
        assert (await do(house, "PATCH", said=off, headers={"Idempotency-Key": "k-1"})).status_code == 204
    assert len(house.messages) == 1
    for _ in range(2):
        await do(house, "PATCH", said=off)
    assert len(house.messages) == 3 and {one.kind for one in await heard(house)} == {"deactivate"}
    other = await do(house, "DELETE", headers={"Idempotency-Key": "k-1"})
    assert other.status_code == 400, "another operation under its name"
