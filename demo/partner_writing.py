"""What a supplier writes back: acknowledgements, ship notices and invoices, X12 4010, as segments.

997 for every group we are sent, 855 to an order, 865 to a change, 856 for a shipment, 810 for an invoice; 832, a price catalogue.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from demo.partner_reading import Fault
from demo.partner_state import LineHeld, OrderHeld, Shipment
from demo.x12_plain import Group, Segment


def _day(days: int = 0) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y%m%d}"


def _number(value: Decimal) -> str:
    return f"{value.normalize():f}"


def functional(group: Group, faults: dict[str, list[Fault]]) -> list[Segment]:
    """The 997 for a group. ``faults`` are by ST02; a set whose own envelope does not hold is refused too."""
    segments: list[Segment] = [["AK1", group.code, group.number]]
    accepted = 0
    for transaction in group.transactions:
        found = faults.get(transaction.number, [])
        segments.append(["AK2", transaction.code, transaction.number])
        for fault in found:
            segments += fault.told()
        codes = [*transaction.wrong, *(["5"] if found else [])]
        accepted += not codes
        segments.append(["AK5", "R" if codes else "A", *codes])
    sets = len(group.transactions)
    verdict = "R" if group.wrong or not accepted else "A" if accepted == sets else "P"
    segments.append(["AK9", verdict, str(sets), str(sets), str(accepted if not group.wrong else 0), *group.wrong])
    return segments


def _product(line: LineHeld) -> Segment:
    return ["VC", line.offered or line.catalogue]


def acknowledgement(order: OrderHeld, *, detail_changed: bool) -> list[Segment]:
    """The 855: every line with what we say of it."""
    refused = all(line.code in ("IR", "R1", "R2", "R3", "R4") for line in order.lines)
    code = "RD" if refused else "AC" if detail_changed else "AD"
    segments: list[Segment] = [
        ["BAK", "00", code, order.number, order.dated, "", "", "", order.reference, _day()],
        ["REF", "VN", order.reference],
    ]
    for line in order.lines:
        segments.append(
            ["PO1", line.number, _number(line.quantity), line.unit, _number(line.price), "", "VC", line.catalogue]
        )
        segments += _said(line)
    segments.append(["CTT", str(len(order.lines))])
    return segments


def _said(line: LineHeld) -> list[Segment]:
    promised = ["068", _day(3)]
    if line.code == "IB" and line.now:
        later = line.quantity - line.now
        return [
            ["ACK", "IA", _number(line.now), line.unit, "068", _day(2)],
            ["ACK", "IB", _number(later), line.unit, "068", _day(14)],
        ]
    said = ["ACK", line.code, _number(line.quantity), line.unit, *promised]
    return [[*said, "", "VC", line.offered]] if line.offered else [said]


def change_answer(order: OrderHeld, sequence: str, code: str, answered: list[tuple[LineHeld, str]]) -> list[Segment]:
    """The 865 to one 860."""
    segments: list[Segment] = [
        ["BCA", "00", code, order.number, "", sequence, order.dated, "", "", order.reference, _day()]
    ]
    for line, said in answered:
        taken = "ID" if said == "DI" else "IA"
        verdict = "IR" if code == "RJ" else taken
        segments.append(
            ["POC", line.number, said, _number(line.quantity), "", line.unit, _number(line.price), "", *_product(line)]
        )
        segments.append(["ACK", verdict, _number(line.quantity), line.unit])
    segments.append(["CTT", str(len(answered))])
    return segments


def ship_notice(order: OrderHeld, shipment: Shipment) -> list[Segment]:
    """The 856: shipment, order, one pack, items."""
    lines = {line.number: line for line in order.lines}
    segments: list[Segment] = [
        ["BSN", "00", shipment.number, _day(), f"{datetime.now(UTC):%H%M%S}", "0001"],
        ["HL", "1", "", "S"],
        ["TD1", "CTN", str(len(shipment.quantities))],
        ["TD5", "B", "2", "NRTH", "M", "Northern Freight"],
        ["REF", "CN", f"1Z{shipment.number}"],
        ["DTM", "011", _day()],
        ["DTM", "017", _day(2)],
        ["N1", "ST", "Northfield General Hospital", "92", order.ship_to],
        ["HL", "2", "1", "O"],
        ["PRF", order.number, "", "", order.dated],
        ["HL", "3", "2", "P"],
        ["MAN", "GM", _sscc(shipment.number)],
    ]
    for at, (number, quantity) in enumerate(shipment.quantities.items()):
        line = lines[number]
        segments += [
            ["HL", str(4 + at), "3", "I"],
            ["LIN", number, *_product(line)],
            ["SN1", number, _number(quantity), line.unit],
            ["REF", "LT", f"L{shipment.number[-6:]}"],
        ]
    segments.append(["CTT", str(3 + len(shipment.quantities))])
    return segments


def _sscc(text: str) -> str:
    digits = "".join(str(ord(letter) % 10) for letter in text).rjust(16, "0")[-16:]
    body = "0" + digits
    weighted = sum(int(digit) * (3 if at % 2 == 0 else 1) for at, digit in enumerate(body))
    return body + str(-weighted % 10)


def cents(amount: Decimal) -> str:
    """An amount with two implied decimals."""
    return str(int((amount * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)))


def invoice(
    order: OrderHeld,
    number: str,
    dated: str,
    billed: list[tuple[LineHeld, Decimal, Decimal]],
    *,
    order_number: str,
    freight: Decimal,
    terms: tuple[str, str, str],
) -> tuple[list[Segment], Decimal]:
    """The 810 for these lines at these quantities and prices, and what it asks for in all."""
    percent, discount_days, net_days = terms
    goods = sum(
        ((quantity * price).quantize(Decimal("0.01"), ROUND_HALF_UP) for _, quantity, price in billed), Decimal(0)
    )
    total = goods + freight
    segments: list[Segment] = [
        ["BIG", dated, number, order.dated, order_number, "", "", "DI"],
        ["REF", "VN", order.reference],
        ["N1", "ST", "Northfield General Hospital", "92", order.ship_to],
        ["ITD", "08" if percent != "0" else "05", "3", percent if percent != "0" else "", "",
         discount_days if percent != "0" else "", "", net_days],
        ["DTM", "011", _day()],
    ]  # fmt: skip
    for line, quantity, price in billed:
        segments.append(["IT1", line.number, _number(quantity), line.unit, _number(price), "", *_product(line)])
    segments.append(["TDS", cents(total)])
    if freight:
        segments.append(["SAC", "C", "D240", "", "", cents(freight)])
    segments.append(["CTT", str(len(billed))])
    return segments, total


def catalogue(number: str, rows: list[dict[str, str]]) -> list[Segment]:
    """The 832 of these rows, as they are given: ``catalogue`` (number), ``unit``, ``price`` and, for a later day, ``since``."""
    segments: list[Segment] = [["BCT", "PC", number, "", "", "", "", "", "", "00"], ["DTM", "007", _day()]]
    for at, row in enumerate(rows, start=1):
        segments.append(["LIN", str(at), *(["VC", row["catalogue"]] if row["catalogue"] else ["UP", "00012345678905"])])
        segments.append(["CTP", "", "CON", row["price"], "1", row["unit"]])
        if row.get("since"):
            segments.append(["DTM", "007", row["since"]])
    segments.append(["CTT", str(len(rows))])
    return segments
