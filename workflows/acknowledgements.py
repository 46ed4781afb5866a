"""What each answer of a supplier means for an order: every BAK02 and ACK01 code in one table, none guessed.

X12 004010 data elements 587 (acknowledgement type) and 668 (line item status).
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from canonical.cases import Attention
from canonical.purchasing import AcknowledgedLine, LineAcknowledgement, OrderAcknowledgement
from workflows.order_state import LineProgress, OrderProgress, Proposal

# BAK02 and BCA02
ORDER_GOES_ON = frozenset({"AC", "AD", "AE", "AK", "AT"})
ALL_ACCEPTED = frozenset({"AD", "AK", "AT"})
ONLY_EXCEPTIONS = "AE"
ORDER_HELD = "AH"
ORDER_ENDS = frozenset({"RD", "RF", "RJ"})

# ACK01
GO_ON = frozenset({"IA", "AC", "AR", "AA"})
RESCHEDULED = "DR"
BACK_ORDERED = frozenset({"IB", "BP"})
TO_DECIDE = {
    "IP": "price changed",
    "IQ": "quantity changed",
    "IS": "substitution offered",
    "IC": "accepted with changes",
    "IE": "price pending",
    "R3": "unit not accepted",
}
WAITS = {"SP": "date pending", "IH": "on hold", "IF": "on hold, incomplete", "IW": "on hold, waiver required"}
LINE_ENDS = {
    "IR": "rejected",
    "ID": "deleted",
    "R1": "not a contract item",
    "R2": "invalid item number",
    "R4": "contract item not available",
}
OTHER_ROUTE = {
    "R5": "re-order as a new order",
    "R6": "re-order from the manufacturer",
    "R7": "re-order by another way of transport",
    "R8": "re-order from another distribution centre",
}

DECIDE_LINE = ("accept", "refuse", "cancel")


def read_answer(
    progress: OrderProgress, answer: OrderAcknowledgement, now: datetime, hold_until: datetime
) -> list[Attention]:
    """Apply an 855 to the order; returns what a person must decide. Dates of holds come from the partner's calendar."""
    progress.answered = True
    if answer.code in ORDER_ENDS:
        progress.rejected = f"the supplier refused the order ({answer.code})"
        for line in progress.lines:
            line.ended = line.ended or f"rejected by supplier ({answer.code})"
        return []
    if answer.code == ORDER_HELD:
        progress.hold_until = hold_until
        return []
    if answer.code not in ORDER_GOES_ON:
        return [
            Attention(
                kind="unknown-code",
                reason=f"the supplier answered the order with {answer.code!r}, which has no meaning here",
                document="order",
                verbs=DECIDE_LINE,
            )
        ]
    progress.hold_until = None
    parked: list[Attention] = []
    named: set[str] = set()
    for said in answer.lines:
        meant = progress.by_number(said.number, said.supplier_item)
        if meant is None:
            parked.append(
                Attention(
                    kind="data-invalid",
                    reason=f"the supplier answered a line {said.number or said.supplier_item} that is not on the order",
                    document=f"855 line {said.number or said.supplier_item}",
                    verbs=("accept", "cancel"),
                )
            )
            continue
        named.add(meant.line.id)
        parked += _read_line(meant, said, progress, hold_until)
    if not answer.lines or answer.code in ALL_ACCEPTED or answer.code == ONLY_EXCEPTIONS:
        for line in progress.lines:
            if line.line.id not in named and not line.ended:
                line.acknowledged, line.state = True, "acknowledged"
    else:
        parked += [_not_answered(line) for line in progress.lines if line.line.id not in named and not line.ended]
    return parked


def _not_answered(line: LineProgress) -> Attention:
    reason = f"line {line.line.number}: the supplier's answer leaves it out"
    return Attention(kind="data-missing", reason=reason, line=line.line.id, verbs=DECIDE_LINE)


def _read_line(
    line: LineProgress, said: AcknowledgedLine, progress: OrderProgress, hold_until: datetime
) -> list[Attention]:
    if line.ended:
        return []
    parts = said.acknowledgements or (LineAcknowledgement(code="IA"),)
    parked: list[Attention] = []
    for part in parts:
        parked += _read_part(line, part, said, progress, hold_until, whole=len(parts) == 1)
    if not parked and not line.ended:
        parked += _silent_price(line, said)
    return parked


def _read_part(
    line: LineProgress,
    part: LineAcknowledgement,
    said: AcknowledgedLine,
    progress: OrderProgress,
    hold_until: datetime,
    *,
    whole: bool,
) -> list[Attention]:
    code, number = part.code, line.line.number
    if code in GO_ON:
        line.acknowledged, line.state = True, "acknowledged"
        line.expected = part.dated or line.expected
        return []
    if code == RESCHEDULED:
        line.acknowledged, line.expected = True, part.dated
        line.state = f"expected {part.dated}" if part.dated else "rescheduled"
        return _too_late(line, part.dated, progress)
    if code in BACK_ORDERED:
        line.acknowledged, line.state = True, "back-ordered"
        line.expected = part.dated or line.expected
        return _too_late(line, part.dated, progress) if whole and code == "IB" else []
    if code in TO_DECIDE:
        line.proposal = _proposal(part, said, line)
        return [_decide(line, f"line {number}: {TO_DECIDE[code]} ({code}){_what(line.proposal, line)}")]
    if code in WAITS:
        line.state, line.waits_until = WAITS[code], _wait_until(part.dated, hold_until)
        return []
    if code in LINE_ENDS:
        return _end_part(line, part, progress, f"{LINE_ENDS[code]} by supplier ({code})")
    if code in OTHER_ROUTE:
        line.state = OTHER_ROUTE[code]
        return [_decide(line, f"line {number}: the supplier says {OTHER_ROUTE[code]} ({code})")]
    line.state = "answer not understood"
    unknown = f"line {number}: the supplier answered {code!r}, which has no meaning here"
    return [Attention(kind="unknown-code", reason=unknown, line=line.line.id, verbs=DECIDE_LINE)]


def _end_part(line: LineProgress, part: LineAcknowledgement, progress: OrderProgress, why: str) -> list[Attention]:
    """A refusal of the whole line ends it; of a part of it, the order line is cut to the rest."""
    quantity = line.line.quantity
    if part.quantity is not None and part.quantity.unit == quantity.unit and part.quantity.value < quantity.value:
        rest = quantity.model_copy(update={"value": quantity.value - part.quantity.value})
        line.line = line.line.model_copy(update={"quantity": rest})
        progress.to_amend.append(line.line.id)
        return []
    line.ended, line.proposal = why, None
    progress.to_end.append(line.line.id)
    return []


def _decide(line: LineProgress, reason: str) -> Attention:
    line.state = "to decide"
    return Attention(kind="partner-rejected", reason=reason, line=line.line.id, verbs=DECIDE_LINE)


def _proposal(part: LineAcknowledgement, said: AcknowledgedLine, line: LineProgress) -> Proposal:
    quantity = part.quantity if part.quantity and part.quantity.unit == line.line.quantity.unit else None
    other = part.supplier_item or said.supplier_item
    return Proposal(
        code=part.code,
        price=said.unit_price if said.unit_price != line.line.unit_price else None,
        quantity=quantity.value if quantity and part.code in ("IQ", "IC") else None,
        supplier_item=other if other != line.line.supplier_item else "",
        dated=part.dated,
    )


def _what(proposal: Proposal, line: LineProgress) -> str:
    words = []
    if proposal.price is not None:
        words.append(f"{proposal.price} instead of {line.line.unit_price}")
    if proposal.quantity is not None:
        words.append(f"{proposal.quantity.normalize():f} instead of {line.line.quantity.value.normalize():f}")
    if proposal.supplier_item:
        words.append(f"{proposal.supplier_item} instead of {line.line.supplier_item}")
    if proposal.dated is not None:
        words.append(f"on {proposal.dated}")
    return f": {', '.join(words)}" if words else ""


def _too_late(line: LineProgress, dated: date | None, progress: OrderProgress) -> list[Attention]:
    needed = progress.order.needed_by
    if dated is None or needed is None or dated <= needed:
        return []
    line.proposal = Proposal(code="DR", dated=dated)
    reason = f"line {line.line.number}: comes on {dated}, needed by {needed}"
    return [Attention(kind="business-rule", reason=reason, line=line.line.id, verbs=DECIDE_LINE)]


def _silent_price(line: LineProgress, said: AcknowledgedLine) -> list[Attention]:
    """An acceptance at a higher price than ordered is a price change, whatever its code says."""
    price, unit = said.unit_price, said.price_unit
    if price is None or (unit is not None and unit != line.line.quantity.unit):
        return []
    if price.currency == line.line.unit_price.currency and price.amount <= line.line.unit_price.amount:
        return []
    line.proposal = Proposal(code="IP", price=price)
    return [_decide(line, f"line {line.line.number}: accepted, but at {price} instead of {line.line.unit_price}")]


def _wait_until(dated: date | None, hold_until: datetime) -> datetime:
    if dated is None:
        return hold_until
    return max(hold_until, datetime(dated.year, dated.month, dated.day, tzinfo=hold_until.tzinfo))


def take(progress: OrderProgress, line: LineProgress) -> str:
    """A person takes what the supplier proposes: the line changes, and the ERP hears of it."""
    proposal, line.proposal = line.proposal, None
    line.acknowledged, line.state = True, "acknowledged"
    if proposal is None:
        return f"line {line.line.number} goes on"
    changed = line.line
    if proposal.price is not None:
        changed = changed.model_copy(update={"unit_price": proposal.price})
    if proposal.quantity is not None and proposal.quantity > Decimal(0):
        changed = changed.model_copy(
            update={"quantity": changed.quantity.model_copy(update={"value": proposal.quantity})}
        )
    if proposal.supplier_item and proposal.code == "IS":
        changed = changed.model_copy(update={"supplier_item": proposal.supplier_item})
    line.expected = proposal.dated or line.expected
    if changed != line.line:
        line.line = changed
        progress.to_amend.append(line.line.id)
    return f"line {line.line.number} goes on as the supplier proposes"


def end_line(progress: OrderProgress, line: LineProgress, why: str, *, tell_supplier: bool) -> str:
    """A line's open rest ends: the ERP hears of it, and the supplier too unless it was the supplier's own word."""
    line.ended, line.proposal, line.waits_until = why, None, None
    progress.to_end.append(line.line.id)
    if tell_supplier:
        progress.to_end.append(f"860:{line.line.id}")
    return f"line {line.line.number} ends"
