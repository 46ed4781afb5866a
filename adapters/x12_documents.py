"""What we tell a supplier, as X12 documents: an order (850), a change of it (860), what a payment is for (820).

Pure functions from our language to segments of 004010. Numbers and codes go out exactly as they are; only descriptions, which
a person reads, are made fit for the partner's marks. No person's name and no reason a person typed leaves the house.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from canonical.errors import Malformed
from canonical.invoicing import Remittance
from canonical.parties import Partner
from canonical.purchasing import LineChange, OrderChange, OrderLine, PurchaseOrder
from formats.x12 import Segment, segment
from formats.x12_values import as_day, as_real, free_text

ORIGINAL, DUPLICATE, CANCELLATION, CHANGE = "00", "07", "01", "04"
NEW_ORDER, RUSH_ORDER = "NE", "RO"
END_LINE, CHANGE_LINE = "DI", "CA"
ASSIGNED_BY_BUYER = "92"
LONGEST_REFERENCE = 30
LOT, SERIAL, CASE = "LT", "SE", "CR"  # data element 128: lot number, serial number, customer reference number


def order_850(order: PurchaseOrder, partner: Partner, *, again: bool = False) -> Sequence[Segment]:
    """An order. ``again`` marks a person's re-send as a duplicate (BEG01 07), so nobody makes two orders of it."""
    body = [
        segment("BEG", DUPLICATE if again else ORIGINAL, _kind(order), order.number, "", as_day(order.ordered_on)),
        segment("CUR", "BY", order.currency),
    ]
    if order.contract:
        body.append(segment("REF", "CT", order.contract))
    if order.department:
        body.append(segment("REF", "DP", order.department))
    body.append(segment("ITD", "05", "3", *[""] * 4, str(order.net_days)))
    if order.needed_by:
        body.append(segment("DTM", "002", as_day(order.needed_by)))
    body += _places(order)
    for line in order.lines:
        body += _order_line(line, partner)
    body.append(segment("CTT", str(len(order.lines))))
    body.append(segment("AMT", "TT", as_real(order.amount.amount)))
    return body


def _kind(order: PurchaseOrder) -> str:
    return RUSH_ORDER if order.emergency else NEW_ORDER


def _places(order: PurchaseOrder) -> list[Segment]:
    return [
        segment("N1", "BY", "", ASSIGNED_BY_BUYER, order.facility),
        segment("N1", "ST", "", ASSIGNED_BY_BUYER, order.ship_to),
    ]


def _order_line(line: OrderLine, partner: Partner) -> list[Segment]:
    price, quantity = as_real(line.unit_price.amount), as_real(line.quantity.value)
    product = ("VC", line.supplier_item) if line.supplier_item else ()
    body = [segment("PO1", str(line.number), quantity, line.quantity.unit, price, "", *product, "BP", line.item)]
    marks = partner.element_separator + partner.segment_terminator + partner.component_separator
    described = free_text(line.description, marks, 80)
    if described:
        body.append(segment("PID", "F", "", "", "", described))
    if line.contract:
        body.append(segment("REF", "CT", line.contract))
    for qualifier, value in ((LOT, line.lot), (SERIAL, line.serial), (CASE, line.procedure)):
        if value:
            body.append(segment("REF", qualifier, free_text(value, marks, LONGEST_REFERENCE)))
    return body


def change_860(change: OrderChange) -> Sequence[Segment]:
    """A change or the cancellation of an order; ``sequence`` (BCH05) is what its 865 repeats."""
    order = change.order
    purpose = CANCELLATION if change.cancel else CHANGE
    if not change.cancel and not change.lines:
        raise Malformed("A change changes at least one line", path="lines", code="data-invalid")
    body = [
        segment(
            *("BCH", purpose, _kind(order), order.number, "", str(change.sequence), as_day(order.ordered_on)),
            *("", "", "", "", as_day(change.dated)),
        ),
        segment("CUR", "BY", order.currency),
        *_places(order),
    ]
    for line in change.lines:
        body.append(_change_line(line, ends=line.ended or change.cancel))
    body.append(segment("CTT", str(len(change.lines))))
    return body


def _change_line(line: LineChange, *, ends: bool) -> Segment:
    quantity = as_real(line.quantity.value)
    return segment(
        "POC",
        str(line.number),
        END_LINE if ends else CHANGE_LINE,
        quantity,
        "0" if ends else quantity,
        line.quantity.unit,
        as_real(line.unit_price.amount),
        "",
        *(("VC", line.supplier_item) if line.supplier_item else ()),
        *("BP", line.item),
    )


def remittance_820(remittance: Remittance) -> Sequence[Segment]:
    """What a payment is for; RMR04 is what was paid, RMR05 what was billed, RMR06 the discount we kept."""
    payment, invoice, order = remittance.payment, remittance.invoice, remittance.order
    paid = as_real(payment.amount.amount)
    body = [
        segment("BPR", "I", paid, "C", "ACH", *[""] * 11, as_day(remittance.paid_on)),
        segment("TRN", "1", _reference(payment.order, invoice.number)),
        segment("CUR", "PR", payment.amount.currency),
        segment("N1", "PR", "", ASSIGNED_BY_BUYER, order.facility),
        segment("N1", "PE", "", ASSIGNED_BY_BUYER, payment.supplier),
        segment("ENT", "1"),
        segment("RMR", "IV", invoice.number, "", paid, as_real(invoice.total.amount), as_real(payment.discount.amount)),
        segment("REF", "PO", order.number),
    ]
    if payment.debit_memo.amount:
        body.append(segment("REF", "CM", invoice.number, f"DEBIT MEMO {as_real(payment.debit_memo.amount)}"))
    body.append(segment("DTM", "003", as_day(invoice.invoiced_on)))
    return body


def _reference(order: str, invoice: str) -> str:
    """A payment's own name in at most 30 characters, the same each time."""
    name = f"{order}/{invoice}"
    if len(name) <= LONGEST_REFERENCE:
        return name
    return f"{name[:17]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
