"""Exclusion lists as one keeps them at a terminal."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse
from tests.formats.test_leie import file, row


def test_a_full_edition_is_loaded_and_says_what_it_replaces(fascia: Fascia, house: FakeHouse, tmp_path: Path) -> None:
    path = tmp_path / "UPDATED.csv"
    path.write_bytes(file(row(), row(LASTNAME="ROE")))
    assert "2 rows in the place of 3" in fascia("exclusions", "load", str(path)).out
    assert house.asked_for == [("exclusions load", "LEIE", 2, "", False, False)]
    assert "nothing is kept" in fascia("exclusions", "load", str(path), "--dry-run").out


def test_a_file_that_was_cut_off_is_refused_with_its_path(fascia: Fascia, house: FakeHouse, tmp_path: Path) -> None:
    path = tmp_path / "UPDATED.csv"
    path.write_bytes(file(row())[:-5])
    ended = fascia("exclusions", "load", str(path), "--json")
    assert ended.code == 2 and house.asked_for == []
    assert ended.json["error"]["code"] == "list-truncated" and "UPDATED.csv" in ended.json["error"]["message"]


def test_a_folder_is_no_edition(fascia: Fascia, tmp_path: Path) -> None:
    ended = fascia("exclusions", "load", str(tmp_path))
    assert ended.code == 2 and "is a directory" in ended.err


def test_to_take_a_smaller_list_somebody_says_why(fascia: Fascia, house: FakeHouse, tmp_path: Path) -> None:
    path = tmp_path / "UPDATED.csv"
    path.write_bytes(file(row()))
    assert fascia("exclusions", "load", str(path), "--smaller").code == 2 and house.asked_for == []
    assert fascia("exclusions", "load", str(path), "--smaller", "--reason", "corrected by OIG").code == 0
    assert house.asked_for[0][3:5] == ("corrected by OIG", True)


def test_editions_are_listed_and_a_stale_one_is_told(fascia: Fascia) -> None:
    ended = fascia("exclusions", "list")
    assert "stale" in ended.out and "replaced" in ended.out and "two editions were missed" in ended.err
    assert [one["rows"] for one in fascia("exclusions", "list", "--json").json["items"]] == [83000, 82990]
