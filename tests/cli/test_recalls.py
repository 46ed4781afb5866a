"""Recalls as one keeps them at a terminal."""

from __future__ import annotations

import json
from pathlib import Path

from canonical.recall import RecallScope, RecallWord
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse
from tests.cli.recalls import NUMBER

REPORT = {
    "recall_number": "Z-77-2026",
    "classification": "Class II",
    "status": "Ongoing",
    "product_description": "Stent",
    "code_info": "UDI-DI 00643169007222 Lot Numbers: A1, A2",
}


def written(path: Path, *reports: object) -> str:
    path.write_text(json.dumps({"results": reports}), encoding="utf-8")
    return str(path)


def the_word(house: FakeHouse) -> RecallWord:
    number, word = house.asked_for[-1]
    assert number == NUMBER and isinstance(word, RecallWord)
    return word


def test_a_file_of_notices_is_loaded_and_says_what_a_person_must_look_at(
    fascia: Fascia, house: FakeHouse, tmp_path: Path
) -> None:
    vague = REPORT | {"recall_number": "Z-78-2026", "code_info": "All lots except 12"}
    path = written(tmp_path / "enforcement.json", REPORT, vague)
    ended = fascia("recall", "load", path, "--json")
    assert [(one["number"], one["blocks"]) for one in ended.json["items"]] == [("Z-77-2026", 2), ("Z-78-2026", 0)]
    assert "1 leave something open" in ended.err
    assert house.asked_for == [("recall load", ["Z-77-2026", "Z-78-2026"], "", False)]
    assert "nothing is kept" in fascia("recall", "load", path, "--dry-run").err and house.asked_for[-1][-1] is True


def test_a_file_that_was_cut_off_is_refused_with_its_path_and_place(
    fascia: Fascia, house: FakeHouse, tmp_path: Path
) -> None:
    path = Path(written(tmp_path / "enforcement.json", REPORT))
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    ended = fascia("recall", "load", str(path), "--json")
    assert ended.code == 2 and house.asked_for == []
    error = ended.json["error"]
    assert "enforcement.json" in error["message"] and "line 1" in error["path"]


def test_recalls_are_listed_and_one_is_shown_with_its_clock_and_tasks(fascia: Fascia) -> None:
    assert fascia("recall", "list", "--json").json["items"][0]["overdue"] == 1
    text = fascia("recall", "show", NUMBER).out
    assert (
        "1 OVERDUE" in text and "the notice names no product" in text and "OR-1" in text and "ITM-9001: lot A1" in text
    )
    assert fascia("recall", "show", "Z-9").code == 3
    assert fascia("recall", "show", NUMBER, "--state", "late").code == 2


def test_a_task_is_answered_under_an_id_of_its_own(fascia: Fascia, house: FakeHouse) -> None:
    ended = fascia("recall", "answer", NUMBER, "t1", "quarantined", "--found", "3", "--id", "w-1")
    assert ended.code == 0 and "answer taken" in ended.out
    word = the_word(house)
    assert (word.verb, word.task, word.outcome, word.found, word.id) == ("answer", "t1", "quarantined", 3, "w-1")
    assert fascia("recall", "answer", NUMBER, "t1", "eaten").code == 2


def test_a_scope_names_its_product_and_takes_lots_ranges_or_those_of_the_notice(
    fascia: Fascia, house: FakeHouse
) -> None:
    why = ("--reason", "by the maker's letter")
    fascia("recall", "scope", NUMBER, "--item", "ITM-9001", "--lot", "B1", "--serial", "98..120", *why)
    assert the_word(house).scopes == (
        RecallScope(item="ITM-9001", lot_from="B1"),
        RecallScope(item="ITM-9001", serial_from="98", serial_to="99"),
        RecallScope(item="ITM-9001", serial_from="100", serial_to="120"),
    )
    fascia("recall", "scope", NUMBER, "--device", "00643169007222", "--as-noticed", *why)
    assert the_word(house).scopes == (
        RecallScope(device="00643169007222", lot_from="A1"),
        RecallScope(device="00643169007222", lot_from="A5", lot_to="A9"),
    )
    before = len(house.asked_for)
    for wrong in (
        ["--lot", "A1"],
        ["--item", "I-1"],
        ["--item", "I-1", "--lot", "A9..A1"],
        ["--item", "I-1", "--lot", "A1..B2"],
    ):
        assert fascia("recall", "scope", NUMBER, *wrong, *why).code == 2
    assert fascia("recall", "scope", NUMBER, "--item", "I-1", "--lot", "A1").code == 2  # without its reason
    assert len(house.asked_for) == before


def test_closing_and_lifting_are_two_things_and_both_need_a_reason(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("recall", "close", NUMBER).code == 2 and fascia("recall", "settle", NUMBER).code == 2
    fascia("recall", "close", NUMBER, "--reason", "all is back at the maker's")
    assert the_word(house).verb == "close"
    fascia("recall", "close", NUMBER, "--lift", "--reason", "terminated by the FDA")
    assert the_word(house).verb == "lift"
    fascia("recall", "settle", NUMBER, "--reason", "no other product of ours")
    assert the_word(house).verb == "settle"


def test_what_expires_is_listed_and_what_has_expired_says_so(fascia: Fascia, house: FakeHouse) -> None:
    text = fascia("stock", "expiring", "--days", "30", "--facility", "NGH").out
    assert "EXPIRED" in text and "2026-11-18" in text
    assert house.asked_for == [("expiring", 30, "NGH", "")]
    assert fascia("stock", "expiring", "--csv").out.splitlines()[0].startswith("facility,location,item,lot")
