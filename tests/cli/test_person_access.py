"""``fascia person revoke``, ``lift`` and ``access``, as they are typed."""

from __future__ import annotations

from canonical.access import BlockWord
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse


def test_one_call_revokes_and_keeps_the_name_it_was_given(fascia: Fascia, house: FakeHouse) -> None:
    done = fascia("person", "revoke", "person-0001", "--reason", "left in anger", "--id", "call-1", "--yes")
    assert done.code == 0
    assert "blocked since" in done.out
    assert house.asked_for[-1] == BlockWord(person="person-0001", reason="left in anger", id="call-1")


def test_without_a_reason_or_with_no_key_nothing_is_done(fascia: Fascia, house: FakeHouse) -> None:
    before = list(house.asked_for)
    assert fascia("person", "revoke", "person-0001", "--yes").code == 2
    assert fascia("person", "revoke", "Nora Okafor", "--reason", "why", "--yes").code == 2
    assert house.asked_for == before


def test_what_is_wrong_with_a_call_is_said_in_words_of_ours(fascia: Fascia) -> None:
    assert "revoke needs a reason" in fascia("person", "revoke", "person-0001", "--yes").err
    assert "lift needs a reason" in fascia("person", "lift", "person-0001", "--reason", " ").err
    assert "Nora is no key of a person" in fascia("person", "revoke", "Nora", "--reason", "why", "--yes").err


def test_a_key_whose_events_are_anothers_is_blocked_and_the_other_is_named(fascia: Fascia, house: FakeHouse) -> None:
    done = fascia("person", "revoke", "person-0008", "--reason", "left in anger", "--yes")
    assert done.code == 6 and "blocked since" in done.out and "fascia person revoke person-0002" in done.out
    assert [one.person for one in house.asked_for if isinstance(one, BlockWord)] == ["person-0008"]


def test_a_key_nobody_has_is_not_somebody_who_is_off_everywhere(fascia: Fascia) -> None:
    ended = fascia("person", "access", "person-0007")
    assert ended.code == 3 and "person list" in ended.err


def test_it_ends_with_1_while_a_revocation_is_not_confirmed_and_names_what_is_missing(fascia: Fascia) -> None:
    done = fascia("person", "access", "person-9999")
    assert done.code == 1
    assert "NOT confirmed off: plan\n" in done.out, "what is gone with its system is waited for by nobody"
    assert "system-gone" in done.out
    assert "its task is not done yet" in done.out, "what people hand out and bring back is not written by us"
    assert fascia("person", "access", "person-0001").code == 0


def test_lifting_says_that_another_person_must_confirm(fascia: Fascia) -> None:
    assert "another person must" in fascia("person", "lift", "person-0001", "--reason", "mistaken").out
