"""HR events as JSON, as SCIM users and by signed requests: kept once, read under their number, refused with their path."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from typing import Any

import pytest

from canonical.base import Canonical
from canonical.errors import Malformed
from canonical.hr_ports import HrStanding
from canonical.people import EVENT_STATES, HrEvent
from canonical.senders import Mappings, Sender
from gateway.feeds import rest_people, rest_scim
from gateway.feeds.rest_scim import HR
from gateway.lookups import Caller
from gateway.rest_people import LEAVER, ONE, SCIM
from gateway.signatures import Signer, signature
from tests.gateway.rest_house import House, heard, problem

SENDER = Sender(code="orplan", facility="NGH", dialect="rest", source="workday")
AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
SECRET = b"s" * 32


def scim(**said: Any) -> HrEvent:
    (found,) = rest_scim.read(json.dumps(SCIM | said).encode(), "K-1", AT, SENDER, Mappings())
    return found


async def test_an_event_is_kept_under_its_key_and_the_same_again_is_the_first(house: House) -> None:
    answer, again = [await house.post(ONE, "k-1", path="/v1/hr-events") for _ in range(2)]
    assert answer.status_code == 202 and answer.json() == again.json()
    (event,) = await heard(house)
    assert (event.number, event.kind, event.person, event.effective) == ("k-1", "hire", "E-2077", date(2026, 12, 1))
    assert event.said_at == datetime(2026, 11, 2, 14, 14, 55, tzinfo=UTC)
    seen = await house.get(answer.json()["href"])
    assert seen.json()["status"] == "taken" and "MAPLE" not in seen.text
    problem(await house.post(LEAVER, "k-1", path="/v1/hr-events"), 422, "idempotency-key-reused")


async def test_several_events_are_one_message_each_under_its_place(house: House) -> None:
    await house.post({"events": [ONE, LEAVER]}, "k-1", path="/v1/hr-events")
    hire, leaver = await heard(house)
    assert (hire.number, leaver.number) == ("k-1/1", "k-1/2")
    assert (leaver.kind, leaver.emergency, leaver.said_at) == ("terminate", True, house.messages[0].at)
    await house.post(ONE, "k-2", path="/v1/hr-events")
    assert [one.priority for one in house.messages] == [0, 2], "who must go at once waits behind nobody who comes"


async def test_how_each_event_stands_is_told_with_a_code_and_nothing_of_anybody(house: House) -> None:
    answer = await house.post({"events": [ONE, LEAVER]}, "k-1", path="/v1/hr-events")
    mine = {"message": answer.json()["message"]}
    house.standing = [
        HrStanding(number="k-1/2", kind="terminate", state="waiting", finding="hire-missing", **mine),
        HrStanding(number="k-1/1", kind="hire", state="parked", finding="ends-before-it-starts", **mine),
        HrStanding(number="k-2", kind="hire", state="applied", message="another"),
    ]
    assert "events" not in (await house.get(answer.json()["href"])).json(), "it was not read yet"
    await heard(house)
    seen = (await house.get(answer.json()["href"])).json()
    assert house.asked == [("NGH", "surgery-app")] and seen["status"] == "taken"
    assert seen["events"] == [
        {"number": "k-1/1", "kind": "hire", "state": "parked", "finding": "ends-before-it-starts"},
        {"number": "k-1/2", "kind": "terminate", "state": "waiting", "finding": "hire-missing"},
    ]
    schema = (await house.client.get("/openapi.json")).json()["components"]["schemas"]
    assert "HrEventView" in str(schema["HrMessageView"]["properties"]["events"])
    assert set(schema["HrEventView"]["properties"]["state"]["enum"]) == set(EVENT_STATES)


async def test_an_event_another_message_brought_is_none_of_one_that_was_refused(house: House) -> None:
    answer = await house.post(ONE, "k-1", path="/v1/hr-events")
    house.standing = [HrStanding(number="k-1", kind="hire", state="applied", message="another")]
    kept = house.messages[0]
    house.journal.messages[kept.id] = kept.model_copy(update={"state": "refused"})
    assert "events" not in (await house.get(answer.json()["href"])).json()


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"kind": "fire"}, "kind"),
        ({"effective": "soon"}, "effective"),
        ({"said_at": "2026-11-02T08:00:00"}, "said_at"),
        ({"said_at": "9999-12-31T23:59:59-05:00"}, "said_at"),
        ({"reason": "had a quarrel"}, "reason"),
        ({"kind": "grant"}, "site"),
        ({"position": {}}, "role"),
        ({"colour": "red"}, "colour"),
        ({"emergency": True}, "emergency"),
        ({"kind": "update", "emergency": True}, "emergency: only terminate and deactivate"),
    ],
)
async def test_what_is_not_as_agreed_is_refused_with_its_path_kept_and_says_nothing_of_the_person(
    house: House, change: dict[str, Any], path: str
) -> None:
    answer = await house.post(ONE | change, "k-1", path="/v1/hr-events")
    assert answer.status_code == 422 and path in answer.text and "MAPLE" not in answer.text
    assert [one.state for one in house.messages] == ["refused"]


@pytest.mark.parametrize(
    ("record", "path", "rule"),
    [
        ({"npi": "1234567890"}, "record.npi", "this is no NPI: ten digits, the first 1 or 2"),
        ({"npi": "PENDING"}, "record.npi", "Luhn over 80840 and the number"),
        (
            {"dea": [{"number": "BM1234563"}, {"number": "BM1234565"}]},
            "record.dea.1.number",
            "this is no DEA number: its last digit is the check digit",
        ),
    ],
)
async def test_a_number_whose_check_digit_is_wrong_is_told_with_its_field_and_rule_and_nothing_of_the_person(
    house: House, record: dict[str, Any], path: str, rule: str
) -> None:
    wrong = ONE | {"record": {"name": {"family": "MAPLE", "given": "TEST"}} | record}
    for kind in ("hire", "activate"):
        told = problem(await house.post(wrong | {"kind": kind}, f"k-{kind}", path="/v1/hr-events"), 422, "data-invalid")
        assert told["errors"][0]["pointer"] == "#/" + path.replace(".", "/") and rule in told["detail"]
        assert not any(said in str(told) for said in ("MAPLE", "1234567890", "PENDING", "BM123456"))
    many = await house.post({"events": [ONE, wrong]}, "k-many", path="/v1/hr-events")
    assert problem(many, 422, "data-invalid")["detail"].startswith(f"events.1.{path}: ")


async def test_who_goes_and_an_update_that_may_say_so_are_heard_whatever_their_numbers(house: House) -> None:
    for place, kind in enumerate(("update", "terminate", "leave", "deactivate", "delete")):
        gone = ONE | {"kind": kind, "record": {"npi": "1234567890"}}
        assert (await house.post(gone, f"k-{place}", path="/v1/hr-events")).status_code == 202
    assert len(await heard(house)) == 5


def test_a_scim_user_whose_npi_is_none_is_refused_at_its_place() -> None:
    with pytest.raises(Malformed) as refused:
        scim(**{HR: {"role": "surgeon", "npi": "1234567890"}})
    assert refused.value.path == f"{HR}.npi" and "Luhn over 80840" in refused.value.message
    assert scim(active=False, **{HR: {"role": "surgeon", "npi": "1234567890"}}).kind == "deactivate"


async def test_a_scim_user_is_one_event_and_what_scim_has_no_word_for_is_in_our_extension(house: House) -> None:
    answer = await house.post(SCIM, "k-1", path="/v1/scim/Users")
    assert answer.status_code == 202
    (event,) = await heard(house)
    assert (event.kind, event.person, event.effective) == ("hire", "E-2077", date(2026, 12, 1))
    assert (event.record.name.family, event.record.npi) == ("MAPLE", "1234567893")
    assert (event.position.role, event.position.department, event.position.cost_centre) == (
        "surgeon",
        "surgery",
        "CC-4100",
    )


def test_what_a_scim_user_comes_to_follows_from_its_state_and_dates() -> None:
    assert scim(active=False).kind == "deactivate"
    later = {"created": "2026-11-02T14:14:55Z", "lastModified": "2026-11-05T08:00:00-06:00"}
    changed = scim(meta=later)
    assert (changed.kind, changed.said_at) == ("update", datetime(2026, 11, 5, 14, 0, tzinfo=UTC))
    gone = scim(**{HR: {"event": "terminate", "effective": "2026-11-09", "emergency": True}})
    assert (gone.kind, gone.emergency, gone.effective) == ("terminate", True, date(2026, 11, 9))
    assert scim(
        userName="x", photos=[], emails=[{"value": "a@x.example"}, {"value": "b@x.example", "primary": True}]
    ).record.email == ("b@x.example"), "what a service does not know it passes over"
    for said, path in (
        ({"schemas": []}, "schemas"),
        ({"externalId": "", "urn:x": 1, **_nameless()}, "externalId"),
        ({HR: {"event": "update", "role": "rn", "emergency": True}}, f"{HR}.emergency"),
    ):
        with pytest.raises(Malformed) as refused:
            scim(**said)
        assert refused.value.path == path


def _nameless() -> dict[str, Any]:
    return {rest_scim.ENTERPRISE: {}}


async def test_a_signed_request_says_an_event_and_a_forged_one_none(house: House) -> None:
    caller = Caller(key="key-h", sender="orplan", facility="NGH", scopes=("people",))
    house.signing["workday"] = [Signer(caller, SECRET)]
    body = json.dumps(ONE).encode()

    async def sent(secret: bytes, name: str = "evt-1") -> Any:
        stamp = str(int(time.time()))
        given = {"Webhook-Id": name, "Webhook-Timestamp": stamp, "Content-Type": "application/json"}
        given["Webhook-Signature"] = signature(secret, name, stamp, body)
        return await house.client.post("/v1/hooks/workday/hr-events", content=body, headers=given)

    assert (await sent(b"x" * 32)).status_code == 401 and house.messages == []
    assert (await sent(SECRET)).status_code == 202
    assert (await sent(SECRET)).status_code == 202 and len(house.messages) == 1
    (event,) = await heard(house)
    assert event.number == "evt-1"
    house.signing["workday"] = [Signer(caller.model_copy(update={"scopes": ("requisitions",)}), SECRET)]
    problem(await sent(SECRET, "evt-2"), 403, "not-allowed")


def test_codes_are_those_of_the_senders_tables() -> None:
    tables = Mappings(
        {"role": {"surgeon": "attending"}, "department": {"surgery": "surg"}, "reason": {"for-cause": "emergency-x"}}
    )
    (hire,) = rest_people.read(json.dumps(ONE).encode(), "K", AT, SENDER, tables)
    assert (hire.position.role, hire.position.department, hire.position.cost_centre) == ("attending", "surg", "CC-4100")
    (leaver,) = rest_people.read(json.dumps(LEAVER | {"emergency": False}).encode(), "K", AT, SENDER, tables)
    assert leaver.emergency and isinstance(leaver, Canonical)
