"""A signed request starts a requisition once: forged, old and repeated ones start nothing, and a secret changes without a gap."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.lookups import Caller
from gateway.signatures import WINDOW, Signer, signature
from tests.gateway.rest_house import House, problem, wire

OLD, NEW = b"o" * 32, b"n" * 32


def caller(key: str, **fields: Any) -> Caller:
    about = {"key": key, "sender": "or-planner", "facility": "NGH", "scopes": ("source:surgery-app",)}
    return Caller.model_validate({**about, **fields})


@pytest.fixture(autouse=True)
def known(house: House) -> None:
    house.signing["or-planner"] = [Signer(caller("key-old"), OLD)]


async def sent(
    house: House,
    body: object = None,
    *,
    name: str = "req-1",
    at: float | None = None,
    secret: bytes = OLD,
    sender: str = "or-planner",
    **headers: str,
) -> httpx.Response:
    content = json.dumps(wire() if body is None else body).encode()
    stamp = str(int(time.time() if at is None else at))
    given = {"Webhook-Id": name, "Webhook-Timestamp": stamp, "Content-Type": "application/json"}
    given["Webhook-Signature"] = signature(secret, name, stamp, content)
    return await house.client.post(f"/v1/hooks/{sender}", content=content, headers={**given, **headers})


def test_the_signature_is_that_of_the_specification() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


async def test_a_signed_requisition_is_kept_and_starts_its_case(house: House) -> None:
    answer = await sent(house)
    assert (answer.status_code, answer.json()["status"]) == (202, "started")
    ((message),) = house.messages
    assert (message.door, message.sender, message.state) == ("hook", "key-old", "routed")
    assert len(house.engine.started) == 1


async def test_a_repeat_hears_the_first_answer_and_starts_nothing(house: House) -> None:
    first = await sent(house)
    for seconds in (0, 60, -60):
        again = await sent(house, at=time.time() - seconds)
        assert (again.status_code, again.json()) == (202, first.json())
    assert len(house.engine.started) == len(house.messages) == 1
    problem(await sent(house, wire(number="R-2")), 422, "idempotency-key-reused")
    assert len(house.engine.started) == 1


async def test_a_parameter_nobody_reads_is_refused_once_its_sender_is_known(house: House) -> None:
    told = problem(await sent(house, sender="or-planner?dry_run=true"), 422, "data-invalid")
    assert told["errors"][0]["path"] == "$.query.dry_run"
    problem(await sent(house, sender="or-planner?dry_run=true", secret=NEW), 401, "signature")
    assert house.messages == []


@pytest.mark.parametrize("seconds", [WINDOW + 5, -WINDOW - 5, 10_000_000])
async def test_a_request_out_of_the_window_is_refused_with_its_age(house: House, seconds: int) -> None:
    told = problem(await sent(house, at=time.time() - seconds), 401, "timestamp")
    assert "seconds" in str(told["detail"]) and str(WINDOW) in str(told["detail"])
    assert house.messages == [] and house.engine.started == []
    assert (await sent(house, at=time.time() - WINDOW + 10)).status_code == 202


@pytest.mark.parametrize(
    "forge",
    [
        {"secret": NEW},
        {"Webhook-Id": "req-2"},
        {"Webhook-Timestamp": str(int(time.time()) - 7)},  # no moment at which anything is signed here
        {"Webhook-Signature": "v1,AAAA"},
        {"Webhook-Signature": "v1a,é".encode()},
        {"Webhook-Signature": ""},
        {"Webhook-Id": ""},
        {"Webhook-Id": "a b"},
        {"Webhook-Timestamp": "soon"},
        {"Webhook-Timestamp": "1" * 30},
        {"sender": "nobody"},
        {"Webhook-Signature": " ".join(["v1,AAAA"] * 1000)},
    ],
)
async def test_whatever_is_forged_is_refused_and_kept_nowhere(house: House, forge: dict[str, Any]) -> None:
    problem(await sent(house, **forge), 401, "signature")
    assert house.messages == []


async def test_an_unknown_sender_hears_what_a_wrong_signature_hears(house: House) -> None:
    wrong, unknown = await sent(house, secret=NEW), await sent(house, sender="nobody")
    assert wrong.json()["detail"] == unknown.json()["detail"]


async def test_a_changed_body_is_no_longer_signed(house: House) -> None:
    stamp, content = str(int(time.time())), json.dumps(wire()).encode()
    headers = {"Webhook-Id": "req-1", "Webhook-Timestamp": stamp, "Content-Type": "application/json"}
    headers["Webhook-Signature"] = signature(OLD, "req-1", stamp, content)
    answer = await house.client.post("/v1/hooks/or-planner", content=content + b" ", headers=headers)
    problem(answer, 401, "signature")


async def test_two_secrets_hold_while_one_is_changed_and_a_request_may_carry_both(house: House) -> None:
    house.signing["or-planner"].insert(0, Signer(caller("key-new"), NEW))
    assert (await sent(house, name="a")).status_code == (await sent(house, name="b", secret=NEW)).status_code == 202
    stamp, content = str(int(time.time())), json.dumps(wire()).encode()
    house.signing["or-planner"] = [Signer(caller("key-new"), NEW)]
    both = " ".join(signature(one, "c", stamp, content) for one in (OLD, NEW))
    headers = {"Webhook-Id": "c", "Webhook-Timestamp": stamp, "Webhook-Signature": both}
    answer = await house.client.post(
        "/v1/hooks/or-planner", content=content, headers={**headers, "Content-Type": "application/json"}
    )
    assert answer.status_code == 202
    problem(await sent(house, name="d"), 401, "signature")


async def test_its_scope_facility_source_and_quota_hold_as_for_a_key(house: House) -> None:
    problem(await sent(house, wire(facility="SGH"), name="a"), 403, "not-allowed")
    problem(await sent(house, wire(source="pharmacy-app"), name="b"), 403, "not-allowed")
    house.signing["or-planner"] = [Signer(caller("key-x", scopes=("lookups",)), OLD)]
    problem(await sent(house, name="c"), 403, "not-allowed")
    house.signing["or-planner"] = [Signer(caller("key-y", per_minute=1), OLD)]
    assert (await sent(house, name="d")).status_code == 202
    problem(await sent(house, name="e"), 429, "rate-limited")


DOCS = Path(__file__).parents[2] / "docs" / "webhooks.md"


def receiver() -> Callable[..., bool]:
    """The example of the documentation, as it stands there."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    taken: Callable[..., bool] = names["taken"]
    return taken


def test_the_documented_receiver_takes_what_we_sign_once_and_nothing_else() -> None:
    taken, seen, body = receiver(), set[str](), b'{"key":"case/1"}'
    digest = hmac.new(OLD, b"case/1.1000." + body, hashlib.sha256).digest()
    headers = {"Webhook-Id": "case/1", "Webhook-Timestamp": "1000"}
    headers["Webhook-Signature"] = "v1," + base64.b64encode(digest).decode()

    def at(seconds: float) -> Callable[[], float]:
        return lambda: seconds

    assert taken(headers, body, OLD, seen, at(1299)) and not taken(headers, body, OLD, seen, at(1299))
    for changed, secret, now in (
        (headers, OLD, 1301),
        (headers, OLD, 699),
        (headers, NEW, 1000),
        ({**headers, "Webhook-Id": "case/2"}, OLD, 1000),
        ({**headers, "Webhook-Timestamp": "1001"}, OLD, 1001),
    ):
        with pytest.raises(ValueError):
            taken(changed, body, secret, set(), at(now))
