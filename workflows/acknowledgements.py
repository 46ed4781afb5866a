"""What each answer of a supplier means for an order: every BAK02 and ACK01 code in one table, none guessed.

X12 004010 data elements 587 (acknowledgement type) and 668 (line item status).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from canonical.base import Money, Quantity
from canonical.cases import Attention
from canonical.purchasing import AcknowledgedLine, LineAcknowledgement, OrderAcknowledgement
from workflows.order_state import LineProgress, OrderProgress, Proposal

LONGEST_PROMISE = timedelta(days=366)  # a supplier may name any day of any year; after a year a person is asked

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
DECIDE_ORDER = ("accept", "resend", "cancel")

Packs = Mapping[str, Mapping[str, int]]  # per item, how many base units each unit holds


class Reading:
    """One 855 on its way into an order: what it changes, and what a person must decide."""

    def __init__(
        self,
        progress: OrderProgress,
        hold_until: datetime,
        packs: Packs | None = None,
        counts: Callable[[], bool] = lambda: True,
    ) -> None:
        """``counts``: asked where an acceptance is of another quantity than ordered, whether that is looked at."""
        self.progress, self.hold_until, self.packs, self.counts = progress, hold_until, packs or {}, counts
        self.named: set[str] = set()
        self.heard: set[str] = set()  # lines of which something new was said: what was parked of them is settled
        self.parked: list[Attention] = []

    def read(self, answer: OrderAcknowledgement) -> list[Attention]:
        """Apply the answer; the dates of holds come from the partner's calendar (``hold_until``)."""
        progress = self.progress
        progress.answered = True
        if answer.code in ORDER_ENDS:
            progress.rejected = f"the supplier refused the order ({answer.code})"
            for line in progress.lines:
                if not line.ended:
                    line.ended = f"rejected by supplier ({answer.code})"
                    progress.to_end.append(line.line.id)
            return []
        if answer.code == ORDER_HELD:
            progress.hold_until = self.hold_until
            return []
        if answer.code not in ORDER_GOES_ON:
            reason = f"the supplier answered the order with {answer.code!r}, which has no meaning here"
            return [Attention(kind="unknown-code", reason=reason, document="order", verbs=DECIDE_ORDER)]
        progress.hold_until = None
        for said in answer.lines:
            self._line(said)
        self._not_named(answer)
        return self.parked

    def _line(self, said: AcknowledgedLine) -> None:
        meant = self.progress.by_number(said.number, said.supplier_item)
        if meant is None:
            name = said.number or said.supplier_item
            reason = f"the supplier answered a line {name} that is not on the order"
            verbs = ("accept", "cancel")
            self.parked.append(Attention(kind="data-invalid", reason=reason, document=f"855 line {name}", verbs=verbs))
            return
        self.named.add(meant.line.id)
        heard = said.model_dump_json()
        if not meant.ended and meant.answered != heard:
            self.heard.add(meant.line.id)
            meant.answered, meant.proposal, meant.waits_until = heard, None, None
            self.parked += self._parts(meant, said)

    def _not_named(self, answer: OrderAcknowledgement) -> None:
        """A line the answer leaves out is accepted where the code says so, and asked about where it does not."""
        silence_is_consent = not answer.lines or answer.code in ALL_ACCEPTED or answer.code == ONLY_EXCEPTIONS
        for line in self.progress.lines:
            if line.line.id in self.named or line.ended:
                continue
            if silence_is_consent:
                if not line.acknowledged or line.proposal or line.waits_until:
                    self.heard.add(line.line.id)
                    line.proposal, line.waits_until = None, None
                    _acknowledge(line)
            else:
                reason = f"line {line.line.number}: the supplier's answer leaves it out"
                self.parked.append(Attention(kind="data-missing", reason=reason, line=line.line.id, verbs=DECIDE_LINE))

    def _parts(self, line: LineProgress, said: AcknowledgedLine) -> list[Attention]:
        """Every ACK of the line; what goes on first, so that a back-ordered rest is what remains to be seen."""
        parts = sorted(said.acknowledgements or (LineAcknowledgement(code="IA"),), key=lambda a: a.code not in GO_ON)
        parked: list[Attention] = []
        for part in parts:
            parked += self._part(line, part, said)
        if not parked and not line.ended and line.acknowledged:
            parked += self._silent_price(line, said)
            parked += self._silent_quantity(line, parts, said)
        return _together(parked)

    def _part(self, line: LineProgress, part: LineAcknowledgement, said: AcknowledgedLine) -> list[Attention]:
        code, number = part.code, line.line.number
        if code in GO_ON:
            _acknowledge(line)
            line.expected = part.dated or line.expected
            return []
        if code == RESCHEDULED:
            line.acknowledged, line.expected = True, part.dated or line.expected
            line.state = f"expected {part.dated}" if part.dated else "rescheduled"
            return self._too_late(line, part.dated)
        if code in BACK_ORDERED:
            line.acknowledged, line.state = True, "back-ordered"
            line.expected = part.dated or line.expected
            return self._too_late(line, part.dated)
        if code in TO_DECIDE:
            proposed = self._proposal(part, said, line)
            line.proposal = _merged(line.proposal, proposed)
            return [_decide(line, f"line {number}: {TO_DECIDE[code]} ({code}){_what(proposed, line)}")]
        if code in WAITS:
            line.state, line.waits_until = WAITS[code], _wait_until(part.dated, self.hold_until)
            return []
        if code in LINE_ENDS:
            _end_part(line, part, self.progress, f"{LINE_ENDS[code]} by supplier ({code})")
            return []
        if code in OTHER_ROUTE:
            return [_decide(line, f"line {number}: the supplier says {OTHER_ROUTE[code]} ({code})", OTHER_ROUTE[code])]
        unknown = f"line {number}: the supplier answered {code!r}, which has no meaning here"
        line.state = "answer not understood"
        return [Attention(kind="unknown-code", reason=unknown, line=line.line.id, verbs=DECIDE_LINE)]

    def _price(self, line: LineProgress, said: AcknowledgedLine) -> Money | None:
        """What the supplier says one order unit costs; None where it says nothing that can be counted."""
        price, per, unit = said.unit_price, said.price_unit, line.line.quantity.unit
        if price is None or per in (None, unit):
            return price
        packs = self.packs.get(line.line.item, {})
        if per not in packs or unit not in packs:
            return None
        return price.times(Decimal(packs[unit]) / Decimal(packs[per]))

    def _proposal(self, part: LineAcknowledgement, said: AcknowledgedLine, line: LineProgress) -> Proposal:
        ordered = line.line.quantity
        quantity = part.quantity or said.quantity
        changes = part.code in ("IQ", "IC") and quantity is not None and quantity.unit == ordered.unit
        other, price = part.supplier_item or said.supplier_item, self._price(line, said)
        return Proposal(
            code=part.code,
            price=price if price != line.line.unit_price else None,
            quantity=quantity.value if changes and quantity and quantity.value != ordered.value else None,
            supplier_item=other if other != line.line.supplier_item else "",
            dated=part.dated,
        )

    def _too_late(self, line: LineProgress, dated: date | None) -> list[Attention]:
        """A later date is checked against the need."""
        needed = self.progress.order.needed_by
        if dated is None or needed is None or dated <= needed:
            return []
        line.proposal = _merged(line.proposal, Proposal(code="DR", dated=dated))
        reason = f"line {line.line.number}: comes on {dated}, needed by {needed}"
        return [Attention(kind="business-rule", reason=reason, line=line.line.id, verbs=DECIDE_LINE)]

    def _silent_price(self, line: LineProgress, said: AcknowledgedLine) -> list[Attention]:
        """An acceptance at a higher price than ordered is a price change, whatever its code says."""
        if said.unit_price is None:
            return []
        price, ordered = self._price(line, said), line.line.unit_price
        if price is None:
            reason = f"line {line.line.number}: priced per {said.price_unit}, which the item is not packed in"
            return [_decide(line, reason)]
        if price.currency == ordered.currency and price.amount <= ordered.amount:
            return []
        line.proposal = _merged(line.proposal, Proposal(code="IP", price=price))
        return [_decide(line, f"line {line.line.number}: accepted, but at {price} instead of {ordered}")]

    def _silent_quantity(
        self, line: LineProgress, parts: list[LineAcknowledgement], said: AcknowledgedLine
    ) -> list[Attention]:
        """An acceptance of less, more or another unit than ordered is a change, whatever its code says.

        What is back-ordered or waits beside it may be said without a count, so then it is only held to be no more than ordered.
        """
        ordered = line.line.quantity
        accepted = [part.quantity for part in parts if part.code in GO_ON or part.code == RESCHEDULED]
        if len(parts) == 1 and accepted == [None]:
            accepted = [said.quantity]
        told = [quantity for quantity in accepted if quantity is not None]
        counts = [self._count(line, quantity) for quantity in told]
        known = [count for count in counts if count is not None]
        came = sum(known, Decimal(0))
        whole = len(told) == len(accepted) and not any(p.code in BACK_ORDERED or p.code in WAITS for p in parts)
        fits = came == ordered.value if whole else came <= ordered.value
        if not told or (fits and len(known) == len(counts) and all(count > 0 for count in known)) or not self.counts():
            return []
        if len(known) == len(counts) and all(count > 0 for count in known):
            line.proposal = _merged(line.proposal, Proposal(code="IQ", quantity=came))
        line.acknowledged = False
        words = " and ".join(str(quantity) for quantity in told)
        return [_decide(line, f"line {line.line.number}: accepted, but {words} instead of {ordered}")]

    def _count(self, line: LineProgress, quantity: Quantity) -> Decimal | None:
        """A quantity in the order unit; None where the item is not packed in the unit it is said in."""
        unit, packs = line.line.quantity.unit, self.packs.get(line.line.item, {})
        if quantity.unit == unit:
            return quantity.value
        if quantity.unit not in packs or unit not in packs:
            return None
        return quantity.value * packs[quantity.unit] / packs[unit]


def _acknowledge(line: LineProgress) -> None:
    line.acknowledged = True
    if line.received == 0 and line.shipped == 0:  # an answer that comes late does not undo what has come
        line.state = "acknowledged"


def _end_part(line: LineProgress, part: LineAcknowledgement, progress: OrderProgress, why: str) -> None:
    """A refusal of the whole line ends it; of a part of it, the order line is cut to the rest."""
    quantity = line.line.quantity
    refused = part.quantity
    if refused is not None and refused.unit == quantity.unit and 0 < refused.value < quantity.value:
        rest = quantity.model_copy(update={"value": quantity.value - refused.value})
        line.line = line.line.model_copy(update={"quantity": rest})
        progress.to_amend.append(line.line.id)
        return
    line.ended, line.proposal = why, None
    progress.to_end.append(line.line.id)


def _merged(first: Proposal | None, then: Proposal) -> Proposal:
    """Several changes of one line are decided together."""
    if first is None:
        return then
    return Proposal(
        code=then.code if then.code != "DR" else first.code,
        price=then.price or first.price,
        quantity=then.quantity or first.quantity,
        supplier_item=then.supplier_item or first.supplier_item,
        dated=then.dated or first.dated,
    )


def _together(parked: list[Attention]) -> list[Attention]:
    """What is said of one line is one thing to decide."""
    if len(parked) < 2:
        return parked
    kind = "unknown-code" if any(a.kind == "unknown-code" for a in parked) else parked[0].kind
    return [parked[0].model_copy(update={"kind": kind, "reason": "; ".join(a.reason for a in parked)})]


def _decide(line: LineProgress, reason: str, state: str = "to decide") -> Attention:
    line.state = state
    return Attention(kind="partner-rejected", reason=reason, line=line.line.id, verbs=DECIDE_LINE)


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


def _wait_until(dated: date | None, hold_until: datetime) -> datetime:
    if dated is None:
        return hold_until
    named = datetime(dated.year, dated.month, dated.day, tzinfo=hold_until.tzinfo)
    return min(max(hold_until, named), hold_until + LONGEST_PROMISE)


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
    if proposal.supplier_item and proposal.code in ("IS", "IC"):
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
