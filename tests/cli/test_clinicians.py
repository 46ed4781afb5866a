"""Clinicians' cases as one keeps them at a terminal."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from canonical.onboarding import PersonWord
from tests.cli.clinicians import AT_TWO, KEY
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse


def the_word(house: FakeHouse) -> PersonWord:
    facility, person, word = house.asked_for[-1]
    assert (facility, person) == ("NGH", KEY) and isinstance(word, PersonWord)
    return word


def test_cases_are_listed_by_key_and_headline(fascia: Fascia, house: FakeHouse) -> None:
    items = fascia("clinician", "list", "--facility", "NGH", "--headline", "committee pending", "--json").json["items"]
    assert [(one["person"], one["headline"], one["overdue"]) for one in items] == [
        (KEY, "committee pending", 1), (AT_TWO, "committee pending", 1)
    ]  # fmt: skip
    assert house.asked_for == [("clinicians", "NGH", "committee pending", False)]


def test_a_misspelt_headline_or_outcome_is_told_with_those_there_are(fascia: Fascia, house: FakeHouse) -> None:
    wrong = fascia("clinician", "list", "--headline", "comittee pending")
    assert wrong.code == 2 and "committee pending" in wrong.err
    wrong = fascia("clinician", "verify", KEY, "education", "yes", "--reference", "d-1")
    assert wrong.code == 2 and "one of confirmed, refuted" in wrong.err and "''" not in wrong.err
    assert house.asked_for == []


def test_a_list_that_is_cut_says_so(fascia: Fascia) -> None:
    assert "and more" in fascia("clinician", "list", "--limit", "1").err


def test_a_case_is_shown_with_what_stops_it_and_what_waits(fascia: Fascia) -> None:
    text = fascia("clinician", "show", KEY).out
    for said in ("committee pending", "dea:IL: missing", "p-1", "requested", "licence:IL expires on 2026-12-01", "t-1"):
        assert said in text


@pytest.mark.parametrize(
    ("verb", "args", "fields"),
    [
        ("verify", ["education", "confirmed", "--reference", "d-1", "--expires", "2030-01-31"],
         {"check": "education", "outcome": "confirmed", "reference": "d-1", "expires_on": date(2030, 1, 31)}),
        ("approve", ["p-1"], {"privilege": "p-1"}),
        ("reject", ["p-1"], {"privilege": "p-1"}),
        ("temporary", ["p-1", "--days", "30"], {"privilege": "p-1", "days": 30}),
        ("suspend", [], {}),
        ("reinstate", [], {}),
        ("withdraw", ["--yes"], {}),
        ("leave", ["--on", "2026-12-31"], {"on": date(2026, 12, 31)}),
        ("noticed", ["p-1"], {"privilege": "p-1"}),
        ("done", ["t-1"], {"task": "t-1"}),
    ],
)  # fmt: skip
def test_each_word_reaches_the_case_as_it_was_said(
    fascia: Fascia, house: FakeHouse, verb: str, args: list[str], fields: dict[str, Any]
) -> None:
    ended = fascia("clinician", verb, KEY, *args, "--reason", "agreed", "--id", "W-1")
    assert (ended.code, ended.out.strip()) == (0, f"{verb} taken")
    word = the_word(house)
    assert (word.verb, word.reason, word.id) == (verb, "agreed", "W-1")
    assert {name: getattr(word, name) for name in fields} == fields


def test_privileges_are_asked_for_with_their_scope_and_revoked_by_name(fascia: Fascia, house: FakeHouse) -> None:
    scope = ["--service", "surgery", "--site", "OR-1", "--procedures", "robotic", "--ends", "2027-06-30"]
    fascia("clinician", "request", KEY, *scope, "--reason", "new surgeon")
    asked = the_word(house).scope
    assert asked is not None and str(asked) == "OR-1 / surgery / robotic" and asked.ends == date(2027, 6, 30)
    fascia("clinician", "revoke-privilege", KEY, "p-1", "--reason", "outcomes")
    assert (the_word(house).verb, the_word(house).privilege) == ("revoke", "p-1")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["approve", KEY, "p-1"], 2, "needs a reason"),
        (["verify", KEY, "education", "perhaps"], 2, "OUTCOME"),
        (["leave", KEY, "--on", "tomorrow", "--reason", "x"], 2, "is no day"),
        (["suspend", AT_TWO, "--reason", "x"], 2, "--facility"),
        (["suspend", "person-9999", "--reason", "x"], 3, "person-9999"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is(
    fascia: Fascia, house: FakeHouse, args: list[str], code: int, said: str
) -> None:
    ended = fascia("clinician", *args)
    assert ended.code == code and said in ended.err and house.asked_for == []
