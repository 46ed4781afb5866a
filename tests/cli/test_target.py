"""``fascia target list`` and ``gone``, as they are typed."""

from __future__ import annotations

import json

from canonical.access import TargetWord
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse


def test_the_list_says_what_is_in_use_and_who_says_that_something_is_gone(fascia: Fascia) -> None:
    told = fascia("target", "list")
    lines = {line.split()[0]: line for line in told.out.splitlines() if line.strip()}
    assert told.code == 0 and " yes " in lines["idp"]
    assert "E-1 and E-2" in lines["old"] and " no " in lines["old"]
    assert "asked for" in lines["older"]
    rows = json.loads(fascia("target", "list", "--json").out)["items"]
    assert [row["people"] for row in rows] == [12, 3, 1]


def test_one_word_asks_and_says_that_another_person_must_say_it_too(fascia: Fascia, house: FakeHouse) -> None:
    done = fascia("target", "gone", "old", "--reason", "the vendor has switched it off", "--yes")
    assert done.code == 0 and "another person must" in done.out
    assert house.asked_for[-1] == TargetWord(target="old", reason="the vendor has switched it off")


def test_without_a_reason_or_with_no_code_nothing_is_done(fascia: Fascia, house: FakeHouse) -> None:
    before = list(house.asked_for)
    assert "gone needs a reason" in fascia("target", "gone", "old", "--yes").err
    assert "gone needs a reason" in fascia("target", "gone", "old", "--reason", " ", "--yes").err
    assert "no code of a target" in fascia("target", "gone", "the old plan", "--reason", "why", "--yes").err
    assert house.asked_for == before


def test_what_is_in_use_is_not_gone(fascia: Fascia) -> None:
    refused = fascia("target", "gone", "idp", "--reason", "why", "--yes")
    assert refused.code == 5 and "in use" in refused.err
