"""Replays, corrections and what waits for a person, as commands; each deed needs its reason, a preview changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.exits import Stop
from cli.house import MessageFilter
from cli.moments import moment
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse
from tests.cli.replays import STILL_UNREADABLE

FILTER = ("--kind", "OMS^O05", "--sender", "WARD", "--state", "dead", "--since", "2026-11-20")


def test_a_preview_says_for_each_message_what_would_come_of_it_and_counts_them(
    fascia: Fascia, house: FakeHouse
) -> None:
    ended = fascia("journal", "replay", *FILTER, "--preview")
    assert ended.code == 0 and "new effect: a case would start" in ended.out and "already done" in ended.out
    assert "3 messages: 1 new effect, 1 already done, 1 still unreadable" in ended.err
    which = house.asked_for[-1]
    assert (which.kind, which.sender, which.state) == ("OMS^O05", "WARD", "dead")
    assert which.since == datetime(2026, 11, 20, tzinfo=UTC) and house.handed == []
    items = fascia("journal", "replay", *FILTER, "--preview", "--json").json["items"]
    assert [one["outcome"] for one in items] == ["new effect", "already done", "still unreadable"]
    cut = fascia("journal", "replay", *FILTER, "--preview", "--limit", "2", "--json").json
    assert (cut["count"], cut["more"]) == (2, True)


def test_a_preview_of_one_shows_what_differs_and_of_many_where_asked(fascia: Fascia) -> None:
    line = "+ requisition REQ-1 lines.1.item: ITM-1001"
    assert line in fascia("journal", "replay", "m-1", "--preview").out
    assert line not in fascia("journal", "replay", *FILTER, "--preview").out
    assert line in fascia("journal", "replay", *FILTER, "--preview", "--diff").out


def test_a_preview_of_a_file_shows_its_rows_one_a_line_and_counts_them_all(fascia: Fascia) -> None:
    shown = fascia("journal", "replay", "f-1", "--preview").out
    assert "f-1, by its rows\n  3  still unreadable: row 3 price: no number\n  5  new effect\n" in shown
    (item,) = fascia("journal", "replay", "f-1", "--preview", "--json").json["items"]
    assert item["counts"] == {"new effect": 1, "still unreadable": 1, "already done": 4} and len(item["rows"]) == 2


def test_many_are_replayed_as_a_job_with_a_reason_and_never_all_of_the_journal(
    fascia: Fascia, house: FakeHouse
) -> None:
    begun = fascia("journal", "replay", *FILTER, "--reason", "mended")
    assert begun.code == 0 and "replay r-1: 3 messages" in begun.out and "fascia replay show r-1" in begun.err
    assert house.handed[-1] == ("", "", "mended")
    for wrong in ((), FILTER, ("m-1", "--state", "dead"), ("--since", "yesterday", "--reason", "x")):
        assert fascia("journal", "replay", *wrong).code == 2, wrong
    assert len(house.handed) == 1


def test_a_job_is_not_begun_of_more_than_its_limit(fascia: Fascia, house: FakeHouse) -> None:
    done = fascia("journal", "replay", "--sender", "WARD", "--limit", "5", "--reason", "the table is mended", "--yes")
    assert done.code == 0 and house.handed == [("", "at most 5", "the table is mended")]


def test_a_message_is_corrected_from_a_file_after_its_preview(fascia: Fascia, house: FakeHouse, tmp_path: Path) -> None:
    file = tmp_path / "mended.hl7"
    file.write_bytes(b"MSH|mended")
    seen = fascia("journal", "correct", "m-1", "--file", str(file), "--preview")
    assert seen.code == 0 and "m-1 corrected would be: new effect" in seen.out
    assert "  - requisition REQ-1 lines.1.item: X-9\n  + requisition REQ-1 lines.1.item: ITM-1001" in seen.out
    done = fascia("journal", "correct", "m-1", "--file", str(file), "--reason", "they meant ITM-1001")
    assert done.code == 0 and "m-1 is corrected by m-9, which is routed" in done.out
    assert house.handed == [("m-1", "MSH|mended", "dry"), ("m-1", "MSH|mended", "they meant ITM-1001")]
    assert fascia("journal", "correct", "m-1", "--file", str(file)).code == 2
    assert fascia("journal", "correct", "m-1", "--file", str(tmp_path / "none"), "--reason", "x").code == 2


def test_a_message_under_anothers_number_is_accepted_after_its_preview(fascia: Fascia, house: FakeHouse) -> None:
    seen = fascia("journal", "accept", "m-1", "--preview")
    assert seen.code == 0 and "m-1 as a message of its own would be: new effect" in seen.out
    assert "otherwise than m-0:\n  - requisition REQ-1 lines.1.item: X-9\n" in seen.out
    assert fascia("journal", "accept", "m-1").code == 2
    done = fascia("journal", "accept", "m-1", "--reason", "their counter began anew")
    assert done.code == 0 and "m-1 is accepted beside m-0" in done.out and "its router brings it on" in done.err
    assert house.handed == [("m-1", "", "dry"), ("m-1", "", "their counter began anew")]


def test_what_stands_still_is_one_list_with_what_to_press(fascia: Fascia) -> None:
    shown = fascia("attention", "list")
    assert shown.code == 0 and "parked stream" in shown.out and "then journal replay, correct or skip" in shown.out
    rows = fascia("attention", "list", "--json").json["items"]
    assert [(row["what"], row["count"], row["owner"]) for row in rows][1] == ("dead letter", 7, "Ward integration")


def test_a_replay_that_ends_as_it_began_is_a_failure_to_whoever_asked(fascia: Fascia) -> None:
    again = fascia("journal", "replay", STILL_UNREADABLE)
    assert again.code == 1 and "is now dead" in again.out
    assert fascia("journal", "replay", STILL_UNREADABLE, "--dry-run").code == 0


def test_a_dead_letter_is_passed_over_with_a_reason(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("journal", "skip", "m-1").code == 2 and house.handed == []
    assert "its stream goes on" in fascia("journal", "skip", "m-1", "--reason", "ordered by phone").out
    assert "would be" in fascia("journal", "skip", "m-1", "--dry-run").out


def test_replays_are_listed_shown_and_cancelled(fascia: Fascia, house: FakeHouse) -> None:
    assert "1 new effect, 1 already done" in fascia("replay", "list").out
    shown = fascia("replay", "show", "r-1", "--outcome", "new effect")
    assert shown.code == 0 and "2 of 3 done" in shown.out and "m-1" in shown.out and house.asked_for[-1] == "new effect"
    assert fascia("replay", "show", "r-1", "--json").json["items"][0]["outcome"] == "new effect"
    assert fascia("replay", "show", "r-9").code == 3 and fascia("replay", "show", "r-1", "--outcome", "good").code == 2
    assert fascia("replay", "cancel", "r-1").code == 2
    assert "cancelled: 2 of 3" in fascia("replay", "cancel", "r-1", "--reason", "wrong table").out


def test_what_waits_for_a_person_is_listed_by_owner_and_by_stream(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("journal", "list", "--state", "dead", "--owner", "Ward integration").code == 0
    assert house.asked_for[-1] == MessageFilter(state="dead", owner="Ward integration")
    (row,) = fascia("journal", "parked", "--json").json["items"]
    assert (row["message"], row["behind"]) == ("m-1", 2)


def test_a_moment_is_a_day_a_time_or_how_long_ago() -> None:
    assert moment("", "--since") is None
    assert moment("2026-11-20T08:00+01:00", "--since") == datetime(2026, 11, 20, 7, tzinfo=UTC)
    ago = moment("90m", "--since")
    assert ago is not None and timedelta(minutes=89) < datetime.now(UTC) - ago < timedelta(minutes=91)
    with pytest.raises(Stop):
        moment("last week", "--until")
