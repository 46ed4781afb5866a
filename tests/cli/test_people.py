"""People as one works with them at a terminal: by key, a name only where it is asked for, a trace that says when it was changed."""

from __future__ import annotations

from cli.people_views import HrEventFilter, PeopleFilter
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse
from tests.cli.people import EVENT, KEY, NAME


def test_people_are_listed_by_key_with_who_is_blocked(fascia: Fascia, house: FakeHouse) -> None:
    ended = fascia("person", "list", "--facility", "NGH", "--role", "rn", "--json")
    assert [(one["person"], one["blocked"]) for one in ended.json["items"]] == [(KEY, False), ("0199-person-2", True)]
    assert house.asked_for[-1] == PeopleFilter(facility="NGH", role="rn")
    assert "BLOCKED" in fascia("person", "list").out and "and more" in fascia("person", "list", "--limit", "1").err
    assert fascia("person", "list", "--csv").out.splitlines()[0].startswith("person,facility,state")


def test_who_is_blocked_is_listed_also_by_a_key_nobody_has(fascia: Fascia) -> None:
    shown = " ".join(fascia("person", "list", "--blocked").out.split())
    assert "0199-nobody" in shown and "E-HR" in shown
    (row,) = fascia("person", "list", "--blocked", "--json").json["items"]
    assert (row["facility"], row["blocked_by"], row["blocked_reason"]) == ("", "E-HR", "keys taken")


def test_a_misspelt_state_is_told_with_those_there_are(fascia: Fascia, house: FakeHouse) -> None:
    for noun, known in (("list", "committee pending"), ("events", "superseded")):
        wrong = fascia("person", noun, "--state", "bogus")
        assert wrong.code == 2 and known in wrong.err
    assert house.asked_for == []


def test_a_page_says_from_which_row_the_next_goes_on(fascia: Fascia) -> None:
    assert f"--after {KEY}/NGH" in fascia("person", "list", "--limit", "1").err


def test_a_person_is_shown_without_a_name_and_with_what_payroll_must_know(fascia: Fascia, house: FakeHouse) -> None:
    text = fascia("person", "show", KEY).out
    assert "cost centre: CC-1, now CC-2: 2026-11-01 to 2026-11-09 (9 days)" in text and NAME not in text
    assert house.asked_for[0] == (KEY, False)
    assert "1 HR event, 5 entries" in text
    tasks = [line for line in text.splitlines() if line.startswith("  t-")]
    assert tasks == ["  t-1 hand-out BADGE (facility services)", "  t-2 notice (medical staff)"]
    named = fascia("person", "show", KEY, "--names").out
    assert f"Anna {NAME} (was Before)" in named
    assert NAME not in fascia("person", "show", KEY, "--json").out
    assert fascia("person", "show", "nobody").code == 3


def test_events_that_wait_are_listed_and_one_says_how_people_are_like_it(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("person", "events", "--json").json["items"][0]["candidates"] == [KEY]
    assert house.asked_for[-1] == HrEventFilter()
    listed = fascia("person", "events").out
    assert "number" in listed and "900" in listed  # what the HR system calls it
    fascia("person", "events", "--person", KEY)
    assert house.asked_for[-1] == HrEventFilter(state="", person=KEY)
    text = fascia("person", "event", EVENT).out
    assert "family name same" in text and "birth date other" in text and "fascia person match" in text
    assert fascia("person", "event", "none").code == 3


def test_a_match_names_whose_it_is_and_why(fascia: Fascia, house: FakeHouse) -> None:
    assert (
        fascia("person", "match", EVENT, "--same", KEY, "-r", "seen").out.strip()
        == f"event {EVENT} is of {KEY}: applied"
    )
    assert house.asked_for[-1] == ("match", EVENT, KEY, False, "seen")
    fascia("person", "match", EVENT, "--new", "--whole-number", "-r", "twins")
    assert house.asked_for[-1] == ("match", EVENT, "", True, "twins")
    before = len(house.asked_for)
    for wrong in (("--new", "--same", KEY, "-r", "x"), ("-r", "x"), ("--new",)):
        assert fascia("person", "match", EVENT, *wrong).code == 2
    assert fascia("person", "dismiss", EVENT).code == 2 and len(house.asked_for) == before
    assert fascia("person", "dismiss", EVENT, "-r", "a test", "--json").json["state"] == "dismissed"


def test_a_trace_that_was_changed_ends_with_one_and_says_where(fascia: Fascia, house: FakeHouse) -> None:
    whole = fascia("person", "trace", KEY, "--json")
    assert whole.code == 0 and whole.json["entries"][0]["did"] == "heard" and whole.json["whole"] is True
    assert "1 entries, each as it was written" in fascia("person", "trace", KEY, "--check").out
    house.broken_trace = 3
    changed = fascia("person", "trace", KEY, "--check", "--json")
    assert (changed.code, changed.json["whole"], changed.json["broken_at"]) == (1, False, 3)
    assert "entry 3 was changed" in fascia("person", "trace", KEY).out
    assert fascia("person", "trace", "nobody").code == 3
