"""What a file would become is shown message by message, for every sample: read, kept, or refused with its place."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from canonical.catalogue import MasterFile
from canonical.errors import Malformed
from canonical.parties import Partner
from canonical.purchasing import Requisition
from canonical.senders import Mapping
from canonical.usage import UsageEvent
from gateway.simulate import Book, simulate
from tests.formats.hl7_files import ALL, PUBLIC, message, sample
from tests.gateway.csv_house import CATALOGUE, REQUISITIONS, SUPPLIER
from tests.gateway.csv_house import WARD as WARD_FILES
from tests.gateway.feeds.hl7_senders import LINE, WARD
from tests.gateway.test_csv_files import BAD_ROWS
from tests.gateway.test_csv_uses import USES

X12 = Path(__file__).parents[1] / "samples" / "x12"
PUBLIC_X12 = Path(os.environ.get("FASCIA_SAMPLES", "/nowhere")) / "x12"
TODAY = date(2026, 11, 21)
BOOK = Book(TODAY, senders=[WARD], partners=[Partner(code="ALPINE", id="ALPINEMED", our_id="FASCIANGH")])


def test_a_message_is_read_as_its_senders_row_and_tables_have_it() -> None:
    tables = [
        Mapping(sender="WARD", table="item", rows={"ITM-1001": "ITM-7", "ITM-2050": "ITM-8"}),
        Mapping(sender="WARD", table="item", rows={"X": "Y"}, valid_from=date(2026, 12, 1)),
    ]
    (found,) = simulate(sample("oms_o05"), Book(TODAY, senders=[WARD], mappings=tables))
    assert (found.kind, found.control, found.sender, found.known, found.refused) == (
        *("OMS^O05", "WARD-000017", "WARD", True),
        False,
    )
    assert [noun.lines[0].item for noun in found.nouns if isinstance(noun, Requisition)] == ["ITM-7", "ITM-8"]
    (later,) = simulate(sample("oms_o05"), Book(date(2026, 12, 1), senders=[WARD], mappings=tables))
    assert later.refused and later.problems[0].reason == "RQD-4: no item for code ITM-1001 of sender WARD"


def test_a_sender_nobody_knows_is_read_as_one_that_speaks_our_codes() -> None:
    (found,) = simulate(sample("mfn_m16"), Book(TODAY))
    assert (found.sender, found.facility, found.known) == ("ITEMFILE", "NGH", False)
    assert isinstance(found.nouns[0], MasterFile)


def test_a_name_that_is_in_no_row_is_refused() -> None:
    for data in (sample("oms_o05"), (X12 / "810_freight_and_tax.x12").read_bytes()):
        with pytest.raises(Malformed, match="NOBODY"):
            simulate(data, BOOK, sender="NOBODY")


def test_what_the_door_would_refuse_is_said_with_its_place() -> None:
    (found,) = simulate(message("RQD|1|||ITM-1|4|BX", "ORC|NW|R-1"), BOOK)
    assert found.refused and all(problem.path and problem.reason for problem in found.problems)
    narrow = WARD.changed(kinds=("ADT^*",))
    (out_of_scope,) = simulate(message("ORC|NW|R-1", LINE), Book(TODAY, senders=[narrow]))
    assert [problem.path for problem in out_of_scope.problems] == ["MSH-9"] and out_of_scope.refused


def test_a_kind_nobody_reads_is_kept_and_nothing_more() -> None:
    (found,) = simulate(sample("siu_s12"), Book(TODAY))
    assert not found.reads and not found.refused and found.nouns == ()


def test_a_charge_shows_the_uses_it_would_become_and_no_encounter() -> None:
    (found,) = simulate(sample("dft_p03_theatre"), Book(TODAY), facility="NGH")
    assert found.reads and not found.refused
    assert [noun.number for noun in found.nouns if isinstance(noun, UsageEvent)] == ["T-9001", "T-9002", "T-8990^CD"]
    assert "V-77" not in found.model_dump_json() and "A-3001" not in found.model_dump_json()
    (unread,) = simulate(sample("dft_p03_theatre").replace(b"|||1|||SURG|", b"||||||SURG|"), Book(TODAY))
    assert unread.refused and unread.nouns == () and unread.problems[0].path.startswith("FT1-10")


def test_a_file_of_uses_is_known_by_its_columns() -> None:
    (found,) = simulate(USES, Book(TODAY, senders=[WARD_FILES]), sender="WARD-FILES")
    assert (found.kind, len(found.nouns), found.problems) == ("csv_usage", 2, ())


def test_batches_and_mllp_captures_hold_many() -> None:
    assert len(simulate(sample("batch_of_three"), Book(TODAY))) == 3
    framed = b"\x0b" + sample("oms_o05") + b"\x1c\r\x0b" + sample("omn_o07") + b"\x1c\r"
    assert [one.kind for one in simulate(framed, Book(TODAY))] == ["OMS^O05", "OMN^O07"]


def test_a_catalogue_shows_its_good_rows_and_its_bad_ones() -> None:
    (found,) = simulate((X12 / "832_three_bad_rows.x12").read_bytes(), BOOK)
    (file,) = found.nouns
    assert isinstance(file, MasterFile) and (found.sender, found.refused) == ("ALPINE", False)
    assert (len(file.entries), len(file.bad_rows)) == (3, 3)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x0bMSH|no end", b"ISA*"])
def test_what_is_neither_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        assert not simulate(data, BOOK)


OWN = [*(f"hl7/{name}.hl7" for name in ALL), *sorted(f"x12/{path.name}" for path in X12.glob("*.x12"))]


@pytest.mark.parametrize("name", OWN)
def test_every_sample_of_ours_is_read_or_refused_with_a_reason(name: str) -> None:
    _judged((X12.parent / name).read_bytes())


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with samples")
def test_every_public_sample_is_read_or_refused_with_a_reason() -> None:
    files = [*PUBLIC.glob("*.hl7"), *PUBLIC_X12.glob("*.edi")]
    assert len(files) > 10
    for path in files:
        _judged(path.read_bytes())


def _judged(data: bytes) -> None:
    try:
        found = simulate(data, Book(TODAY))
    except Malformed as refused:
        assert refused.message
        return
    assert found
    for one in found:
        assert all(problem.reason for problem in one.problems)
        if one.reads and not one.refused and one.kind != "ISA":
            assert one.nouns or one.problems


def test_a_file_of_rows_shows_what_would_be_taken_and_what_not() -> None:
    (found,) = simulate(BAD_ROWS, Book(TODAY, senders=[SUPPLIER]), sender="ALPINE")
    assert (found.kind, found.sender, found.known, found.refused) == ("csv_catalogue", "ALPINE", True, False)
    assert [problem.path for problem in found.problems] == ["row 5 price", "row 6", "row 7 base_units"]
    (file,) = found.nouns
    assert isinstance(file, MasterFile) and [entry.row for entry in file.entries] == ["2", "3", "4"]
    (strict,) = simulate(BAD_ROWS, Book(TODAY, senders=[SUPPLIER.changed(bad_rows="refuse all")]), sender="ALPINE")
    assert strict.refused
    (asked,) = simulate(REQUISITIONS, Book(TODAY, senders=[WARD_FILES]), sender="WARD-FILES")
    assert sorted(noun.number for noun in asked.nouns if isinstance(noun, Requisition)) == ["R-1", "R-2"]
    titles, row, *_ = CATALOGUE.splitlines()
    (passed,) = simulate(
        b"\n".join([titles + b",Colour,shelf", row + b",,"]), Book(TODAY, senders=[SUPPLIER]), sender="ALPINE"
    )
    (noted,) = passed.problems
    assert (noted.reason, noted.refuses, passed.refused) == ("columns nobody reads: colour, shelf", False, False)
    (cut,) = simulate(b"H,1\n" + CATALOGUE, Book(TODAY), sender="ALPINE")
    assert cut.refused and "cut off" in cut.problems[0].reason
