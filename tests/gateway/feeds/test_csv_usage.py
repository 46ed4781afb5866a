"""A file of uses: each row is one, exactly, or refused with its row and column."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from canonical.senders import Mappings, Sender
from canonical.usage import UsageEvent
from gateway.csv_reading import CsvFile, Part
from gateway.registry import CSV_FEEDS

CABINET = Sender(code="CABINET", facility="NGH", dialect="file", source="cabinets", deliver_to="NGH-W3")
BARCODE = "(01)51022222233336(17)280731(10)A213B1(21)1234"
HEAD = "number,sequence,location,item,barcode,quantity,unit,lot,expires,used_at,kind,voids,wasted,encounter"


def parts(*rows: str, head: str = HEAD, sender: Sender = CABINET, **tables: dict[str, str]) -> list[Part]:
    data = "\n".join([head, *rows]).encode()
    return list(CsvFile(data, CSV_FEEDS["csv", "usage"], sender, Mappings(tables)).parts())


def use(row: str, **about: Any) -> UsageEvent:
    (part,) = parts(row, **about)
    assert isinstance(part.noun, UsageEvent), part.faults
    return part.noun


def fault(row: str) -> str:
    (part,) = parts(row)
    assert part.noun is None
    return part.faults[0].column


def test_a_row_is_a_use_in_our_codes_with_its_lot_and_expiry() -> None:
    row = "C-1,2,CAB-7,GLV,,2.50,BOX,L-1,2028-07-31,2026-11-21T08:30,,,yes,V-1"
    found = use(row, item={"GLV": "ITM-1001"}, unit={"BOX": "BX"}, location={"CAB-7": "NGH-OR"})
    assert (found.facility, found.source, found.number, found.sequence) == ("NGH", "cabinets", "C-1", 2)
    assert (found.location, found.item, found.amount, found.unit) == ("NGH-OR", "ITM-1001", Decimal("2.5"), "BX")
    assert (found.lot, found.expires, found.wasted) == ("L-1", date(2028, 7, 31), True)
    assert found.used_at == datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
    assert found.encounter == "visit|NGH|V-1" and "V-1" not in found.model_dump_json()


def test_what_the_tables_do_not_know_goes_on_as_it_was_written_and_no_place_is_the_senders_own() -> None:
    found = use("C-1,,,NEW,,1,KAST,,,2026-11-21,,,,", item={"A": "B"}, unit={"A": "B"})
    assert (found.item, found.unit, found.location, found.sequence) == ("NEW", "KAST", "NGH-W3", 1)


def test_a_barcode_says_item_lot_serial_and_expiry() -> None:
    found = use(f"C-1,,,,{BARCODE},1,,,,2026-11-21,,,,")
    assert found.device is not None and found.device.device == "51022222233336"
    assert (found.item, found.lot, found.serial, found.expires) == ("", "A213B1", "1234", date(2028, 7, 31))


def test_a_use_taken_back_names_it_and_an_empty_bin_needs_no_quantity() -> None:
    back = use("C-2,,,,,,,,,2026-11-21,void,C-1,,")
    assert (back.kind, back.voids_number, back.voids_sequence) == ("void", "C-1", 1)
    assert use("C-3,,,ITM-1,,,,,,2026-11-21,empty-bin,,,").kind == "empty-bin"


@pytest.mark.parametrize(
    ("said", "used_at"),
    [
        ("2026-11-21T08:30", datetime(2026, 11, 21, 13, 30, tzinfo=UTC)),
        ("2026-11-21 08:30:15", datetime(2026, 11, 21, 13, 30, 15, tzinfo=UTC)),
        ("20261121T0830Z", datetime(2026, 11, 21, 8, 30, tzinfo=UTC)),
        ("20261121T0830-05:00", datetime(2026, 11, 21, 13, 30, tzinfo=UTC)),
        ("2026-11-21T08:30+01:00", datetime(2026, 11, 21, 7, 30, tzinfo=UTC)),
        ("20261121", datetime(2026, 11, 21, 5, 0, tzinfo=UTC)),
    ],
)
def test_times_are_read_with_their_zone_or_in_the_senders(said: str, used_at: datetime) -> None:
    assert use(f"C-1,,,A,,1,,,,{said},,,,", sender=CABINET.changed(time_zone="America/New_York")).used_at == used_at


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (",,,A,,1,,,,2026-11-21,,,,", "number"),
        ("C-1,0,,A,,1,,,,2026-11-21,,,,", "sequence"),
        ("C-1,,,,,1,,,,2026-11-21,,,,", "item"),
        ("C-1,,,,123,1,,,,2026-11-21,,,,", "barcode"),
        ("C-1,,,A,,,,,,2026-11-21,,,,", "quantity"),
        ("C-1,,,A,,-1,,,,2026-11-21,,,,", "quantity"),
        ("C-1,,,A,,1e3,,,,2026-11-21,,,,", "quantity"),
        ("C-1,,,A,,0.0000001,,,,2026-11-21,,,,", "quantity"),
        ("C-1,,,A,,1,,,,,,,,", "used_at"),
        ("C-1,,,A,,1,,,,11/12/2026,,,,", "used_at"),
        ("C-1,,,A,,1,,,,2026-11-21T25:00,,,,", "used_at"),
        ("C-1,,,A,,1,,,,0001-01-01T00:00+14:00,,,,", "used_at"),
        ("C-1,,,A,,1,,,soon,2026-11-21,,,,", "expires"),
        (f"C-1,,,,{BARCODE},1,,OTHER,,2026-11-21,,,,", "lot"),
        ("C-1,,,A,,1,,,,2026-11-21,used,,,", "kind"),
        ("C-1,,,A,,1,,,,2026-11-21,void,,,", "voids"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_column(row: str, column: str) -> None:
    assert fault(row) == column
