"""Whose an HR event is: certain, possible or new."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from canonical.people import ClinicianRecord, HrEvent, PersonName
from canonical.people_matching import Candidate, Marks, Match, finding, folded, marks, match, wrong_with

BORN = date(1984, 5, 17)
ANNA = Candidate(
    person="person-anna", families=frozenset({"okafor"}), givens=frozenset({"anna"}), birth_date=BORN, npi="1234567893"
)


def said(family: str = "", given: str = "", **fields: Any) -> Marks:
    return marks(ClinicianRecord.model_validate({"name": PersonName(family=family, given=given)} | fields))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MÜLLER", "Mueller"),
        ("Smith-Jones", "smith jones"),
        ("O'Brien", "OBRIEN"),
        ("Núñez", "nunez"),
        ("Sørensen", "Sorensen"),
        ("Łukasz", "Lukasz"),
        ("Okafor Jr.", "Okafor"),
        ("Strauß", "STRAUSS"),
    ],
)
def test_one_name_written_two_ways_is_one(one: str, other: str) -> None:
    assert folded(one) == folded(other) != ""


def test_names_that_are_two_stay_two() -> None:
    assert len({folded(name) for name in ("Olsen", "Olson", "Ols", "Jr", "Ji", "김", "Ким")}) == 7


def test_a_known_number_is_certain_though_the_name_changed() -> None:
    assert match(said("Brandt", "Anna", birth_date=BORN), "person-anna", [ANNA]) == Match(
        outcome="certain", person="person-anna", rule="number"
    )


def test_the_same_npi_is_certain_whatever_the_name() -> None:
    found = match(said("Brandt", "A", npi="1234567893"), "", [ANNA])
    assert (found.outcome, found.person, found.rule) == ("certain", "person-anna", "npi")


def test_the_same_national_number_is_certain() -> None:
    held = ANNA.model_copy(update={"npi": "", "national_hash": "hash"})
    found = match(said("Brandt", national_id="hash"), "", [held])
    assert (found.outcome, found.rule) == ("certain", "national-number")


def test_a_name_and_birth_date_are_for_a_person_to_look_at() -> None:
    found = match(said("OKAFOR", "Bill", birth_date=BORN), "", [ANNA])
    assert (found.outcome, found.candidates, found.rule) == ("possible", ("person-anna",), "name-and-birth-date")


def test_a_former_name_is_compared_too() -> None:
    found = match(said("Brandt", "Anna", former_family="Okafor", birth_date=BORN), "", [ANNA])
    assert (found.outcome, found.rule) == ("possible", "name-and-birth-date")


def test_who_changed_the_name_between_two_systems_is_asked_about() -> None:
    found = match(said("Brandt", "Anna", birth_date=BORN), "", [ANNA])
    assert (found.outcome, found.rule) == ("possible", "birth-date-and-given-name")


def test_both_names_without_a_birth_date_are_asked_about() -> None:
    assert match(said("Okafor", "Anna"), "", [ANNA]).rule == "name"
    assert match(said("Okafor", "Zoe"), "", [ANNA]).outcome == "new"


def test_another_npi_makes_two_of_one_name_and_birth_date() -> None:
    assert match(said("Okafor", "Anna", birth_date=BORN, npi="1245319599"), "", [ANNA]).outcome == "new"


def test_numbers_that_point_at_two_people_are_for_a_person() -> None:
    other = Candidate(person="person-olu", national_hash="hash", families=frozenset({"adeyemi"}))
    found = match(said("Okafor", npi="1234567893", national_id="hash"), "", [ANNA, other])
    assert (found.outcome, found.rule) == ("possible", "numbers-contradict")
    assert set(found.candidates) == {"person-anna", "person-olu"}


def test_a_known_number_with_the_npi_of_another_is_for_a_person() -> None:
    olu = Candidate(person="person-olu", families=frozenset({"adeyemi"}))
    found = match(said("Adeyemi", npi="1234567893"), "person-olu", [ANNA, olu])
    assert (found.outcome, found.candidates) == ("possible", ("person-olu", "person-anna"))


def test_an_npi_with_all_else_of_another_is_not_believed() -> None:
    found = match(said("Haddad", "Omar", npi="1234567893", birth_date=date(1990, 1, 1)), "", [ANNA])
    assert (found.outcome, found.rule) == ("possible", "numbers-contradict")


def test_a_number_given_to_somebody_else_is_noticed() -> None:
    found = match(said("Haddad", "Omar", birth_date=date(1990, 1, 1)), "person-anna", [ANNA])
    assert (found.outcome, found.rule) == ("possible", "number-given-anew")


def test_a_termination_needs_nothing_but_its_number() -> None:
    found = match(said("Haddad", "Omar", birth_date=date(1990, 1, 1)), "person-anna", [ANNA], identified=False)
    assert found.outcome == "certain"


def test_nobody_alike_is_somebody_new() -> None:
    assert match(said("Haddad", "Omar", birth_date=BORN), "", [ANNA]).outcome == "new"
    assert match(said(), "", [Candidate(person="person-bare")]).outcome == "new"


def event(**fields: Any) -> HrEvent:
    about = {"facility": "NGH", "source": "hr", "number": "1", "person": "P-1", "kind": "update"}
    when = {"said_at": datetime(2026, 3, 1, 9, tzinfo=UTC), "effective": date(2026, 3, 1)}
    return HrEvent.model_validate(about | when | fields)


NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def wrong(event: HrEvent) -> str:
    return wrong_with(event, NOW)


def test_what_is_said_more_than_a_day_after_it_came_was_said_by_a_clock_that_is_wrong() -> None:
    assert wrong(event(said_at=NOW + timedelta(days=1))) == ""
    assert "its HR system is ahead" in wrong(event(said_at=NOW + timedelta(days=1, minutes=1)))


def test_only_what_ends_is_an_emergency() -> None:
    named = {"record": {"name": {"family": "Maple"}}, "position": {"role": "rn"}}
    assert [kind for kind in ("terminate", "deactivate") if wrong(event(kind=kind, emergency=True))] == []
    for kind in ("hire", "update", "leave", "delete", "activate"):
        assert f"that is a {kind}: only terminate and deactivate" in wrong(event(kind=kind, emergency=True, **named))


def test_dates_nobody_can_mean_are_found_and_those_of_long_service_are_not() -> None:
    assert "five years" in wrong(event(effective=date(2062, 3, 1)))
    assert "child" in wrong(event(record={"birth_date": date(2025, 1, 1)}))
    assert "before it starts" in wrong(event(position={"starts": date(2026, 3, 2), "ends": date(2026, 3, 1)}))
    assert "five years" in wrong(event(position={"starts": date(9999, 12, 31)}))
    assert "five years" in wrong(event(kind="grant", scope={"service": "icu", "starts": date(9998, 1, 1)}))
    assert "before 1900" in wrong(event(effective=date(1, 1, 1)))
    assert "child" in wrong(event(record={"birth_date": date(9999, 12, 31)}))
    assert wrong(event(effective=date(1996, 3, 1), record={"birth_date": date(1970, 1, 1)})) == ""


def test_why_an_event_waits_is_told_its_sender_as_a_code_and_never_in_anybodys_words() -> None:
    for why, code in (
        (wrong(event(said_at=NOW + timedelta(days=2))), "clock-ahead"),
        (wrong(event(kind="leave", emergency=True)), "emergency-ends-nothing"),
        (wrong(event(effective=date(1, 1, 1))), "day-before-1900"),
        (wrong(event(effective=date(2062, 3, 1))), "day-too-far-ahead"),
        (wrong(event(record={"birth_date": date(2025, 1, 1)})), "birth-date-of-a-child"),
        (wrong(event(position={"starts": date(2026, 3, 2), "ends": date(2026, 3, 1)})), "ends-before-it-starts"),
    ):
        assert finding("parked", why) == code
    assert finding("possible", "name-and-birth-date") == "name-and-birth-date"
    assert finding("waiting", "nobody is known by its number: it waits for a hire") == "hire-missing"
    assert finding("possible", "twins of MAPLE") == finding("parked", "twins of MAPLE") == "to-be-looked-at"
    assert finding("applied", "twins of MAPLE") == finding("dismissed", "twins of MAPLE") == ""
