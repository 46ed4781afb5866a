"""The three-way match: what was ordered, what came, and what the supplier bills, line by line within tolerances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pydantic import Field

from canonical.base import Canonical, LineId, Money, Quantity, total, zero
from canonical.invoicing import Invoice, InvoiceLine
from canonical.parties import Tolerances
from canonical.purchasing import OrderLine, PurchaseOrder

PAY, PRICE_HOLD, QUANTITY_HOLD, RECEIPT_MISSING = "pay", "price hold", "quantity hold", "receipt missing"
HEADER_HOLD = "invoice to check"

DECIDES = {
    PRICE_HOLD: "buyer",
    QUANTITY_HOLD: "buyer",
    RECEIPT_MISSING: "receiving",
    HEADER_HOLD: "finance",
    "duplicate": "finance",
}

YEARS_APART = 5  # of an order and its bill: beyond it is a typing error, and no due day can be counted from it


class MatchedLine(Canonical):
    """One invoiced line against its order line: billed, and what we would accept of it. Order units."""

    line: LineId
    billed: Quantity
    accepted: Quantity
    billed_price: Money
    accepted_price: Money
    outcome: str = PAY
    reason: str = ""


class Match(Canonical):
    """What the match says of one invoice.

    ``debit_memo`` is what a short payment would keep back: of lines that do not match what is not accepted; where the
    invoice as a whole does not fit, all above the accepted lines, tax and freight within their limits.
    """

    outcome: str
    decides: str = ""
    reasons: tuple[str, ...] = ()
    lines: tuple[MatchedLine, ...] = ()
    freight: Money
    tax: Money
    debit_memo: Money


class Progress(Canonical):
    """What has happened to an order line before this invoice, in order units. ``per_unit`` is for price conversion."""

    received: Decimal = Decimal(0)
    invoiced: Decimal = Decimal(0)
    more_expected: bool = True
    units: dict[str, int] = Field(default_factory=dict)


def match(order: PurchaseOrder, invoice: Invoice, progress: Mapping[LineId, Progress], limits: Tolerances) -> Match:
    """Match an invoice against its order and receipts.

    A price variance passes only inside both the percent and the amount, per line; billed quantity never exceeds what was
    received, but for bulk items within their percent (lot, serial and implant: none). Freight and tax up to their limits; the
    header total within its limit of lines, freight and tax. A price below the order's passes; a bill of nothing or less,
    or dated years away, never does.
    """
    freight = invoice.freight or zero(invoice.currency)
    tax = invoice.tax or zero(invoice.currency)
    other = invoice.other_charges or zero(invoice.currency)
    reasons: list[str] = []
    if invoice.currency != order.currency:
        return _held(f"invoiced in {invoice.currency}, ordered in {order.currency}", invoice.currency)
    if (odd := _out_of_reason(order, invoice)) is not None:
        return _held(odd, invoice.currency)
    matched: list[MatchedLine] = []
    for billed in invoice.lines:
        line = _order_line(order, billed)
        if line is None:
            reasons.append(f"invoice line {billed.number or billed.supplier_item or '?'} is not on the order")
            continue
        before = _with_earlier(progress.get(line.id, Progress()), matched, line.id)
        matched.append(_match_line(line, billed, before, limits))
    lines_total = total(
        [billed.unit_price.times(_priced(billed, order, progress)) for billed in invoice.lines], invoice.currency
    )
    expected = lines_total.rounded() + freight + tax + other
    if abs(invoice.total.amount - expected.amount) > limits.header_amount:
        reasons.append(f"the total {invoice.total} is not the sum of its parts, {expected}")
    if freight.amount > limits.freight_amount:
        reasons.append(f"freight {freight} is above {limits.freight_amount}")
    tax_limit = (lines_total.rounded() + freight).amount * limits.tax_percent / 100
    if tax.amount > tax_limit:
        reasons.append(f"tax {tax} is above {limits.tax_percent} % of goods and freight")
    if other.amount > 0:
        reasons.append(f"charges of {other} are not on the order")
    held = [line for line in matched if line.outcome != PAY]
    outcome = _outcome(held, reasons)
    debit_memo = _debit_memo(held, invoice.currency)
    if reasons:
        accepted = [line.accepted_price.times(line.accepted.value).rounded() for line in matched]
        usual = freight if freight.amount <= limits.freight_amount else zero(invoice.currency)
        due = tax if tax.amount <= tax_limit else zero(invoice.currency)
        debit_memo = _above_nothing(invoice.total - total([*accepted, usual, due], invoice.currency))
    return Match(
        outcome=outcome,
        decides=DECIDES.get(outcome, ""),
        reasons=(*reasons, *(line.reason for line in held)),
        lines=tuple(matched),
        freight=freight,
        tax=tax,
        debit_memo=debit_memo,
    )


def _out_of_reason(order: PurchaseOrder, invoice: Invoice) -> str | None:
    """What no bill says: taken back as if never billed, goods could be billed and paid a second time."""
    below = [line for line in invoice.lines if line.quantity.value <= 0 or line.unit_price.amount < 0]
    charges = [part for part in (invoice.freight, invoice.tax, invoice.other_charges) if part and part.amount < 0]
    if below or charges or invoice.total.amount <= 0:
        return f"it bills nothing or less than nothing ({invoice.total}): ask for a credit note, or book it in the ERP"
    if abs(invoice.invoiced_on.year - order.ordered_on.year) > YEARS_APART:
        return f"it is dated {invoice.invoiced_on}, the order {order.ordered_on}: ask for it with its right date"
    return None


def _outcome(held: Sequence[MatchedLine], reasons: Sequence[str]) -> str:
    if reasons:
        return HEADER_HOLD
    kinds = [line.outcome for line in held]
    return next((kind for kind in (QUANTITY_HOLD, PRICE_HOLD, RECEIPT_MISSING) if kind in kinds), PAY)


def _held(reason: str, currency: str) -> Match:
    nothing = zero(currency)
    return Match(
        outcome=HEADER_HOLD, decides="finance", reasons=(reason,), freight=nothing, tax=nothing, debit_memo=nothing
    )


def _order_line(order: PurchaseOrder, billed: InvoiceLine) -> OrderLine | None:
    by_number = next((line for line in order.lines if billed.number is not None and line.number == billed.number), None)
    if by_number is not None and (not billed.supplier_item or by_number.supplier_item == billed.supplier_item):
        return by_number
    if billed.number is not None and by_number is not None:
        return None
    same = [line for line in order.lines if billed.supplier_item and line.supplier_item == billed.supplier_item]
    return same[0] if len(same) == 1 else None


def _with_earlier(before: Progress, matched: Sequence[MatchedLine], line: LineId) -> Progress:
    earlier = sum((m.accepted.value for m in matched if m.line == line), Decimal(0))
    return before.model_copy(update={"invoiced": before.invoiced + earlier})


def _in_order_unit(line: OrderLine, quantity: Quantity, units: Mapping[str, int]) -> Decimal | None:
    if quantity.unit == line.quantity.unit:
        return quantity.value
    if quantity.unit not in units or line.quantity.unit not in units:
        return None
    return quantity.value * units[quantity.unit] / units[line.quantity.unit]


def _match_line(line: OrderLine, billed: InvoiceLine, before: Progress, limits: Tolerances) -> MatchedLine:
    unit = line.quantity.unit
    count = _in_order_unit(line, billed.quantity, before.units)
    factor = _price_factor(line, billed, before.units)
    if count is None or factor is None:
        unknown = billed.quantity.unit if count is None else billed.price_unit
        return MatchedLine(
            line=line.id,
            billed=Quantity(value=billed.quantity.value, unit=unit),
            accepted=Quantity(value=Decimal(0), unit=unit),
            billed_price=billed.unit_price,
            accepted_price=line.unit_price,
            outcome=QUANTITY_HOLD,
            reason=f"line {line.number}: billed in {unknown}, which the item is not packed in",
        )
    price = billed.unit_price.times(factor)
    outcome, reason = PAY, ""
    allowed = max(before.received - before.invoiced, Decimal(0))
    percent = limits.bulk_quantity_percent if line.bulk and line.tracking == "none" else limits.quantity_percent
    ceiling = allowed * (1 + percent / 100) if line.tracking == "none" else allowed
    still_open = max(line.quantity.value - before.invoiced, Decimal(0))
    accepted, accepted_price = min(count, allowed) if count > ceiling else count, price
    over = price.amount - line.unit_price.amount
    if count > ceiling:
        waits = before.more_expected and count <= still_open
        outcome = RECEIPT_MISSING if waits else QUANTITY_HOLD
        reason = f"line {line.number}: billed {count.normalize():f} {unit}, received and not yet billed {allowed.normalize():f}"
    elif over > 0 and not (
        over * 100 <= line.unit_price.amount * limits.price_percent and over * count <= limits.price_amount
    ):
        outcome = PRICE_HOLD
        reason = f"line {line.number}: billed at {price}, ordered at {line.unit_price}"
    if over > 0 and outcome != PAY:
        accepted_price = line.unit_price
    return MatchedLine(
        line=line.id,
        billed=Quantity(value=count, unit=unit),
        accepted=Quantity(value=accepted, unit=unit),
        billed_price=price,
        accepted_price=accepted_price,
        outcome=outcome,
        reason=reason,
    )


def _price_factor(line: OrderLine, billed: InvoiceLine, units: Mapping[str, int]) -> Decimal | None:
    per = billed.price_unit or billed.quantity.unit
    if per == line.quantity.unit:
        return Decimal(1)
    if per not in units or line.quantity.unit not in units:
        return None
    return Decimal(units[line.quantity.unit]) / Decimal(units[per])


def _priced(billed: InvoiceLine, order: PurchaseOrder, progress: Mapping[LineId, Progress]) -> Decimal:
    """How many of the price's unit a line bills."""
    per = billed.price_unit or billed.quantity.unit
    line = _order_line(order, billed)
    units = progress.get(line.id, Progress()).units if line else {}
    if per == billed.quantity.unit or per not in units or billed.quantity.unit not in units:
        return billed.quantity.value
    return billed.quantity.value * units[billed.quantity.unit] / units[per]


def _debit_memo(held: Sequence[MatchedLine], currency: str) -> Money:
    """What a short payment keeps back of lines that do not match."""
    kept_back = [
        line.billed_price.times(line.billed.value).rounded() - line.accepted_price.times(line.accepted.value).rounded()
        for line in held
    ]
    return total([_above_nothing(amount) for amount in kept_back], currency)


def _above_nothing(amount: Money) -> Money:
    return amount.rounded() if amount.amount > 0 else zero(amount.currency)
