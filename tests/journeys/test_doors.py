"""The doors as those outside use them: REST with a key, Temporal with JSON, and the command line at a terminal."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from demo.stage import FACILITY
from demo.story_scene import BUYER, LABORATORY, PHARMACY, SURGERY, Ask
from tests.journeys.conftest import Hospital, sent_once
from tests.journeys.sheets import AT_PAR, TO_APPROVE, Sheet, case_of, sheet
from tests.journeys.terminal import fascia, new_key, typed
from tests.journeys.together import side_by_side, under_way
from tests.journeys.uses import until

pytestmark = pytest.mark.timeout(1500)  # the first of them starts the hospital

__all__ = ["under_way"]  # a fixture: it is asked for by name

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
REQUISITIONS = "/v1/requisitions"
PROBLEM = "application/problem+json"


async def ask(
    hospital: Hospital, method: str, path: str, body: Any = None, *, secret: str = "", **headers: str
) -> httpx.Response:
    """One request, answered as it is answered: nothing is tried again."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given |= {"Authorization": f"Bearer {secret}"} if secret else {}
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    given.setdefault("Content-Type", "application/json")
    return await hospital.doors.http.request(method, f"{hospital.stage.api_url}{path}", content=data, headers=given)


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is this problem, in the one form problems have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["title"] and problem["trace"] == answer.headers["x-trace-id"]
    return problem


def a_number() -> str:
    return f"D-{uuid.uuid4().hex[:10]}"


# -- REST: who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["", "fsc_made_up"], ids=["no key", "a made-up key"])
async def test_without_a_key_of_ours_nobody_is_let_in(hospital: Hospital, secret: str) -> None:
    body = sheet(a_number(), PHARMACY, AT_PAR)
    paths = [("POST", REQUISITIONS), ("GET", REQUISITIONS), ("GET", "/v1/items"), ("GET", "/v1/unmatched")]
    for method, path in paths:
        answer = await ask(hospital, method, path, body if method == "POST" else None, secret=secret)
        is_problem(answer, 401, "auth")
        assert answer.headers["www-authenticate"] == "Bearer"


@side_by_side
async def test_a_key_does_only_what_it_was_made_for_and_at_its_own_facility(hospital: Hospital) -> None:
    file = hospital.stage.home / "facilities.csv"
    file.write_text("code,name\nSGH,Southfield General Hospital\n", encoding="utf-8")
    assert (await fascia(hospital, "register", "load", str(file))).code == 0
    reader, elsewhere = await asyncio.gather(
        new_key(hospital, "stock-board", "--scope", "lookups"), new_key(hospital, "other-house", facility="SGH")
    )
    ours, number = hospital.stage.keys[PHARMACY.sender], a_number()
    body = sheet(number, PHARMACY, AT_PAR)
    is_problem(
        await ask(hospital, "POST", REQUISITIONS, body, secret=reader, Idempotency_Key=number), 403, "not-allowed"
    )
    assert (await ask(hospital, "GET", "/v1/items/ITM-1018", secret=reader)).status_code == 200
    is_problem(await ask(hospital, "GET", "/v1/unmatched", secret=reader), 403, "not-allowed")

    other = await ask(hospital, "POST", REQUISITIONS, body, secret=elsewhere, Idempotency_Key=number)
    assert "facility SGH" in is_problem(other, 403, "not-allowed")["detail"]
    accepted = await ask(hospital, "POST", REQUISITIONS, body, secret=ours, Idempotency_Key=number)
    assert accepted.status_code == 202, accepted.text
    asked = case_of(hospital, PHARMACY, number)
    await asked.ordered()
    path = accepted.headers["location"]
    assert (await ask(hospital, "GET", path, secret=ours)).status_code == 200
    is_problem(await ask(hospital, "GET", path, secret=elsewhere), 404, "not-found")
    assert (await ask(hospital, "GET", REQUISITIONS, secret=elsewhere)).json()["cases"] == []
    decisions, word = f"/v1/cases/{asked.name}/decisions", {"verb": "cancel", "reason": "not ours"}
    person = hospital.stage.keys[BUYER]
    nobody = await ask(hospital, "POST", decisions, word, secret=ours, Idempotency_Key="1")
    assert "no person" in is_problem(nobody, 403, "not-allowed")["detail"]
    unknown = decisions.replace(FACILITY, "SGH")
    is_problem(await ask(hospital, "POST", unknown, word, secret=person, Idempotency_Key="1"), 404, "not-found")
    (order,) = await asked.orders()
    await order.at_supplier("our order", sent_once)
    await hospital.everything_once(asked.scene)


async def test_a_key_over_its_quota_hears_when_to_come_again(hospital: Hospital) -> None:
    secret = await new_key(hospital, "eager", "--per-minute", "3")
    answers = [await ask(hospital, "GET", "/v1/items/ITM-1001", secret=secret) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    is_problem(answers[-1], 429, "rate-limited")
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert (
        await ask(hospital, "GET", "/v1/items/ITM-1001", secret=hospital.stage.keys[PHARMACY.sender])
    ).status_code == 200


# -- REST: what is sent -------------------------------------------------------------------------------------------------


@side_by_side
async def test_an_idempotency_key_makes_a_repeat_the_same_request_and_another_body_a_mistake(
    hospital: Hospital,
) -> None:
    number, key, secret = a_number(), uuid.uuid4().hex, hospital.stage.keys[PHARMACY.sender]
    body = sheet(number, PHARMACY, AT_PAR)

    async def post(body: Sheet | bytes, **headers: str) -> httpx.Response:
        return await ask(hospital, "POST", REQUISITIONS, body, secret=secret, **headers)

    is_problem(await post(body), 400, "data-missing")
    is_problem(await post(body, Idempotency_Key=""), 400, "data-missing")
    is_problem(await post(body, Idempotency_Key=key, Content_Type="text/csv"), 415, "parse")
    is_problem(await post(b" " * 1_000_001, Idempotency_Key=key), 413, "too-large")
    first, *same = await asyncio.gather(*(post(body, Idempotency_Key=key) for _ in range(5)))
    assert first.status_code == 202 and first.json()["status"] in ("started", "kept")
    assert {(answer.status_code, answer.json()["case"], answer.json()["message"]) for answer in same} == {
        (202, first.json()["case"], first.json()["message"])
    }
    other = sheet(number, PHARMACY, Ask("ITM-1018", 9, "BX"))
    is_problem(await post(other, Idempotency_Key=key), 422, "idempotency-key-reused")
    anew = await post(body, Idempotency_Key=uuid.uuid4().hex)
    assert anew.json()["case"] == first.json()["case"] and anew.json()["message"] != first.json()["message"]
    asked = case_of(hospital, PHARMACY, number)
    (order,) = await asked.ordered()
    await order.at_supplier("our order", sent_once)
    await hospital.everything_once(asked.scene)


@side_by_side
async def test_departments_look_up_their_requisitions_orders_items_and_suppliers(hospital: Hospital) -> None:
    number, secret = a_number(), hospital.stage.keys[LABORATORY.sender]
    asked = case_of(hospital, LABORATORY, number)
    body = sheet(number, LABORATORY, Ask("ITM-1019", 2, "BX"), Ask("ITM-1020", 1, "BX"))
    await hospital.doors.post_requisition(LABORATORY.sender, body, key=number)
    (order,) = await asked.ordered()
    await order.at_supplier("our order", lambda held: held.times >= 1)

    async def get(path: str) -> dict[str, Any]:
        answer = await ask(hospital, "GET", path, secret=secret)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    view = await get(f"{REQUISITIONS}/{LABORATORY.sender}/{number}")
    assert [line["line"] for line in view["status"]["lines"]] == ["1", "2"]
    assert view["children"] == [order.name] and view["trace"]
    shown = {"order", "erp_order"}  # its supplier may have it before its case has said so
    await order.until(when=lambda view: shown <= {document["kind"] for document in view["documents"]})
    view = await get(f"/v1/orders/{order.number}")
    assert view["parent"] == asked.name
    assert shown <= {document["kind"] for document in view["documents"]}

    names: list[str] = []
    after = ""
    for _ in range(50):
        page = await get(f"{REQUISITIONS}?limit=2&after={quote(after)}")
        assert len(page["cases"]) <= 2
        names += [row["case"] for row in page["cases"]]
        after = page["next"]
        if not after or asked.name in names:
            break
    assert asked.name in names and len(names) == len(set(names))
    assert order.number in {row["number"] for row in (await get("/v1/orders?open=true&limit=200"))["cases"]}
    assert (await get("/v1/items?search=pipette"))["items"][0]["code"] == "ITM-1021"
    item = await get("/v1/items/ITM-1018")
    assert "ALP-ORS-5" in json.dumps(item)
    suppliers = await get("/v1/suppliers")
    assert {"ALPINE", "BOREAL", "CORVUS"} <= {row["code"] for row in suppliers["suppliers"]}
    assert (await get("/v1/suppliers/CORVUS"))["status"] == "blocked"
    assert "000111222" not in json.dumps(suppliers)  # no bank account leaves by this door
    for path in ("/v1/orders/PO999999", f"{REQUISITIONS}/nobody/1", "/v1/items/ITM-0", "/v1/suppliers/NONE", "/v1/x"):
        is_problem(await ask(hospital, "GET", path, secret=secret), 404, "not-found")
    is_problem(await ask(hospital, "GET", "/v1/items?limit=0", secret=secret), 422, "data-invalid")
    is_problem(await ask(hospital, "DELETE", REQUISITIONS, secret=secret), 405, "not-allowed-here")


async def test_the_door_describes_itself_and_says_that_it_can_work(hospital: Hospital) -> None:
    described = (await ask(hospital, "GET", "/openapi.json")).json()
    assert described["openapi"].startswith("3.")
    for path in (REQUISITIONS, "/v1/orders/{number}", "/v1/items/{code}", "/v1/suppliers/{code}", "/v1/unmatched"):
        assert path in described["paths"], path
    body = described["paths"][REQUISITIONS]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["$ref"].rpartition("/")[2] in described["components"]["schemas"]
    assert "HTTPBearer" in described["components"]["securitySchemes"]
    assert (await ask(hospital, "GET", "/docs")).status_code == 200
    ready = (await ask(hospital, "GET", "/readyz")).json()
    assert ready == {"status": "ready", "parts": {"store": "ok", "temporal": "ok"}}


# -- Temporal: the documented example -----------------------------------------------------------------------------------


async def test_the_documented_example_starts_a_case_that_is_ordered_once(hospital: Hospital, tmp_path: Path) -> None:
    number = a_number()
    body = json.loads((EXAMPLES / "requisition.json").read_text(encoding="utf-8")) | {"number": number}
    file = tmp_path / "requisition.json"
    file.write_text(json.dumps(body), encoding="utf-8")
    told = hospital.stage.stack.addresses
    env = {name: told[name] for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")}
    asked = case_of(hospital, SURGERY, number, source=body["source"])

    async def run_example() -> str:
        program = (sys.executable, str(EXAMPLES / "start_a_requisition.py"), str(file))
        process = await asyncio.create_subprocess_exec(
            *program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode().strip()

    assert set(await asyncio.gather(run_example(), run_example())) == {asked.name}
    (order,) = await asked.ordered()
    held = await order.at_supplier("our order", sent_once)
    assert {line.catalogue: (line.quantity, line.unit) for line in held.lines} == {
        "ALP-GLV-M": (Decimal(2), "BX"),
        "ALP-GLV-L": (Decimal(5), "BX"),
    }
    await hospital.everything_once(asked.scene)


# -- the command line ---------------------------------------------------------------------------------------------------


@side_by_side
async def test_a_case_is_listed_shown_and_approved_at_a_terminal(hospital: Hospital) -> None:
    number = a_number()
    asked = case_of(hospital, LABORATORY, number)
    await hospital.doors.post_requisition(LABORATORY.sender, sheet(number, LABORATORY, TO_APPROVE), key=number)
    revision = (await asked.until("pending approval"))["status"]["revision"]
    manager, buyer = hospital.stage.keys[LABORATORY.manager], hospital.stage.keys[BUYER]

    listed, table, shown, picture = await asyncio.gather(
        fascia(hospital, "case", "list", "--process", "procure_to_pay", "--json"),
        fascia(hospital, "case", "list", "--state", "pending approval"),
        fascia(hospital, "case", "show", number, "--json"),
        typed(hospital, "case", "show", asked.name),
    )
    assert asked.name in {row["case"] for row in listed.json["items"]}
    assert table.code == 0 and "pending approval" in table.out
    assert shown.json["case"] == asked.name and shown.json["owner"] == "manager"
    assert "Temporal UI" in shown.json["links"]
    assert picture.code == 0 and "pending approval, with manager" in picture.out

    unknown, wrong, stranger, old, nameless, reasonless = await asyncio.gather(
        fascia(hospital, "case", "show", "R-nothing", "--json"),
        fascia(hospital, "case", "approve", number, "--line", "", "--colour", "red"),
        typed(hospital, "case", "approve", number, "--json", key=buyer),
        fascia(hospital, "case", "approve", number, "--revision", str(revision - 1), "--json", key=manager),
        fascia(hospital, "case", "approve", number, "--json"),
        fascia(hospital, "case", "reject", number, "--json", key=manager),
    )
    assert (unknown.code, unknown.json["error"]["code"]) == (3, "not-found")
    assert wrong.code == 2
    assert (stranger.code, stranger.json["error"]["code"]) == (4, "not-allowed")
    assert (old.code, old.json["error"]["code"]) == (5, "changed")
    assert nameless.code == 4, nameless.out + nameless.err  # this shell login is nobody of the register
    assert reasonless.code == 2
    assert await asked.orders() == []

    revision = (await asked.until("pending approval"))["status"]["revision"]
    word = ("case", "approve", number, "--id", number, "--revision", str(revision), "--json")
    approved = await typed(hospital, *word, key=manager)
    assert approved.code == 0 and approved.json["taken"], approved.out + approved.err
    (order,) = await asked.ordered()
    again, late = await asyncio.gather(
        fascia(hospital, *word, key=manager),
        fascia(hospital, "case", "approve", number, "--json", key=manager),
    )
    assert late.code == 5, late.out
    assert again.code == 0 and again.json["message"] == approved.json["message"], again.out

    async def followed() -> list[str] | None:
        way = await fascia(hospital, "case", "show", order.number, "--json")
        found = [step["kind"] for step in way.json["way"][0]["steps"]] if way.code == 0 and way.json["way"] else []
        return found if "order" in found else None

    assert (await until(followed, lambda: f"the way to {order.number}"))[0] == "message in"
    await order.at_supplier("our order", sent_once)
    await hospital.everything_once(asked.scene)


@side_by_side
async def test_the_journal_is_listed_and_shown_at_a_terminal_byte_for_byte(hospital: Hospital) -> None:
    number = a_number()
    body = sheet(number, PHARMACY, AT_PAR)
    asked = case_of(hospital, PHARMACY, number)
    await hospital.doors.post_requisition(PHARMACY.sender, body, key=number)
    (order,) = await asked.ordered()
    await order.at_supplier("our order", lambda held: held.acknowledged > 0)
    async with asyncio.timeout(400):
        while True:
            ours = await fascia(hospital, "journal", "list", "--case", order.name, "--kind", "850", "--json")
            if [row["state"] for row in ours.json["items"]] == ["acknowledged"]:
                break
            await asyncio.sleep(1)
    (sent,) = ours.json["items"]
    came = await fascia(hospital, "journal", "list", "--case", asked.name, "--direction", "in", "--json")
    (kept,) = came.json["items"]
    assert (kept["kind"], kept["state"], kept["door"]) == ("requisition", "routed", "rest")

    shown, plain, x12, unknown = await asyncio.gather(
        fascia(hospital, "journal", "show", kept["id"], "--json"),
        typed(hospital, "journal", "show", kept["id"], "--raw"),
        fascia(hospital, "journal", "show", sent["id"], "--json"),
        fascia(hospital, "journal", "show", "no-such-message", "--json"),
    )
    assert json.loads(shown.json["data"]) == body == json.loads(plain.out)
    assert [entry["state"] for entry in shown.json["history"]][-1] == "routed"
    data = x12.json["data"]
    text = base64.b64decode(data).decode() if x12.json["encoding"] == "base64" else data
    assert text.startswith("ISA") and order.number in text and x12.json["trace"]
    assert (unknown.code, unknown.json["error"]["exit_code"]) == (3, 3)
