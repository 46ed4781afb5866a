"""What people decide at the REST door: on cases, and on documents without one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from canonical.cases import seal_is_valid
from canonical.steps import SupplierDocument
from tests import build
from tests.gateway.fakes import ORDER_CASE, stands
from tests.gateway.rest_house import House, problem, wire

# ---- decisions -----------------------------------------------------------------------------------------------------


async def test_a_decision_goes_to_the_case_sealed_with_its_person(house: House) -> None:
    await house.cases.record(stands(ORDER_CASE))
    answer = await house.post({"verb": "approve", "revision": 3}, by="person", path=f"/v1/cases/{ORDER_CASE}/decisions")
    assert answer.json()["taken"] is True
    ((case, decision),) = house.engine.decided
    assert (case, decision.actor.id, decision.actor.known_by, decision.revision) == (ORDER_CASE, "E-BUY", "api_key", 3)
    assert seal_is_valid(decision, ORDER_CASE, build.SEAL_KEY)
    assert house.messages[0].state == "routed"


async def test_a_repeated_decision_has_the_same_name_so_the_case_takes_it_once(house: House) -> None:
    await house.cases.record(stands(ORDER_CASE))
    for _ in range(2):
        await house.post({"verb": "approve"}, by="person", path=f"/v1/cases/{ORDER_CASE}/decisions")
    assert len({decision.id for _, decision in house.engine.decided}) == 1


@pytest.mark.parametrize(("code", "status"), [("changed", 409), ("not-open", 409), ("not-allowed", 403)])
async def test_why_a_case_refuses_is_told_and_kept(house: House, code: str, status: int) -> None:
    await house.cases.record(stands(ORDER_CASE))
    house.engine.refuses = code
    problem(await house.post({"verb": "approve"}, by="person", path=f"/v1/cases/{ORDER_CASE}/decisions"), status, code)
    assert house.messages[0].state == "refused"


async def test_an_undecided_decision_may_be_repeated_and_is_never_given_later(house: House) -> None:
    await house.cases.record(stands(ORDER_CASE))
    house.engine.away = True
    path = f"/v1/cases/{ORDER_CASE}/decisions"
    problem(await house.post({"verb": "approve"}, by="person", path=path), 503, "unavailable")
    assert house.messages[0].state == "refused"
    house.engine.away = False
    assert (await house.post({"verb": "approve"}, by="person", path=path)).json()["taken"] is True
    await house.journal.mark(house.messages[0].id, "received")
    assert await house.intake.route(house.messages[0])
    assert len(house.engine.decided) == 1


async def test_another_facilitys_case_is_unknown(house: House) -> None:
    await house.cases.record(stands(ORDER_CASE))
    path = f"/v1/cases/{ORDER_CASE}/decisions"
    problem(await house.post({"verb": "approve"}, by="elsewhere", path=path), 404, "not-found")
    problem(await house.get(path, by="elsewhere"), 404, "not-found")
    assert not house.engine.decided
    assert (await house.get(path)).json()[0]["what"] == "approved"


async def test_a_case_of_a_facility_nobody_has_is_not_unknown(house: House) -> None:
    case = "procure_to_pay/NHG/app/TYPO1"
    await house.cases.record(stands(case))
    answer = await house.post(
        {"verb": "cancel", "reason": "a typing error"}, by="person", path=f"/v1/cases/{case}/decisions"
    )
    assert answer.json()["taken"] is True and [name for name, _ in house.engine.decided] == [case]
    problem(await house.get(f"/v1/cases/{case}/decisions"), 404, "not-found")


async def test_a_misspelt_decision_is_refused_with_its_path(house: House) -> None:
    await house.cases.record(stands(ORDER_CASE))
    told = problem(
        await house.post({"verb": "approve", "lne": "1"}, by="person", path=f"/v1/cases/{ORDER_CASE}/decisions"),
        422,
        "data-invalid",
    )
    assert told["errors"][0]["path"] == "$.lne"


# ---- documents without a case --------------------------------------------------------------------------------------


async def test_a_requester_neither_attaches_a_document_nor_sets_it_aside(house: House) -> None:
    kept = house.journal.messages[(await house.post(wire())).json()["message"]]
    await house.intake.listed("invoice", kept, "no order of this number", None, supplier="ALPINE")
    (listed,) = (await house.get("/v1/unmatched", by="person")).json()["documents"]
    for deed, body in (("attach", {"case": ORDER_CASE}), ("set-aside", {"reason": "mine"})):
        answer = await house.post(body, by="asking", path=f"/v1/unmatched/{listed['id']}/{deed}")
        problem(answer, 403, "not-allowed")
    assert [one.state for one in house.cases.unmatched.values()] == ["open"]


async def test_a_person_attaches_a_document_to_an_open_case_or_sets_it_aside(house: House) -> None:
    message = (await house.post(wire())).json()["message"]
    kept = house.journal.messages[message]
    for key in ("a", "b"):
        document = SupplierDocument(key=key, cancelled_in_erp=True)
        await house.intake.listed("invoice", kept, "no order of this number", document, supplier="ALPINE")
    listed = (await house.get("/v1/unmatched", by="person")).json()["documents"]
    assert len(listed) == 2
    await house.cases.record(stands(ORDER_CASE))
    first, second = (f"/v1/unmatched/{one['id']}" for one in listed)
    closed = await house.post({"case": ORDER_CASE}, by="person", path=f"{first}/attach")
    problem(closed, 409, "not-open")
    house.engine.open.add(ORDER_CASE)
    done = await house.post({"case": ORDER_CASE}, by="person", path=f"{first}/attach")
    assert (done.json()["state"], done.json()["case"]) == ("attached", ORDER_CASE)
    assert [(case, one.attached_by) for case, one in house.engine.delivered] == [(ORDER_CASE, "E-BUY")]
    aside = await house.post({"reason": "a test"}, by="person", path=f"{second}/set-aside")
    assert aside.json()["state"] == "set_aside"
    assert (await house.get("/v1/unmatched", by="person")).json()["documents"] == []


async def test_a_document_leaves_the_list_only_once_its_case_has_it(house: House) -> None:
    kept = house.journal.messages[(await house.post(wire())).json()["message"]]
    document = SupplierDocument(key="a", cancelled_in_erp=True)
    await house.intake.listed("invoice", kept, "no order of this number", document, supplier="ALPINE")
    await house.cases.record(stands(ORDER_CASE))
    (listed,) = house.cases.unmatched.values()
    house.engine.open.add(ORDER_CASE)
    states = []
    deliver = house.engine.deliver

    async def looked_at(case: str, document: SupplierDocument) -> bool:
        states.append(house.cases.unmatched[listed.id].state)
        return await deliver(case, document)

    house.engine.deliver = looked_at  # type: ignore[method-assign]
    await house.post({"case": ORDER_CASE}, by="person", path=f"/v1/unmatched/{listed.id}/attach")
    assert states == ["open"], "a door that stops here leaves it on the list"
    assert house.cases.unmatched[listed.id].state == "attached"


async def test_a_decision_of_a_wrong_json_type_is_refused_with_its_path(house: House) -> None:
    await house.cases.record(stands(ORDER_CASE))
    answer = await house.post(
        {"verb": "hold", "reason": "x", "revision": "3"}, by="person", path=f"/v1/cases/{ORDER_CASE}/decisions"
    )
    assert problem(answer, 422, "data-invalid")["errors"][0]["path"] == "$.revision"
    assert house.engine.decided == []


async def test_a_decision_with_two_verbs_is_none(house: House) -> None:
    await house.cases.record(stands(ORDER_CASE))
    body = b'{"verb": "hold", "reason": "x", "verb": "approve"}'
    answer = await house.post(body, by="person", path=f"/v1/cases/{ORDER_CASE}/decisions")
    assert problem(answer, 422, "data-invalid")["errors"][0]["path"] == "$.verb"
    assert house.engine.decided == []


async def test_the_decision_our_readme_shows_is_taken_as_it_stands_there(house: House) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = [line for line in text.splitlines() if line.strip().startswith("curl") and "/decisions" in line]
    words = shlex.split(command)
    path = next(word for word in words if "/v1/" in word).removeprefix("$FASCIA_API_URL")
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    assert headers.pop("Authorization") == "Bearer $KEY"
    case = path.removeprefix("/v1/cases/").removesuffix("/decisions")
    await house.cases.record(stands(case))
    body = words[words.index("--data") + 1].encode()
    sent: dict[str, Any] = {"content": body, "headers": headers | {"Authorization": "Bearer person"}}
    answer = await house.client.post(path, **sent)
    assert answer.json()["taken"] is True and house.engine.decided[0][0] == case
    sent["headers"] = headers | {"Authorization": "Bearer system"}
    assert problem(await house.client.post(path, **sent), 403, "not-allowed")
    assert "fascia key add" in text and "--person" in text
