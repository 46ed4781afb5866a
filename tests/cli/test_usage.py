"""What was used, and stock, as one looks at it and decides on it at a terminal."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from canonical.stock_reports import MovementFilter, ReportOf
from cli.usage_views import UsageFilter, UsageWord
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse


def test_without_a_filter_the_list_is_of_what_waits_for_a_person(fascia: Fascia, house: FakeHouse) -> None:
    text = fascia("usage", "list").out
    assert "recalled" in text and "L-7/S-1" in text and "materials management" in text
    assert house.asked_for == [UsageFilter(state="open")]
    fascia("usage", "list", "--location", "NGH-OR", "--item", "IMP-310", "--since", "2026-11-20", "--after", "u-0")
    since = datetime(2026, 11, 20, tzinfo=UTC)
    assert house.asked_for[1] == UsageFilter(location="NGH-OR", item="IMP-310", since=since, after="u-0")
    fascia("usage", "list", "--all")
    assert house.asked_for[2] == UsageFilter()


def test_a_list_that_is_cut_says_how_to_go_on(fascia: Fascia) -> None:
    ended = fascia("usage", "list", "--limit", "2", "--json")
    assert (ended.json["count"], ended.json["more"]) == (2, True) and "--after u-2" in ended.err


def test_one_is_shown_with_what_was_found_what_followed_and_what_to_press(fascia: Fascia) -> None:
    text = fascia("usage", "show", "u-1").out
    for said in ("recalled: its lot or serial is recalled", "(01)04012345000016", "moved -1 (use)", "ERP 17", "m-1"):
        assert said in text
    assert "fascia usage decide u-1 post|correct|dismiss" in text
    assert fascia("usage", "show", "u-9").code == 3


def test_a_decision_needs_a_reason_and_a_correction_what_it_was(fascia: Fascia, house: FakeHouse) -> None:
    for wrong in (
        ("u-1", "post"),
        ("u-1", "correct", "--reason", "x"),
        ("u-1", "post", "--lot", "L-8", "--reason", "x"),
        ("u-1", "forget", "--reason", "x"),
        ("u-1", "correct", "--amount", "many", "--reason", "x"),
        ("u-1", "correct", "--expires", "soon", "--reason", "x"),
    ):
        assert fascia("usage", "decide", *wrong).code == 2
    assert house.asked_for == []
    assert fascia("usage", "decide", "u-9", "post", "--reason", "x").code == 3


def test_a_correction_says_only_what_was_otherwise(fascia: Fascia, house: FakeHouse) -> None:
    said = ("--lot", "L-8", "--amount", "2.5", "--expires", "2027-01-31", "--cost-centre", "CC-1")
    ended = fascia("usage", "decide", "u-1", "correct", *said, "--reason", "scanned wrong", "--json")
    assert ended.json["state"] == "waiting"
    ((event, word, dry_run),) = house.asked_for
    assert (event, word.verb, word.reason, dry_run) == ("u-1", "correct", "scanned wrong", False)
    corrected = {"lot": "L-8", "amount": Decimal("2.5"), "expires": date(2027, 1, 31), "cost_centre": "CC-1"}
    assert word.corrections == corrected


def test_a_dry_run_decides_nothing(fascia: Fascia, house: FakeHouse) -> None:
    ended = fascia("usage", "decide", "u-1", "dismiss", "--reason", "twice", "--dry-run")
    assert "would be dismissed" in ended.out
    assert house.asked_for == [("u-1", UsageWord(verb="dismiss", reason="twice"), True)]


def test_conflicts_are_listed_and_one_dismissed_with_its_reason(fascia: Fascia, house: FakeHouse) -> None:
    assert "amount: 1, then 2" in fascia("usage", "conflicts").out
    assert fascia("usage", "conflicts", "dismiss", "x-1").code == fascia("usage", "conflicts", "take", "x-1").code == 2
    assert "as it came first" in fascia("usage", "conflicts", "dismiss", "x-1", "--reason", "seen").out
    assert ("x-1", "seen", False) in house.asked_for


def test_the_report_is_by_what_is_asked_and_comes_as_a_table_json_and_csv(fascia: Fascia, house: FakeHouse) -> None:
    asked = ("usage", "report", "--from", "2026-11-01", "--to", "2026-11-30", "--by", "item", "--by", "facility")
    text = fascia(*asked).out
    assert "ITM-1001" in text and "6.30 USD" in text and "29" in text
    (of,) = house.asked_for
    assert isinstance(of, ReportOf) and of.by == ("item", "facility")
    assert (of.since, of.until) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert fascia(*asked, "--json").json["items"][0]["value"] == "6.30"
    header, row = fascia(*asked, "--csv").out.splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["wasted"] == "1"
    assert fascia("usage", "report", "--by", "patient").code == 2
    assert fascia("usage", "report").code == 0 and house.asked_for[-1].by == ("facility", "service_line", "item")


def test_charges_are_listed_and_dead_ones_written_once_more(fascia: Fascia, house: FakeHouse) -> None:
    text = fascia("usage", "charges", "--state", "dead").out
    assert "item IMP-310 has no charge code" in text and house.asked_for == [("dead", "", "")]
    ended = fascia("usage", "charges", "--again", "--reason", "it has its code now", "--json")
    assert ended.json["items"][0]["state"] == "due"
    assert fascia("usage", "charges", "c-1", "--again", "--dry-run").code == 0
    assert house.asked_for[1:] == [((), "", "it has its code now", False), (("c-1",), "", "", True)]
    assert fascia("usage", "charges", "c-9", "--again").code == 5
    assert fascia("usage", "charges", "c-1").code == fascia("usage", "charges", "--again", "--state", "due").code == 2


def test_a_location_is_shown_by_item_and_by_lot(fascia: Fascia) -> None:
    text = fascia("stock", "show", "NGH-OR").out
    for said in ("ITM-1001", "Glove", "below", "2026-12-20", "30"):
        assert said in text
    assert "L1" not in text and "L1" in fascia("stock", "show", "NGH-OR", "--lots").out
    found = fascia("stock", "show", "NGH-OR", "--item", "ITM-1001", "--json").json["items"]
    assert [(one["item"], one["lots"][0]["lot"]) for one in found] == [("ITM-1001", "L1")]
    assert fascia("stock", "show", "NOWHERE").code == 3


def test_a_refused_need_is_asked_for_again_with_a_reason(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("stock", "needs", "--again", "n-1").code == 2
    done = fascia("stock", "needs", "--again", "n-1", "--reason", "policy loaded")
    assert house.asked_for == [("n-1", "policy loaded", False)] and "100 of ITM-1001 for NGH-OR are open" in done.out
    assert fascia("stock", "needs", "--again", "n-9", "--reason", "x").code != 0


def test_parked_counts_are_listed_line_by_line(fascia: Fascia, house: FakeHouse) -> None:
    text = fascia("stock", "counts", "--location", "NGH-OR").out
    assert all(said in text for said in ("k-1", "C-1", "par", "X-1", "7", "9", "no item X-1"))
    (row,) = fascia("stock", "counts", "--all", "--before", "k-2", "--json").json["items"]
    assert (row["number"], row["lines"], row["parked"][0]["cause"]) == ("C-1", 3, "unknown-item")
    assert house.asked_for == [("", "NGH-OR", False, ""), ("", "", True, "k-2")]


@pytest.mark.parametrize("verb", [("usage", "list"), ("stock", "counts")])
def test_a_location_nobody_has_is_not_found_and_no_empty_list(fascia: Fascia, verb: tuple[str, str]) -> None:
    ended = fascia(*verb, "--location", "TYPO")
    assert ended.code == 3 and "there is no location TYPO" in ended.err


def test_levels_needs_and_movements_are_asked_for_as_they_are_filtered(fascia: Fascia, house: FakeHouse) -> None:
    assert "purchase par" in fascia("stock", "levels", "--facility", "NGH", "--below").out
    text = fascia("stock", "needs", "--location", "NGH-OR", "--all").out
    assert "back-ordered" in text and "2026-12-01" in text and "procure_to_pay/NGH/replenishment/n-1" in text
    text = fascia("stock", "movements", "NGH-OR", "--item", "IMP-310", "--kind", "use", "--before", "k9").out
    assert "-1" in text and "17" in text
    assert house.asked_for == [
        ("NGH", "", "", True),
        ("", "NGH-OR", "", "", True, ""),
        MovementFilter(facility="NGH", location="NGH-OR", item="IMP-310", kind="use", before="k9"),
    ]


@pytest.mark.parametrize("noun", ["usage", "stock"])
def test_a_noun_alone_says_its_verbs(fascia: Fascia, noun: str) -> None:
    ended = fascia(noun)
    assert (ended.code == 2 and "list" in ended.err + ended.out) or "show" in ended.err + ended.out
