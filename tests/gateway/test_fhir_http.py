"""The FHIR door over HTTP: what the CapabilityStatement says is what the routes do, and no fault is said in another form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from formats import fhir
from gateway.rest import MOST_BYTES
from tests.formats.fhir_files import sample, tree
from tests.gateway.fhir_house import FHIR, REQUEST, House, bundle, entry, outcome

BASES = tuple(fhir.RELEASES)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.door.close()
    await made.client.aclose()


async def stated(house: House, base: str) -> dict[str, Any]:
    answer = await house.get(f"{base}/metadata", by="")
    assert answer.status_code == 200
    assert fhir.check(fhir.read(answer.content, fhir.RELEASES[base])) == []
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("base", BASES)
async def test_what_is_stated_is_what_is_done_and_nothing_else(house: House, base: str) -> None:
    said = await stated(house, base)
    assert said["fhirVersion"] == fhir.RELEASES[base].version
    resources = {one["type"]: one for one in said["rest"][0]["resource"]}
    assert {*resources} == {*fhir.RELEASES[base].types, "Task"}
    task = resources.pop("Task")
    for kind, resource in resources.items():
        data = sample(f"{base}_{kind}")
        created = await house.post(data, f"{base}/{kind}")
        place = created.headers["location"].partition("/_history")[0]
        changed = fhir.write({**fhir.parse(data), "id": place.rpartition("/")[2], "language": "en"})
        asked = {
            "create": created,
            "read": await house.get(place),
            "vread": await house.get(created.headers["location"]),
            "search-type": await house.ask("GET", f"{base}/{kind}", params={"identifier": "x"}),
            "update": await house.put(changed, place, 'W/"1"'),
        } | await others(house, base, kind, place)
        held_by_answers(resource, asked)
        assert resource["readHistory"] == ((await house.get(created.headers["location"])).status_code == 200)
        assert resource["updateCreate"] == ((await house.put(changed, f"{base}/{kind}/new", "*")).status_code < 400)
        no_version = await house.put(changed.replace(b'"en"', b'"de"'), place)
        assert (resource["versioning"] == "versioned-update") == (no_version.status_code == 428)
        await names_its_searches(house, f"{base}/{kind}", resource)
        again = await house.post(data, f"{base}/{kind}", If_None_Exist=f"identifier={value(data)}")
        assert resource["conditionalCreate"] == (again.status_code == 200)
        conditional = await house.ask("PUT", f"{base}/{kind}", params={"identifier": "x"}, content=data)
        assert resource["conditionalUpdate"] == (conditional.status_code < 400)
        held = await house.get(place, If_None_Match=(await house.get(place)).headers["etag"])
        assert (resource["conditionalRead"] == "not-match") == (held.status_code == 304)
        for name in ("Task:focus", "SupplyDelivery:based-on"):
            found = await house.ask("GET", f"{base}/{kind}", params={"identifier": "x", "_revinclude": name})
            assert (name in resource.get("searchRevInclude", [])) == (found.status_code == 200)
    made = f"{base}/Task/{(await house.post(sample(f'{base}_SupplyRequest'), f'{base}/SupplyRequest')).json()['id']}"
    asked = {
        "create": await house.post(b"{}", f"{base}/Task"),
        "read": await house.get(made),
        "vread": await house.get(f"{made}/_history/1"),
        "search-type": await house.ask("GET", f"{base}/Task", params={"focus": "x"}),
        "update": await house.put(b"{}", made, "*"),
    } | await others(house, base, "Task", made)
    held_by_answers(task, asked)
    await names_its_searches(house, f"{base}/Task", task)
    held = await house.get(made, If_None_Match=asked["read"].headers["etag"])
    assert (task["conditionalRead"], held.status_code) == ("not-match", 304)


def value(data: bytes) -> str:
    named = fhir.read(data, fhir.R5).identifier
    assert named is not None
    return named.value


async def others(house: House, base: str, kind: str, place: str) -> dict[str, httpx.Response]:
    """What else FHIR has, asked for."""
    return {
        "patch": await house.ask("PATCH", place, content=b"{}"),
        "delete": await house.ask("DELETE", place),
        "history-instance": await house.get(f"{place}/_history"),
        "history-type": await house.get(f"{base}/{kind}/_history"),
    }


def held_by_answers(resource: dict[str, Any], asked: dict[str, httpx.Response]) -> None:
    done = {name for name, answer in asked.items() if answer.status_code < 400}
    assert {one["code"] for one in resource["interaction"]} == done
    assert all(outcome(answer, answer.status_code) for answer in asked.values() if answer.status_code >= 400)


async def names_its_searches(house: House, path: str, resource: dict[str, Any]) -> None:
    """Every parameter that finds something is named, and no other is taken."""
    searches = {one["name"]: one["type"] for one in resource["searchParam"]}
    assert searches
    for name in ("identifier", "focus", "_lastUpdated", "status", "patient", "date", "_id", "_summary"):
        asked = "gt2026-01-01" if searches.get(name) == "date" else "x"
        answer = await house.ask("GET", path, params={name: asked})
        assert (answer.status_code == 200) == (name in searches), name


@pytest.mark.parametrize("base", BASES)
async def test_bundles_are_taken_as_stated(house: House, base: str) -> None:
    said = {one["code"] for one in (await stated(house, base))["rest"][0]["interaction"]}
    for kind in ("transaction", "batch", "history", "message", "document"):
        answer = await house.post(bundle(entry(tree(f"{base}_SupplyDelivery")), kind=kind), base)
        assert (kind in said) == (answer.status_code == 200), kind
    for path in (f"{base}", f"{base}/_history", f"{base}?_id=1"):
        assert (await house.get(path)).status_code in (404, 405)


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "r6/SupplyRequest", 404),
        ("GET", "metadata", 404),
        ("GET", "r5/Patient", 404),
        ("POST", "r5/Patient", 404),
        ("POST", "r4b/DeviceUsage", 404),
        ("POST", "r5/DeviceUseStatement", 404),
        ("GET", "r5/SupplyRequest/x/y/z", 404),
        ("GET", "r5/SupplyRequest/nothing", 404),
        ("GET", "r5/SupplyRequest/a%2Fb%20c", 404),
        ("GET", "r5/SupplyRequest/", 404),
        ("POST", "r5/SupplyRequest/_search", 405),
        ("DELETE", "r5/SupplyRequest/1", 405),
        ("PATCH", "r5/SupplyRequest/1", 405),
        ("PUT", "r5/SupplyRequest/1/_history/1", 405),
        ("PUT", "r5/Task/1", 405),
        ("POST", "r5/Task", 405),
        ("GET", "r5/Task/nothing", 404),
        ("GET", "r6/Task", 404),
        ("OPTIONS", "r5/SupplyRequest", 405),
        ("BREW", "r5/SupplyRequest", 405),
        ("POST", "r5/metadata", 405),
        ("GET", "", 404),
        ("POST", "", 404),
        ("GET", "r5/SupplyRequest/%00", 404),
    ],
)
async def test_what_is_not_here_is_said_so(house: House, verb: str, path: str, status: int) -> None:
    answer = await house.ask(verb, path, content=REQUEST, headers={"Content-Type": FHIR})
    outcome(answer, status)
    if status == 405:
        allowed = answer.headers["allow"].split(", ")
        assert "GET" in allowed and {*allowed} <= {"GET", "HEAD", "POST", "PUT"} and verb not in allowed
    assert house.messages == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/fhir+xml"},
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {"Content-Type": f"{FHIR}; charset=latin-1"},
        {"Content-Type": f"{FHIR}; fhirVersion=4.0"},
        {"Content-Type": f"{FHIR}; fhirVersion=4.3"},
        {"Content-Type": FHIR, "Content-Encoding": "gzip"},
    ],
)
async def test_what_is_no_json_of_this_release_is_not_read(house: House, headers: dict[str, str]) -> None:
    outcome(await house.ask("POST", "r5/SupplyRequest", content=REQUEST, headers=headers), 415, "not-supported")
    assert house.messages == []


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("application/fhir+json", True),
        ("application/json;q=0.5, text/html", True),
        ("*/*", True),
        ("application/fhir+json; fhirVersion=5.0", True),
        ("application/fhir+json; charset=utf-8; fhirVersion=5.0", True),
        ("application/fhir+json; charset=latin-1", False),
        ("application/fhir+json; fhirVersion=4.3", False),
        ("application/fhir+xml", False),
        ("application/fhir+json;q=0", False),
        ("text/html, application/xml", False),
    ],
)
async def test_json_is_what_is_written(house: House, asked: str, taken: bool) -> None:
    answer = await house.get("r5/metadata", Accept=asked)
    assert answer.status_code == (200 if taken else 406)
    if not taken:
        outcome(answer, 406, "not-supported")
        outcome(await house.post(REQUEST, Accept=asked), 406)
        assert house.messages == []


async def test_a_format_in_the_address_counts_for_the_header(house: House) -> None:
    assert (await house.get("r5/metadata?_format=json", Accept="application/xml")).status_code == 200
    assert (await house.get("r5/metadata?_format=application/fhir+json")).status_code == 200
    outcome(await house.get("r5/metadata?_format=xml"), 406)


async def test_head_says_what_get_would_and_sends_nothing(house: House) -> None:
    place = (await house.post(REQUEST)).headers["location"]
    for path in (place, "r5/metadata", "r5/SupplyRequest?identifier=x"):
        asked, shown = await house.ask("HEAD", path), await house.get(path)
        assert (asked.status_code, asked.content, shown.status_code) == (200, b"", 200)
        assert {**asked.headers, "x-trace-id": ""} == {**shown.headers, "x-trace-id": ""}
    assert (await house.ask("HEAD", "r5/SupplyRequest/nothing")).status_code == 404


async def test_a_parameter_nobody_reads_is_refused_unless_its_sender_says_it_may_be_passed_over(house: House) -> None:
    place = (await house.post(REQUEST)).headers["location"].partition("/_history")[0]
    for path in (
        "r5/SupplyRequest?identifier=W-2026-0117&status=active",
        f"{place}?_summary=true",
        "r5/metadata?mode=full",
    ):
        for strict in ({}, {"Prefer": "handling=strict"}):
            outcome(await house.get(path, **strict), 400, "not-supported")
        assert (await house.get(path, Prefer="handling=lenient, return=minimal")).status_code == 200
    found = await house.get("r5/SupplyRequest?status=draft&identifier=W-2026-0117", Prefer="handling=lenient")
    assert found.json()["total"] == 1
    assert found.json()["link"] == [
        {"relation": "self", "url": "http://door/fhir/r5/SupplyRequest?identifier=W-2026-0117"}
    ]
    outcome(await house.get("r5/SupplyRequest?status=draft", Prefer="handling=lenient"), 400)
    answer = await house.ask("POST", "r5/SupplyRequest?x=1", content=REQUEST, headers={"Content-Type": FHIR})
    outcome(answer, 400, "not-supported")


async def test_a_callers_own_name_of_a_request_comes_back(house: House) -> None:
    for path, status in (("r5/metadata", 200), ("r5/Patient", 404), ("r5/SupplyRequest/x/y/z", 404)):
        answer = await house.get(path, X_Request_Id="abc-1", X_Correlation_Id="zyx/2")
        assert answer.status_code == status
        told = status == 200 or path.endswith("Patient")
        assert (answer.headers.get("x-request-id") == "abc-1") == told
        assert (answer.headers.get("x-correlation-id") == "zyx/2") == told
    odd = await house.get("r5/metadata", X_Request_Id="a b", X_Correlation_Id="x" * 201)
    assert "x-request-id" not in odd.headers and "x-correlation-id" not in odd.headers


async def test_too_large_a_body_is_an_outcome_too(house: House) -> None:
    outcome(await house.post(b" " * (MOST_BYTES + 1)), 413, "too-long")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MOST_BYTES // 1000 + 2):
            yield b" " * 1000

    answer = await house.ask("POST", "r5/SupplyRequest", content=endless(), headers={"Content-Type": FHIR})
    outcome(answer, 413, "too-long")
    assert house.messages == []


async def test_the_bare_address_is_no_redirect(house: House) -> None:
    outcome(await house.client.get("/fhir"), 404)
    outcome(await house.client.post("/fhir", content=b" " * (MOST_BYTES + 1)), 413)


async def test_the_other_doors_still_speak_as_they_did(house: House) -> None:
    for path in ("/v1/nothing", "/fhirs/r5"):
        answer = await house.client.get(path)
        assert answer.headers["content-type"] == "application/problem+json"
    answer = await house.client.post("/v1/requisitions", content=b" " * (MOST_BYTES + 1))
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
