"""OIG's list of excluded individuals and entities (LEIE) as it is published: one CSV of 18 columns, a full edition each month.

https://oig.hhs.gov/exclusions/exclusions_list.asp (record layout). Dates are YYYYMMDD, none is 00000000; an unknown NPI is
0000000000, which most rows have. A file that ends in the middle of a row, or whose rows are not of 18 columns, is refused whole.
"""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from typing import Final

from canonical.check_digits import is_npi
from canonical.errors import Malformed
from canonical.exclusions import Listed
from canonical.people_matching import folded

COLUMNS: Final = (
    "LASTNAME", "FIRSTNAME", "MIDNAME", "BUSNAME", "GENERAL", "SPECIALTY", "UPIN", "NPI", "DOB", "ADDRESS", "CITY", "STATE",
    "ZIP", "EXCLTYPE", "EXCLDATE", "REINDATE", "WAIVERDATE", "WVRSTATE",
)  # fmt: skip
NO_DATE: Final = frozenset({"", "00000000"})
MOST_BYTES: Final = 200_000_000  # a dozen times what is published


def read(data: bytes, as_of: date) -> list[Listed]:
    """The rows of a full edition in force on a day, in its order; one that says it was reinstated by then is left out.

    Raises:
        Malformed: not this format, a row that cannot be read (``row 17 EXCLDATE``), or a file cut off on its way; nothing of such
            a file is taken.
    """
    if not data.strip():
        raise Malformed("the file is empty", path="file", code="list-empty")
    if len(data) > MOST_BYTES:
        raise Malformed(f"the file has {len(data)} bytes: {MOST_BYTES} at most", path="file", code="too-large")
    if not data.endswith(b"\n"):
        raise Malformed("the file ends in the middle of a row: it was cut off", path="file", code="list-truncated")
    rows = csv.reader(io.StringIO(_text(data), newline=""), strict=True)
    try:
        heading = tuple(cell.strip().upper() for cell in next(rows))
        if heading != COLUMNS:
            raise Malformed("row 1: not the 18 columns of the LEIE", path="row 1", code="data-invalid")
        found = [_row(number, cells) for number, cells in enumerate(rows, start=2) if cells]
    except csv.Error as wrong:
        raise Malformed(f"row {rows.line_num}: {wrong}", path=f"row {rows.line_num}", code="parse") from None
    if not found:
        raise Malformed("the file holds no row beside its heading", path="file", code="list-empty")
    return [row for row, reinstated in found if reinstated is None or reinstated > as_of]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")  # single rows have come so; no name is lost but its accent


def _row(number: int, cells: list[str]) -> tuple[Listed, date | None]:
    if len(cells) != len(COLUMNS):
        raise Malformed(
            f"row {number}: {len(cells)} columns, not {len(COLUMNS)}", path=f"row {number}", code="list-truncated"
        )
    said = {name: cell.replace("\x00", "").strip() for name, cell in zip(COLUMNS, cells, strict=True)}
    npi = said["NPI"]
    listed = Listed(
        row=number,
        family=folded(said["LASTNAME"]),
        given=folded(said["FIRSTNAME"]),
        middle=folded(said["MIDNAME"]),
        business=said["BUSNAME"],
        npi=npi if is_npi(npi) else "",
        birth_date=_day(number, "DOB", said),
        state=said["STATE"],
        kind=said["EXCLTYPE"],
        excluded_on=_day(number, "EXCLDATE", said),
        waived_on=_day(number, "WAIVERDATE", said),
        waiver_state=said["WVRSTATE"],
    )
    return listed, _day(number, "REINDATE", said)


def _day(number: int, name: str, said: dict[str, str]) -> date | None:
    value = said[name]
    if value in NO_DATE:
        return None
    try:
        if len(value) != len("YYYYMMDD"):
            raise ValueError
        return datetime.strptime(value, "%Y%m%d").date()  # noqa: DTZ007 (a day, of no zone)
    except ValueError:
        where = f"row {number} {name}"
        raise Malformed(f"{where}: not a date as YYYYMMDD", path=where, code="data-invalid") from None
