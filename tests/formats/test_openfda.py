"""Recall notices as they come: the FDA's enforcement reports and a manufacturer's letter; nothing of them is guessed."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from canonical.errors import Malformed
from canonical.recall import RecallScope, covers, ranges
from formats import openfda, recall_codes

ONE, OTHER = "00643169007222", "00643169007239"
REPORT: dict[str, Any] = {
    "recall_number": "Z-0123-2026",
    "event_id": "90001",
    "classification": "Class I",
    "status": "Ongoing",
    "recalling_firm": "Invented Devices, Inc.",
    "product_description": "Coronary stent, sterile",
    "reason_for_recall": "The package may be open",
    "recall_initiation_date": "20261102",
    "distribution_pattern": "Nationwide",
    "code_info": f"UDI-DI: {ONE} Lot Numbers: A101, A102 and A103",
}


def scopes(text: str) -> list[str]:
    return [str(one) for one in recall_codes.read(text).scopes]


def left(text: str) -> list[str]:
    return recall_codes.read(text).uncertain


def file(*reports: object, **meta: Any) -> bytes:
    return json.dumps({"meta": meta, "results": reports}).encode()


# ---- what code_info says -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (f"UDI-DI: {ONE} Lot Numbers: A101, A102 and A103", ["lot A101", "lot A102", "lot A103"]),
        (f"(01){ONE} Lots 98 through 120", ["lot 98 to 99", "lot 100 to 120"]),
        (f"GTIN {ONE}; Lot/Batch No. 0219; 0220", ["lot 0219", "lot 0220"]),
        (f"UDI (01){ONE}(17)271231(10)LOT77", ["lot LOT77"]),
        (f"(01){ONE}(10)L1(21)S9", ["lot L1, serial S9"]),
        (f"DI {ONE} Serial Numbers: SN1001 to SN1040", ["serial SN1001 to SN1040"]),
        (f"UDI {ONE}, all lots", ["everything"]),
        (f"All serial numbers. UDI-DI {ONE}", ["everything"]),
        (f"UDI-DI {ONE} S/N: 1234 \u2013 1250", ["serial 1234 to 1250"]),
        (f"Lot 77A (01){ONE}", ["lot 77A"]),
        (f"UDI-DI {ONE}\nLots: a1, b2 Exp. Date: 2027-01-31", ["lot A1", "lot B2"]),
    ],
)
def test_what_is_certain_is_read(text: str, meant: list[str]) -> None:
    assert scopes(text) == [f"device {ONE}: {one}" for one in meant]
    assert left(text) == []


def test_each_device_has_the_lots_that_stand_behind_it() -> None:
    text = f"Model A-1 UDI-DI {ONE} Lot Numbers: A1, A2; Model B-1 UDI-DI {OTHER} Lot Numbers: B1"
    assert scopes(text) == [f"device {ONE}: lot A1", f"device {ONE}: lot A2", f"device {OTHER}: lot B1"]


def test_several_devices_before_their_lots_share_them() -> None:
    assert scopes(f"UDI-DI {ONE}, {OTHER}; Lot A1") == [f"device {ONE}: lot A1", f"device {OTHER}: lot A1"]


@pytest.mark.parametrize(
    "text",
    [
        f"UDI-DI {ONE} all lots except A7",
        f"UDI-DI {ONE} Lot A1 (other lots are not affected)",
        f"UDI-DI {ONE} all lots manufactured before March 2025",
        f"Lot A1 UDI-DI {ONE} Lot B1 UDI-DI {OTHER}",
        f"UDI-DI {ONE} all lots. Lot Numbers: A1, A2",
    ],
)
def test_an_exception_a_condition_or_a_doubt_leaves_it_to_a_person(text: str) -> None:
    read = recall_codes.read(text)
    assert not [one for one in read.scopes if one.certain and one.everything] and read.uncertain


def test_what_may_be_one_lot_or_a_range_is_no_scope() -> None:
    assert scopes(f"UDI-DI {ONE} Lots A100-A120, B7") == [f"device {ONE}: lot B7"]
    assert left(f"UDI-DI {ONE} Lots A100-A120, B7") == ["A100-A120"]
    assert scopes(f"UDI-DI {ONE} Lot 1234-56") == [f"device {ONE}: lot 1234-56"]  # no range: it would run backwards


def test_a_range_that_runs_backwards_or_changes_its_letters_is_left() -> None:
    for span in ("A120 through A100", "A100 through B120", "0098 through 120"):
        assert left(f"UDI-DI {ONE} Lots {span}") == [span]


def test_a_device_with_a_wrong_check_digit_is_left() -> None:
    read = recall_codes.read("UDI-DI 00643169007223 Lot A1")
    assert read.uncertain == ["00643169007223"] and not any(one.device for one in read.scopes)


def test_a_number_of_pieces_is_no_lot() -> None:
    assert scopes(f"UDI-DI {ONE} Lots A1, A2 and 12 units") == [f"device {ONE}: lot A1", f"device {ONE}: lot A2"]
    assert left(f"UDI-DI {ONE} Lots A1, A2 and 12 units") == ["and 12 units"]


def test_words_beside_certain_lots_stay_for_a_person() -> None:
    text = f"UDI-DI {ONE} Lots A1, A2 distributed to hospitals in March"
    assert (len(scopes(text)), left(text)) == (2, ["distributed to hospitals in March"])


def test_lots_of_no_device_and_a_device_of_no_lots_wait_for_a_person() -> None:
    (notice,) = openfda.read(file(REPORT | {"code_info": "Lot Numbers: A1, A2"}))
    assert [str(one) for one in notice.scopes] == ["product not known: lot A1", "product not known: lot A2"]
    assert not notice.certain
    (notice,) = openfda.read(file(REPORT | {"code_info": f"UDI-DI {ONE}"}))
    assert [str(one) for one in notice.scopes] == [f"device {ONE}: lots not known"] and not notice.certain


@pytest.mark.parametrize("text", ["", "   ", "see letter", "0" * 3000, "Lot " * 4000, "(01)", "Lot", "Serial: ,;,"])
def test_nothing_readable_is_no_scope_and_no_failure(text: str) -> None:
    assert recall_codes.read(text).scopes == []


def test_ranges_of_one_length_mean_what_lies_between_them() -> None:
    assert ranges("98", "120") == [("98", "99"), ("100", "120")] and ranges("a7", "A7") == [("A7", "A7")]
    scope = RecallScope(item="I", lot_from="A098", lot_to="A120")
    assert [scope.covers(lot, "") for lot in ("a098", "A120", "A0990", "A121", "")] == [True, True, False, False, False]
    assert covers("", "", "anything")


# ---- the file ----------------------------------------------------------------------------------------------------------------


def test_a_report_is_read_whole() -> None:
    (notice,) = openfda.read(file(REPORT))
    assert (notice.number, notice.classification, notice.status) == ("Z-0123-2026", "I", "ongoing")
    assert (notice.firm, notice.event, notice.initiated) == ("Invented Devices, Inc.", "90001", date(2026, 11, 2))
    assert (notice.source, notice.codes, notice.certain) == ("openfda", REPORT["code_info"], True)
    assert notice.case_id == "recall/Z-0123-2026"


def test_one_report_a_list_and_an_answer_are_read_alike() -> None:
    whole = openfda.read(file(REPORT))
    assert openfda.read(json.dumps(REPORT).encode()) == openfda.read(json.dumps([REPORT]).encode()) == whole
    assert openfda.read(b"\xef\xbb\xbf" + file(REPORT)) == whole


def test_a_manufacturers_letter_is_our_own_json_read_strictly() -> None:
    letter = {
        "number": "FSN-26-7",
        "classification": "II",
        "product": "Pump",
        "scopes": [{"item": "ITM-1", "lot_from": "A1"}],
    }
    (notice,) = openfda.read(json.dumps(letter).encode())
    assert (notice.source, notice.scopes[0].lot_to, notice.certain) == ("manufacturer", "A1", True)
    with pytest.raises(Malformed, match="lots"):
        openfda.read(json.dumps(letter | {"lots": ["A1"]}).encode())


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"recall_number": " "}, "results.1.recall_number"),
        ({"classification": "Class IV"}, "results.1.classification"),
        ({"recall_initiation_date": "2026-11-02"}, "results.1.recall_initiation_date"),
        ({"recall_initiation_date": "2026111"}, "results.1.recall_initiation_date"),
        ({"product_description": None}, "results.1.product_description"),
        ({"code_info": ["A1"]}, "results.1.code_info"),
        ({"status": "Sometimes"}, "results.1.status"),
    ],
)
def test_a_damaged_report_refuses_its_file_with_its_path(changed: dict[str, Any], path: str) -> None:
    with pytest.raises(Malformed) as refused:
        openfda.read(file(REPORT, REPORT | {"recall_number": "Z-2"} | changed))
    assert refused.value.path == path


def test_every_truncation_of_a_file_is_refused() -> None:
    whole = file(REPORT, REPORT | {"recall_number": "Z-2"})
    for end in range(0, len(whole) - 1, 7):
        with pytest.raises(Malformed):
            openfda.read(whole[:end])


def test_an_answer_with_fewer_notices_than_it_says_is_refused() -> None:
    said = {"skip": 0, "limit": 5, "total": 3}
    with pytest.raises(Malformed, match="1 of the 3 notices"):
        openfda.read(file(REPORT, results=said))
    last_page = {"skip": 2, "limit": 5, "total": 3}
    assert len(openfda.read(file(REPORT, results=last_page))) == 1


def test_what_is_no_notice_is_refused() -> None:
    for data in (
        b"",
        b"{}",
        b"[]",
        b"7",
        b'{"results": {}}',
        b'{"results": [7]}',
        b"\xff\xfe",
        b'{"error": {"code": "X"}}',
    ):
        with pytest.raises(Malformed):
            openfda.read(data)


def test_the_same_number_twice_is_one_notice_if_it_says_the_same() -> None:
    assert len(openfda.read(file(REPORT, REPORT))) == 1
    with pytest.raises(Malformed, match="given twice"):
        openfda.read(file(REPORT, REPORT | {"code_info": "Lot A1"}))
