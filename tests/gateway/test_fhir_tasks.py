"""A department that asked by FHIR hears what became of it: by the Task of its request, and by the number on the request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canonical.cases import LineState
from formats import fhir
from tests.formats.fhir_files import changed, sample
from tests.gateway.fakes import stands
from tests.gateway.fhir_house import REQUEST, House, bundle, entry, outcome
from tests.gateway.test_fhir_groups import line

CASE = "procure_to_pay/NGH/ward-desk/W-2026-0117"
ORDER = "PO-20001"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.door.close()
    await made.client.aclose()


async def asked(house: House, data: bytes = REQUEST, base: str = "r5") -> str:
    """The id of a request that was sent and routed."""
    answer = await house.post(data, f"{base}/SupplyRequest")
    await house.router().once()
    return str(answer.json()["id"])


async def says(house: House, *lines: LineState, case: str = CASE, **about: Any) -> None:
    """Its case says how it stands."""
    await house.cases.record(stands(case, **about).model_copy(update={"lines": lines}))


def of_line(name: str = "1", order: str = ORDER, state: str = "ordered") -> LineState:
    return LineState(line=name, order=order, state=state)


async def task(house: House, name: str, base: str = "r5") -> Any:
    answer = await house.get(f"{base}/Task/{name}")
    assert answer.status_code == 200, answer.text
    assert fhir.check(fhir.read(answer.content, fhir.RELEASES[base])) == []
    assert answer.headers["etag"] == f'W/"{answer.json()["meta"]["versionId"]}"'
    return answer.json()


@pytest.mark.parametrize("base", ["r4b", "r5"])
async def test_who_asked_hears_the_number_of_the_order(house: House, base: str) -> None:
    name = await asked(house, sample(f"{base}_SupplyRequest"), base)
    before = await task(house, name, base)
    assert (before["status"], "output" in before, before["focus"]) == (
        "accepted",
        False,
        {"reference": f"SupplyRequest/{name}"},
    )
    (case,) = [one for one, _ in house.engine.started]
    await says(house, of_line(), case=case, business_state="ordered")
    after = await task(house, name, base)
    assert (after["status"], after["businessStatus"]["text"]) == ("in-progress", "ordered")
    assert [one["valueIdentifier"]["value"] for one in after["output"]] == [ORDER]
    assert after["meta"]["versionId"] != before["meta"]["versionId"]


async def test_the_request_itself_names_its_order_when_it_is_read_again(house: House) -> None:
    name = await asked(house)
    place = f"r5/SupplyRequest/{name}"
    sent = await house.get(place)
    await says(house, of_line())
    read = await house.get(place)
    assert (read.headers["etag"], read.json()["meta"]["versionId"]) == ('W/"1.1"', "1.1")
    assert fhir.check(fhir.read(read.content, fhir.R5)) == []
    filler = read.json()["identifier"][-1]
    assert (filler["value"], filler["type"]["coding"][0]["code"]) == (ORDER, "FILL")
    assert (await house.get(f"{place}/_history/1.1")).content == read.content
    assert (await house.get(f"{place}/_history/1")).content == sent.content  # as it was sent
    outcome(await house.get(f"{place}/_history/1.2"), 404)
    unchanged = await house.put(read.content, place, read.headers["etag"])
    assert (unchanged.status_code, len(house.messages)) == (200, 1)  # what we put on it is no change of theirs
    cancelled = fhir.write({**fhir.parse(read.content), "status": "cancelled"})
    assert (await house.put(cancelled, place, read.headers["etag"])).headers["etag"] == 'W/"2"'


@pytest.mark.parametrize(
    ("about", "state", "status"),
    [
        ({"business_state": "waiting for approval"}, "checked", "accepted"),
        ({"business_state": "ordered"}, "in delivery", "in-progress"),
        ({"business_state": "closed", "closed": True}, "paid", "completed"),
        ({"business_state": "cancelled", "closed": True}, "cancelled", "cancelled"),
        ({"business_state": "refused", "closed": True}, "refused", "rejected"),
    ],
)
async def test_a_task_says_in_fhirs_words_how_far_it_is(
    house: House, about: dict[str, Any], state: str, status: str
) -> None:
    name = await asked(house)
    await says(house, of_line(order=ORDER if status in ("in-progress", "completed") else "", state=state), **about)
    found = await task(house, name)
    assert (found["status"], found["businessStatus"]["text"]) == (status, state)


async def test_a_task_says_where_a_request_is_that_has_no_case(house: House) -> None:
    kept = (await house.post(REQUEST)).json()["id"]
    assert (await task(house, kept))["status"] == "received"
    drafted = await asked(house, changed("r5_SupplyRequest", status="draft", identifier=[{"value": "D-1"}]))
    assert (await task(house, drafted))["status"] == "draft"
    unread = changed("r5_SupplyRequest", quantity={"value": 1}, identifier=[{"value": "Q-1"}])
    parked = await task(house, await asked(house, unread))
    assert parked["status"] == "on-hold" and "quantity" in parked["statusReason"]["concept"]["text"]


async def test_a_request_that_is_taken_back_still_says_how_its_order_stands(house: House) -> None:
    name = await asked(house)
    await says(house, of_line())
    await house.put(changed("r5_SupplyRequest", id=name, status="cancelled"), f"r5/SupplyRequest/{name}", 'W/"1"')
    await house.router().once()
    found = await task(house, name)
    assert (found["status"], found["output"][0]["valueIdentifier"]["value"]) == ("in-progress", ORDER)
    assert "a person decides" in found["statusReason"]["concept"]["text"]


async def test_each_line_of_a_group_has_a_task_of_its_own(house: House) -> None:
    answer = await house.post(bundle(entry(line("L-1")), entry(line("L-2"))), "r5")
    names = [one["response"]["location"].split("/")[1] for one in answer.json()["entry"]]
    await house.router().once()
    lines = (of_line("L-1"), of_line("L-2", "", "refused"))
    await says(house, *lines, case="procure_to_pay/NGH/ward-desk/G-7")
    found = [await task(house, name) for name in names]
    assert [one["status"] for one in found] == ["in-progress", "rejected"]
    assert [one["groupIdentifier"]["value"] for one in found] == ["G-7", "G-7"]
    assert [len(one.get("output", [])) for one in found] == [1, 0]
    news = await house.ask("GET", "r5/Task", params={"_lastUpdated": "gt2026-01-01"})
    assert {one["resource"]["id"] for one in news.json()["entry"]} == {*names}


async def test_nobody_hears_of_anothers_request(house: House) -> None:
    name = await asked(house)
    await says(house, of_line())
    outcome(await house.get(f"r5/Task/{name}", by="other"), 404, "not-found")
    outcome(await house.get(f"r4b/Task/{name}"), 404)
    # Another sender that orders under the same source and number did not ask for this case.
    rows = house.register.rows
    house.register.rows = [rows[0], rows[1].changed(source="ward-desk")]
    await house.directory.refresh()
    other = (await house.post(REQUEST, by="other")).json()["id"]
    answer = await house.get(f"r5/Task/{other}", by="other")
    assert ORDER not in answer.text and answer.json()["status"] == "received"


async def test_what_changed_since_is_asked_for_page_by_page(house: House) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    names = [await asked(house, changed("r5_SupplyRequest", identifier=[{"value": f"N-{n}"}])) for n in range(5)]
    await says(house, of_line(), case="procure_to_pay/NGH/ward-desk/N-1")
    seen: list[str] = []
    url = f"r5/Task?_lastUpdated=gt{began.isoformat().replace('+00:00', 'Z')}&_count=2"
    while url:
        answer = await house.get(url)
        assert answer.status_code == 200, answer.text
        assert fhir.check(fhir.read(answer.content, fhir.R5)) == []
        page = answer.json()
        seen += [one["resource"]["id"] for one in page.get("entry", [])]
        url = next((one["url"] for one in page["link"] if one["relation"] == "next"), "")
    assert seen == [names[0], names[2], names[3], names[4], names[1]]
    moment = (await task(house, names[1]))["meta"]["lastUpdated"]
    assert (await house.ask("GET", "r5/Task", params={"_lastUpdated": f"gt{moment}"})).json()["total"] == 0
    assert (await house.ask("GET", "r5/Task", params={"_lastUpdated": f"ge{moment}"})).json()["total"] == 1


async def test_tasks_are_found_by_their_request_and_come_with_it(house: House) -> None:
    name = await asked(house)
    for focus in (f"SupplyRequest/{name}", f"http://door/fhir/r5/SupplyRequest/{name}", f"x,SupplyRequest/{name}"):
        found = (await house.ask("GET", "r5/Task", params={"focus": focus})).json()
        assert [one["resource"]["id"] for one in found["entry"]] == [name]
    both = await house.ask("GET", "r5/SupplyRequest", params={"identifier": "W-2026-0117", "_revinclude": "Task:focus"})
    assert [(one["resource"]["resourceType"], one["search"]["mode"]) for one in both.json()["entry"]] == [
        ("SupplyRequest", "match"),
        ("Task", "include"),
    ]
    assert both.json()["total"] == 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?_lastUpdated=2026-01-01",
        "?_lastUpdated=lt2026-01-01",
        "?_lastUpdated=gtyesterday",
        "?_lastUpdated=gt2026-13-01",
        "?_lastUpdated=gt2026-01-01&_count=0",
        "?_lastUpdated=gt2026-01-01&focus=x",
        "?status=accepted",
    ],
)
async def test_tasks_are_not_looked_for_otherwise(house: House, query: str) -> None:
    outcome(await house.get(f"r5/Task{query}"), 400)
