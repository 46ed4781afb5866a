"""``fascia udi``: what a barcode says of a device, as our doors read it."""

from __future__ import annotations

import sys
from datetime import date
from typing import Annotated

import typer
from rich.console import RenderableType

from canonical.base import Canonical
from canonical.errors import Malformed
from cli.command import command, noun
from cli.exits import Exit, wrong_usage
from cli.output import Output, table
from formats import udi

app = noun("Barcodes of devices: which device one names, and which one of them.")
FROM_INPUT = "-"


class BarcodeRow(Canonical):
    """What one barcode says, or why it cannot be read; in the order given, counted from 1."""

    number: int
    outcome: str
    agency: str = ""
    device: str = ""
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    made: date | None = None
    donation: str = ""
    quantity: int | None = None
    reason: str = ""


@command(app, "read", lists=True)
def read(
    out: Output,
    barcodes: Annotated[
        list[str],
        typer.Argument(
            help='As scanned or printed: "(01)...(17)...(10)...", +..., =...; - reads one a line from input.'
        ),
    ],
) -> None:
    """Read barcodes by the rules of GS1, HIBCC and ICCBBA (ISBT 128); nothing is kept.

    A serial number may lead to a patient: - keeps it out of the shell's history.
    """
    given = _given(barcodes)
    if not given:
        raise wrong_usage("no barcode was given")
    rows = [_row(number, raw) for number, raw in enumerate(given, 1)]

    def show() -> list[RenderableType]:
        shown = table("", "outcome", "agency", "device", "lot", "serial", "expires", "made", "donation", "of", "reason")
        for row in rows:
            days = (str(day) if day else "" for day in (row.expires, row.made))
            count = str(row.quantity or "")
            shown.add_row(
                str(row.number), row.outcome, row.agency, row.device, row.lot, row.serial, *days, row.donation, count,
                row.reason,
            )  # fmt: skip
        return [shown]

    out.rows(BarcodeRow, rows, show)
    refused = sum(row.outcome == "refused" for row in rows)
    if refused:
        raise typer.Exit(Exit.USAGE if refused == len(rows) else Exit.PARTLY)


def _given(barcodes: list[str]) -> list[str]:
    found: list[str] = []
    for one in barcodes:
        # A line ends where the scanner says so; splitlines() would also cut at the separator of GS1 (0x1D).
        lines = sys.stdin.read().replace("\r", "\n").split("\n") if one == FROM_INPUT else [one]
        found += [line for line in lines if line.strip(" \t")] if one == FROM_INPUT else lines
    return found


def _row(number: int, raw: str) -> BarcodeRow:
    try:
        said = udi.read(raw)
    except Malformed as no:
        return BarcodeRow(number=number, outcome="refused", reason=no.message)
    return BarcodeRow.model_validate({"number": number, "outcome": "read", **said.model_dump(exclude={"raw"})})
