"""Reads a supplier's price catalogue (X12 832, 004010): what it sells, how it is packed, what that costs from which day on.

LIN is an item (VC, VN, VP the supplier's number, BP or IN ours), CTP a price (CTP03 per CTP05, else per CTP09 or each), PO4 the
packing, DTM 007 and 036 since and until when. A row that cannot be read stands apart with its place; the others are taken.
"""

from __future__ import annotations

from datetime import date

from pydantic import ValidationError

from canonical.base import Money, in_words
from canonical.catalogue import Action, BadRow, CatalogueEntry, CataloguePrice, MasterFile
from canonical.errors import Malformed
from canonical.supply import Packaging
from formats.x12 import Document, Segment
from formats.x12_sections import (
    BUYERS_NUMBER,
    SUPPLIERS_NUMBER,
    Section,
    chosen,
    dates,
    first_component,
    path,
    required,
    split,
)
from formats.x12_values import real, unit

SINCE, UNTIL = ("007", "196"), ("036", "197")  # data element 374: effective, start; expiration, end
ACTIONS: dict[str, Action] = {"001": "update", "002": "delete", "021": "add"}  # G5301, data element 875, in use


def read(document: Document, supplier: str, currency: str = "USD") -> tuple[MasterFile, ...]:
    """The catalogue in an 832.

    Raises:
        Malformed: there is no BCT, a date of the whole catalogue is none, or it has no item.
    """
    before, lines, _ = split(document, "LIN")
    bct = required(before, "BCT")
    if not lines:
        raise Malformed("LIN is missing: the catalogue has no item", path="LIN", code="data-invalid")
    currency = next((one[2] for one in before.all("CUR") if one[2]), currency)
    since = _since(dates(before.all("DTM")))
    good: list[CatalogueEntry] = []
    bad: list[BadRow] = []
    for line in lines:
        try:
            good.append(_entry(line, supplier, currency, since))
        except Malformed as wrong:
            bad.append(BadRow(row=line.head[1].strip()[:80], path=wrong.path or path(line.head), reason=wrong.message))
        except ValidationError as wrong:
            problem = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(str(one) for one in problem["loc"])
            reason = f"{path(line.head)}: {where}: {in_words(problem['msg'])}"
            bad.append(BadRow(row=line.head[1].strip()[:80], path=path(line.head), reason=reason))
    number = bct[2].strip()
    file = MasterFile(kind="catalogue", source=supplier, number=number, issued_on=_issued(before, bct))
    return (file.model_copy(update={"entries": tuple(good), "bad_rows": tuple(bad)}),)


def _issued(before: Section, bct: Segment) -> date | None:
    """The day of the catalogue: DTM 009 or 097 (processed, transaction), else what BCT03 says, where that is a day."""
    found = dates(before.all("DTM"))
    return found.get("009") or found.get("097")


def _entry(line: Section, supplier: str, currency: str, since: date | None) -> CatalogueEntry:
    lin = line.head
    numbers = lin.pairs(2)
    catalogue_number, item = chosen(numbers, SUPPLIERS_NUMBER), chosen(numbers, BUYERS_NUMBER)
    if not catalogue_number and not item:
        raise Malformed(f"{path(lin, 2)}: no number of the supplier's or ours", path=path(lin, 2), code="data-invalid")
    own = dates(_up_to(line, "CTP"))
    prices = tuple(_prices(line, currency))
    units = list(dict.fromkeys(one.unit for one in prices))
    return CatalogueEntry(
        row=lin[1].strip()[:80],
        path=path(lin),
        action=ACTIONS.get(next((one[1] for one in line.all("G53")), ""), "update"),
        valid_from=_since(own) or since,
        item=item or None,
        supplier=supplier,
        catalogue_number=catalogue_number,
        description=next((one[5].strip() for one in line.all("PID") if one[5].strip()), ""),
        order_unit=units[0] if len(units) == 1 else None,
        packagings=tuple(_packagings(line, units)),
        prices=prices,
    )


def _prices(line: Section, currency: str) -> list[CataloguePrice]:
    """Each CTP with a unit price; the DTM that follow one are its own."""
    found = []
    for index, one in enumerate(line.rest):
        if one.name != "CTP" or not one[3]:
            continue
        follows = []
        for after in line.rest[index + 1 :]:
            if after.name not in ("CUR", "DTM", "SAC", "CTB"):
                break
            follows.append(after)
        own = dates(follows)
        amount = real(one[3], path(one, 3))
        if amount < 0:
            raise Malformed(f"{path(one, 3)}: a price is not below nothing", path=path(one, 3), code="data-invalid")
        coin = next((after[2] for after in follows if after.name == "CUR" and after[2]), currency)
        found.append(
            CataloguePrice(
                unit=unit(first_component(one[5]) or one[10].strip() or "EA"),
                price=Money(amount=amount, currency=coin),
                valid_from=_since(own),
                valid_to=next((own[code] for code in UNTIL if code in own), None),
            )
        )
    return found


def _packagings(line: Section, units: list[str]) -> list[Packaging]:
    """PO4: so many (PO401) of a size (PO402 PO403) in one priced unit; said only where it is whole and the unit is one."""
    found = []
    for one in line.all("PO4"):
        if not one[1] or len(units) != 1 or unit(one[3] or "EA") != "EA":
            continue
        count = real(one[1], path(one, 1)) * (real(one[2], path(one, 2)) if one[2] else 1)
        if count != count.to_integral_value() or count <= 0:
            raise Malformed(f"{path(one, 1)} is not a whole number of units", path=path(one, 1), code="data-invalid")
        found.append(Packaging(unit=units[0], base_units=int(count)))
    return found[:1]


def _up_to(line: Section, name: str) -> list[Segment]:
    names = [one.name for one in line.rest]
    return line.rest[: names.index(name)] if name in names else line.rest


def _since(found: dict[str, date]) -> date | None:
    return next((found[code] for code in SINCE if code in found), None)
