"""The monthly look at everybody as one follows it at a terminal."""

from __future__ import annotations

from canonical.errors import Rejected
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse


def test_runs_are_listed_with_what_is_owed_and_what_was_in_the_way(fascia: Fascia) -> None:
    ended = fascia("monitoring", "list")
    assert "licences" in ended.out and "1200" in ended.out and "m-2: IDFPR did not answer" in ended.out
    items = fascia("monitoring", "list", "--json").json["items"]
    assert [(one["state"], one["owed"], one["differing"]) for one in items] == [("licences", 7, 2), ("done", 0, 0)]
    assert fascia("monitoring", "list", "--limit", "1", "--json").json["more"] is True


def test_a_run_is_begun_with_a_reason_and_says_where_it_is_seen(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("monitoring", "run").code == 2 and house.asked_for == []
    ended = fascia("monitoring", "run", "--reason", "the board is back")
    assert ended.code == 0 and "fascia monitoring list" in ended.out
    assert house.asked_for == [("monitoring run", "the board is back")]


def test_beside_a_run_that_is_under_way_none_is_begun(fascia: Fascia, house: FakeHouse) -> None:
    house.failing = Rejected("a run is under way: m-2", code="conflict", system="temporal")
    ended = fascia("monitoring", "run", "--reason", "again")
    assert ended.code == 5 and "a run is under way: m-2" in ended.err
