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


def test_it_ends_with_1_while_a_revocation_is_not_confirmed_and_names_what_is_missing(fascia: Fascia) -> None:
    done = fascia("person", "access", "person-9999")
    assert done.code == 1
    assert "NOT confirmed off: plan" in done.out
    assert fascia("person", "access", "person-0001").code == 0


def test_lifting_says_that_another_person_must_confirm(fascia: Fascia) -> None:
    assert "another person must" in fascia("person", "lift", "person-0001", "--reason", "mistaken").out
