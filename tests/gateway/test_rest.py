"""The REST door: who may call, what a caller is told, and that 202 means kept, whatever is away behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from canonical.cases import seal_is_valid
from canonical.errors import Unavailable
from canonical.purchasing import Requisition
from canonical.steps import ClaimRequest, SupplierDocument
from gateway.intake import Intake
from gateway.lookups import Caller
from gateway.rest import MOST_BYTES, Doors, make_app
from gateway.rest_decisions import settle_decisions
from gateway.rest_requisitions import EXAMPLE
from tests import build
from tests.fakes.store import FakeCases
from tests.gateway.fakes import (
    ORDER_CASE,
    FakeEngine,
    FakeKeys,
    FakeLookups,
    FakeUnmatched,
    NotingJournal,
    stands,
)

SYSTEM = Caller(
    key="key-1",
    sender="orplan",
    facility="NGH",
    scopes=("requisitions", "lookups", "source:surgery-app"),
    per_minute=1000,
)
PERSON = Caller(key="key-2", sender="e-buy", facility="NGH", person="E-BUY", roles=("buyer",), per_minute=1000)
ASKING = Caller(key="key-5", sender="e-req", facility="NGH", person="E-REQ", roles=("requester",), per_minute=1000)
ELSEWHERE = Caller(key="key-3", sender="other", facility="SGH", person="E-X", per_minute=1000)
SLOW = Caller(key="key-4", sender="slow", facility="NGH", per_minute=2)


@dataclass
class House:
    """The door with everything behind it in memory."""

    journal: NotingJournal = field(default_factory=NotingJournal)
    engine: FakeEngine = field(default_factory=FakeEngine)

    def __post_init__(self) -> None:
        self.cases = FakeCases(self.journal)
        self.intake = Intake(self.journal, self.cases, self.engine)
        settle_decisions(self.intake)
        self.lookups = FakeLookups(self.cases)
        self.failing: dict[str, bool] = {}
        doors = Doors(
            intake=self.intake,
            cases=self.cases,
            engine=self.engine,
            keys=FakeKeys(system=SYSTEM, person=PERSON, asking=ASKING, elsewhere=ELSEWHERE, slow=SLOW),
            lookups=self.lookups,
            unmatched=FakeUnmatched(self.cases),
            seal_key=build.SEAL_KEY,
            ready={"store": self.check("store"), "temporal": self.check("temporal")},
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(doors), raise_app_exceptions=False), base_url="http://door"
        )

    def check(self, name: str):  # type: ignore[no-untyped-def]
        async def checked() -> None:
            if self.failing.get(name):
                raise Unavailable(f"{name} does not answer")

        return checked

    async def post(
        self,
        body: object,
        key: str | None = "k-1",
        *,
        by: str = "system",
        path: str = "/v1/requisitions",
        **headers: str,
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json", "Authorization": f"Bearer {by}", **headers}
        if key is not None:
            given["Idempotency-Key"] = key
        return await self.client.post(path, content=content, headers=given)

    async def get(self, path: str, by: str = "system") -> httpx.Response:
        return await self.client.get(path, headers={"Authorization": f"Bearer {by}"})

    @property
    def messages(self):  # type: ignore[no-untyped-def]
        return list(self.journal.messages.values())


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.client.aclose()


def wire(**changes: object) -> dict[str, object]:
    return {**json.loads(build.requisition(number="R-1").model_dump_json(exclude_defaults=True)), **changes}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    """The problem, of the one form all of them have."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body["type"] == f"urn:fascia:problem:{code}"
    assert body["trace"] == answer.headers["x-trace-id"]
    return body


# ---- requisitions ---------------------------------------------------------------------------------------------------


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
    assert told["errors"][0]["path"] == path  # type: ignore[index]
    assert house.engine.started == []


async def test_a_decimal_is_text_or_an_integer(house: House) -> None:
    for key, value in (("a", "10.50"), ("b", 10)):
        line = {"id": "1", "item": "ITM-1", "quantity": {"value": value}}
        assert (await house.post(wire(number=key, lines=[line]), key)).status_code == 202


async def test_a_byte_order_mark_is_named(house: House) -> None:
    told = problem(await house.post(b"\xef\xbb\xbf" + json.dumps(wire()).encode()), 400, "data-invalid")
    assert "byte order mark" in str(told["detail"])


async def test_a_decision_of_a_wrong_json_type_is_refused_with_its_path(house: House) -> None:
    await house.cases.record(stands(ORDER_CASE))
    answer = await house.post(
        {"verb": "hold", "reason": "x", "revision": "3"}, by="person", path=f"/v1/cases/{ORDER_CASE}/decisions"
    )
    assert problem(answer, 422, "data-invalid")["errors"][0]["path"] == "$.revision"  # type: ignore[index]
    assert house.engine.decided == []


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
    assert told["errors"][0]["path"] == path  # type: ignore[index]
    assert pointer is None or told["errors"][0]["pointer"] == pointer  # type: ignore[index]
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


# ---- who may call ---------------------------------------------------------------------------------------------------


async def test_a_stranger_is_turned_away(house: House) -> None:
    answer = await house.client.get("/v1/orders")
    problem(answer, 401, "auth")
    assert answer.headers["www-authenticate"] == "Bearer"
    problem(await house.get("/v1/orders", by="wrong"), 401, "auth")


async def test_a_key_made_for_some_things_does_only_those(house: House) -> None:
    await house.cases.record(stands(ORDER_CASE))
    answer = await house.post({"verb": "approve"}, path=f"/v1/cases/{ORDER_CASE}/decisions")
    problem(answer, 403, "not-allowed")
    problem(await house.get("/v1/unmatched"), 403, "not-allowed")


async def test_over_the_quota_a_caller_is_told_when_to_come_back(house: House) -> None:
    for _ in range(2):
        assert (await house.get("/v1/items", by="slow")).status_code == 200
    answer = await house.get("/v1/items", by="slow")
    problem(answer, 429, "rate-limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert (await house.get("/v1/items")).status_code == 200, "others are not kept waiting"


async def test_a_body_that_is_too_large_is_not_kept(house: House) -> None:
    problem(await house.post(b" " * (MOST_BYTES + 1)), 413, "too-large")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    headers = {"Authorization": "Bearer system", "Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await house.client.post("/v1/requisitions", content=endless(), headers=headers)
    problem(answer, 413, "too-large")
    assert not house.messages


async def test_another_format_is_refused(house: House) -> None:
    problem(await house.post(b"<a/>", **{"Content-Type": "application/xml"}), 415, "parse")


async def test_a_mistake_of_ours_is_a_problem_with_a_trace_and_without_its_text(house: House) -> None:
    house.engine.breaks = KeyError("patient Miller")
    answer = await house.post(wire())
    problem(answer, 500, "internal")
    assert "Miller" not in answer.text


async def test_a_callers_trace_goes_on_through_the_door(house: House) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = await house.post(wire(), traceparent=f"00-{trace}-b7ad6b7169203331-01")
    assert answer.headers["x-trace-id"] == trace
    assert house.messages[0].trace == trace


# ---- look-ups -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/v1/requisitions",
        "/v1/orders?state=sent+to+supplier&open=true&limit=5",
        "/v1/items?search=glove",
        "/v1/items/ITM-1001",
        "/v1/suppliers",
        "/v1/suppliers/ALPINE",
    ],
)
async def test_what_is_there_is_found(house: House, path: str) -> None:
    assert (await house.get(path)).status_code == 200


async def test_a_list_is_of_the_keys_own_facility_and_passes_its_filters_on(house: House) -> None:
    await house.get("/v1/orders?state=ordered&open=true&limit=5&after=x", by="elsewhere")
    assert house.lookups.asked == [("SGH", "purchase_order", "ordered", "True", "x", "5")]


@pytest.mark.parametrize("path", ["/v1/orders/PO-9", "/v1/requisitions/a/b/c", "/v1/items/X", "/v1/suppliers/X", "/v2"])
async def test_what_is_not_there_is_a_problem(house: House, path: str) -> None:
    problem(await house.get(path), 404, "not-found")


async def test_a_requisition_number_may_hold_a_slash(house: House) -> None:
    await house.cases.record(stands("procure_to_pay/NGH/surgery-app/R%2F7"))
    answer = await house.get("/v1/requisitions/surgery-app/R%2F7")
    assert answer.json()["status"]["business_state"] == "sent to supplier"


async def test_a_wrong_parameter_is_a_problem_with_its_path(house: House) -> None:
    told = problem(await house.get("/v1/orders?limit=9999"), 422, "data-invalid")
    assert told["errors"][0]["path"] == "$.query.limit"  # type: ignore[index]


# ---- decisions ------------------------------------------------------------------------------------------------------


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


async def test_a_misspelt_decision_is_refused_with_its_path(house: House) -> None:
    await house.cases.record(stands(ORDER_CASE))
    told = problem(
        await house.post({"verb": "approve", "lne": "1"}, by="person", path=f"/v1/cases/{ORDER_CASE}/decisions"),
        422,
        "data-invalid",
    )
    assert told["errors"][0]["path"] == "$.lne"  # type: ignore[index]


# ---- documents without a case ---------------------------------------------------------------------------------------


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


# ---- what operators ask ---------------------------------------------------------------------------------------------


async def test_the_door_is_ready_without_temporal_but_not_without_our_store(house: House) -> None:
    assert (await house.client.get("/healthz")).json() == {"status": "ok"}
    assert (await house.client.get("/readyz")).status_code == 200
    house.failing["temporal"] = True
    answer = await house.client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["temporal"]) == (200, "temporal does not answer")
    house.failing["store"] = True
    assert (await house.client.get("/readyz")).status_code == 503


async def test_every_operation_has_a_name_and_every_reference_leads_somewhere(house: House) -> None:
    schema = (await house.client.get("/openapi.json")).json()
    operations = [one for path in schema["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(names) == len(set(names)) > 12
    assert all("_" not in name for name in names)
    body = schema["paths"]["/v1/requisitions"]["post"]["requestBody"]["content"]["application/json"]
    assert body["examples"]["two lines"]["value"] == EXAMPLE
    text = json.dumps(schema)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in schema["components"]["schemas"], name


async def test_many_at_once_under_one_key_start_one_case(house: House) -> None:
    answers = await asyncio.gather(*(house.post(wire()) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(house.messages) == 1
    assert {case for case, _ in house.engine.started} == {"procure_to_pay/NGH/surgery-app/R-1"}


async def test_a_search_for_what_no_database_holds_is_refused(house: House) -> None:
    problem(await house.get("/v1/items?search=%00", by="person"), 422, "data-invalid")
    problem(await house.get("/v1/orders?state=a%00b", by="person"), 422, "data-invalid")


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
