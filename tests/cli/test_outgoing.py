"""Who hears of our events, what was given up, what is routed again, and who did it: as one asks for it at a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from canonical.messages import Kept
from cli.subscriber import SECRET
from gateway.replay_rules import refusal
from tests.cli.conftest import Fascia
from tests.cli.house import ORDER, FakeHouse

URL = "https://stock.test/hook"
GIVEN = "a secret of sixteen or more"


def test_a_subscriber_is_added_with_its_scope_and_our_secret_is_shown_once(fascia: Fascia, house: FakeHouse) -> None:
    ended = fascia("subscriber", "add", "stock", "--url", URL, "--event", "order.*", "--facility", "NGH")
    assert (ended.code, ended.out) == (0, "whsec_made\n") and "shown this once" in ended.err
    request, secret, *_ = house.asked_for[0]
    assert (request.types, request.facilities, secret) == (("order.*",), ("NGH",), "")
    assert "whsec_made" not in fascia("subscriber", "list").out + fascia("subscriber", "list", "--json").out


def test_a_sender_is_told_of_its_own_requests_by_fhir(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("subscriber", "add", "ward", "--url", URL, "--sender", "WARD", "--fhir", "r5").code == 0
    request, *_ = house.asked_for[0]
    assert (request.sender, request.form) == ("WARD", "fhir/r5")


def test_a_secret_comes_from_stdin_or_the_environment_and_is_not_said_again(
    fascia: Fascia, house: FakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(GIVEN + "\n"))
    from_stdin = fascia("subscriber", "add", "stock", "--url", URL, "--secret-stdin", "--json")
    monkeypatch.setenv(SECRET, GIVEN + "!")
    from_environment = fascia("subscriber", "add", "stock", "--url", URL)
    assert [asked[1] for asked in house.asked_for] == [GIVEN, GIVEN + "!"]
    for ended in (from_stdin, from_environment):
        assert ended.code == 0 and GIVEN not in ended.out + ended.err
    monkeypatch.setenv(SECRET, "short")
    assert fascia("subscriber", "add", "stock", "--url", URL).code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ["Stock Desk", "--url", URL],
        ["../stock", "--url", URL],
        ["stock", "--url", "ftp://stock.test"],
        ["stock", "--url", "https://user:password@stock.test"],
        ["stock", "--url", URL, "--facility", "no code"],
        ["stock", "--url", URL, "--fhir", "r5"],
        ["stock", "--url", URL, "--sender", "WARD", "--fhir", "r6"],
        ["stock"],
    ],
)
def test_a_subscriber_that_does_not_fit_is_refused(fascia: Fascia, house: FakeHouse, wrong: list[str]) -> None:
    assert fascia("subscriber", "add", *wrong).code == 2
    assert house.asked_for == []


def test_a_removed_subscriber_takes_what_was_on_its_way_along(fascia: Fascia) -> None:
    assert fascia("subscriber", "remove", "stock", "--dry-run", "--json").json["dry_run"] is True
    assert "2 events" in fascia("subscriber", "remove", "stock").out


def test_what_was_given_up_is_listed_and_tried_again_by_number_or_all(fascia: Fascia, house: FakeHouse) -> None:
    assert ORDER in fascia("outbox", "list").out and house.asked_for[-1].state == "dead"
    fascia("outbox", "list", "--state", "all")
    assert house.asked_for[-1].state == ""
    ended = fascia("outbox", "retry", "7", "8", "--reason", "the hook is back", "--json")
    assert [row["id"] for row in ended.json["items"]] == [7, 8]
    assert house.asked_for[-1] == ((7, 8), "", "the hook is back", False)
    assert fascia("outbox", "retry", "--all", "--subscriber", "stock", "--dry-run").code == 0
    assert house.asked_for[-1] == ((), "stock", "", True)
    assert fascia("outbox", "retry").code == fascia("outbox", "retry", "7", "--all").code == 2


def test_what_operators_did_is_listed_with_who_did_it(fascia: Fascia) -> None:
    (row,) = fascia("audit", "list", "--about", "delivery/7", "--json").json["items"]
    assert (row["actor"], row["known_by"], row["verb"], row["about"]) == (
        "mito",
        "os_user",
        "outbox retry",
        "delivery/7",
    )


def test_a_message_is_replayed_and_one_is_told_what_became_of_it(fascia: Fascia, house: FakeHouse) -> None:
    assert "can be routed again" in fascia("journal", "replay", "m-1", "--dry-run").out
    ended = fascia("journal", "replay", "m-1", "--reason", "the order is there now")
    assert "was dead and is now routed to procure_to_pay/NGH/ward-desk/REQ-1 (new effect)" in ended.out
    assert house.handed[-1] == ("m-1", "", "the order is there now")


def kept(**changes: Any) -> Kept:
    values = {"id": "m-1", "direction": "in", "door": "mailbox", "kind": "x12", "state": "routed"}
    return Kept.model_validate({"at": datetime(2026, 11, 20, tzinfo=UTC), **values, **changes})


@pytest.mark.parametrize(
    ("message", "cases", "code"),
    [
        (kept(direction="out"), [], "not-open"),
        (kept(kind="decision"), [], "not-open"),
        (kept(kind="x12_file"), [], "not-open"),
        (kept(state="refused", reason="not-allowed: this key is for facility NGH"), [], "not-allowed"),
        (kept(state="refused", reason="conflict: message m-0 has this number with other content"), [], "conflict"),
        (kept(state="refused", reason="idempotency-key-reused: other body"), [], "conflict"),
        (kept(), [(ORDER, True)], "not-open"),
        (kept(), [(ORDER, True), ("another", True)], "not-open"),
    ],
)
def test_what_is_never_routed_again_is_refused_with_the_reason(
    message: Kept, cases: list[tuple[str, bool]], code: str
) -> None:
    refused = refusal(message, cases, readable=True)
    assert refused is not None and refused.code == code and refused.message


def test_what_an_open_case_or_nobody_has_may_be_routed_again() -> None:
    for cases in ([], [(ORDER, False)], [(ORDER, True), ("another", False)]):
        assert refusal(kept(), cases, readable=True) is None
    unread = refusal(kept(kind="fax"), [], readable=False)
    assert unread is not None and "fax" in unread.message
