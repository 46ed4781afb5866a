"""Who may call the REST door, what a caller is shown, and what operators ask of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from opentelemetry import trace

from gateway.rest import MOST_BYTES
from gateway.rest_requisitions import EXAMPLE
from tests.gateway.fakes import ORDER_CASE, stands
from tests.gateway.rest_house import House, problem, wire

# ---- who may call --------------------------------------------------------------------------------------------------


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
    assert answer.headers["retry-after"] == "42"
    assert (await house.get("/v1/items")).status_code == 200, "others are not kept waiting"


async def test_the_calls_of_a_key_without_a_quota_are_not_counted(house: House) -> None:
    for _ in range(3):
        assert (await house.get("/v1/items", by="free")).status_code == 200
    assert house.quotas.calls == {}


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


async def test_a_request_is_in_no_trace_of_the_task_it_runs_in(house: House) -> None:
    """On a kept connection the server runs it in what the request before has left."""
    before = trace.SpanContext(0x1234, 0x56, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(before)):
        answer = await house.post(wire())
    assert answer.status_code == 202 and answer.headers["x-trace-id"] != f"{0x1234:032x}"


async def test_a_callers_trace_goes_on_through_the_door(house: House) -> None:
    theirs = "0af7651916cd43dd8448eb211c80319c"
    answer = await house.post(wire(), traceparent=f"00-{theirs}-b7ad6b7169203331-01")
    assert answer.headers["x-trace-id"] == theirs
    assert house.messages[0].trace == theirs


# ---- look-ups ------------------------------------------------------------------------------------------------------


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
    assert told["errors"][0]["path"] == "$.query.limit"


async def test_a_search_for_what_no_database_holds_is_refused(house: House) -> None:
    problem(await house.get("/v1/items?search=%00", by="person"), 422, "data-invalid")
    problem(await house.get("/v1/orders?state=a%00b", by="person"), 422, "data-invalid")


# ---- what operators ask --------------------------------------------------------------------------------------------


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
