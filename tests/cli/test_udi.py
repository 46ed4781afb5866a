"""``fascia udi read``: what a barcode says, for whoever holds the box."""

from __future__ import annotations

import io
import sys

import pytest

from tests.cli.conftest import Fascia

GOOD = "(01)51022222233336(17)150707(10)A213B1(21)1234"
MISREAD = "(01)51022222233337"


def test_a_barcode_shows_its_device_lot_serial_number_and_expiry(fascia: Fascia) -> None:
    ended = fascia("udi", "read", GOOD, "--json")
    (row,) = ended.json["items"]
    assert (ended.code, row["outcome"], row["agency"], row["device"]) == (0, "read", "GS1", "51022222233336")
    assert (row["lot"], row["serial"], row["expires"]) == ("A213B1", "1234", "2015-07-07")
    assert "A213B1" in fascia("udi", "read", GOOD).out
    assert (
        fascia("udi", "read", GOOD, "--csv").out.splitlines()[0].startswith("number,outcome,agency,device,lot,serial")
    )


def test_one_that_cannot_be_read_says_why_and_the_others_are_read(fascia: Fascia) -> None:
    ended = fascia("udi", "read", MISREAD, GOOD, "--json")
    assert (ended.code, [row["outcome"] for row in ended.json["items"]]) == (6, ["refused", "read"])
    assert "check digit" in ended.json["items"][0]["reason"]
    assert fascia("udi", "read", MISREAD).code == 2


def test_barcodes_are_read_from_a_scanner_at_the_input_with_their_separators(
    fascia: Fascia, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("015102222223333610A213B1\x1d211234\r\n\n+A123BJC5D6E71G\r"))
    rows = fascia("udi", "read", "-", "--json").json["items"]
    assert [(row["agency"], row["lot"], row["serial"]) for row in rows] == [
        ("GS1", "A213B1", "1234"),
        ("HIBCC", "", ""),
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    ended = fascia("udi", "read", "-")
    assert ended.code == 2 and "no barcode" in ended.err
