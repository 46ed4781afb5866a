"""A supplier's order desk: reads what the hospital put into its mailbox, remembers it, and answers as its script says.

Each order is answered once however often it is sent, and counted each time. Whatever is promised is written down before it is
sent, so a desk that is stopped and started again goes on where it was.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from demo import partner_writing as writing
from demo.partner_mailbox import Mailbox
from demo.partner_reading import Fault, Line, OrderRead, RemittanceRead, read_change, read_order, read_remittance
from demo.partner_script import Behaviour, Trader
from demo.partner_state import Billed, Handled, LineHeld, Memory, OrderHeld, Planned, Remitted, Said, Sent, Shipment
from demo.x12_plain import (
    BAD_RECEIVER,
    BAD_SENDER,
    NO_ERROR,
    SEEN_BEFORE,
    Group,
    Interchange,
    NotX12,
    Segment,
    Transaction,
    element,
    read,
    write,
    write_ta1,
)

REFUSED = frozenset({"IR", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8"})
WAIT_FOR_WORD = frozenset({"IS", "IC", "IQ", "IE", "SP", "IH", "IF", "IW"})
Clock = Callable[[], float]


class Desk:
    """One supplier at work on one mailbox."""

    def __init__(self, trader: Trader, mailbox: Mailbox, memory_file: Path, clock: Clock = time.time) -> None:
        self._trader = trader
        self._mailbox = mailbox
        self._file = memory_file
        self._clock = clock
        self.memory = Memory.load(memory_file)

    def turn(self) -> bool:
        """Read what has come and send what is due; whether there was anything to do."""
        worked = False
        for name, stamp, data in self._mailbox.waiting():
            if not any(handled.file == name and handled.stamp == stamp for handled in self.memory.handled):
                self._receive(name, stamp, data)
                self._save()  # remembered before the file is taken away: a stop in between does not count it twice
            self._mailbox.read_and_kept(name)
            worked = True
        for ask in self._mailbox.asks():
            self._asked(ask.wanted)
            self._save()
            ask.done()
            worked = True
        return self._send_due() or worked

    def _save(self) -> None:
        self.memory.save(self._file)

    # Reading.

    def _receive(self, name: str, stamp: int, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        try:
            came = read(data)
        except NotX12 as wrong:
            unread = Handled(file=name, stamp=stamp, number="", digest=digest, verdict=f"not X12: {wrong}")
            self.memory.handled.append(unread)
            return
        handled = Handled(file=name, stamp=stamp, number=came.number, digest=digest)
        first = next((h for h in self.memory.handled if h.number == came.number and h.verdict == "read"), None)
        self.memory.handled.append(handled)
        if first is not None and first.digest != digest and came.note == NO_ERROR:
            came.note = SEEN_BEFORE
        if came.receiver != self._trader.id:
            came.note = came.note if came.note != NO_ERROR else BAD_RECEIVER
        elif came.sender != self._trader.customer:
            came.note = came.note if came.note != NO_ERROR else BAD_SENDER
        if came.note != NO_ERROR:
            handled.verdict = f"TA1 {came.note}"
            self._send_ta1(came)
            return
        handled.verdict = "read" if first is None else "the same again"
        for segment in came.replies:
            self._hear_ta1(segment)
        for group in came.groups:
            self._receive_group(came, group, handled)

    def _receive_group(self, came: Interchange, group: Group, handled: Handled) -> None:
        faults: dict[str, list[Fault]] = {}
        for transaction in group.transactions:
            handled.documents.append(f"{transaction.code} {transaction.number}")
            if transaction.code == "997":
                self._hear_997(transaction)
            else:
                faults[transaction.number] = self._receive_set(came, group, transaction)
        if group.code != "FA":
            detail = {"segments": writing.functional(group, faults)}
            self._plan("997", self._trader.delay("997"), detail=detail)

    def _receive_set(self, came: Interchange, group: Group, transaction: Transaction) -> list[Fault]:
        sound = not transaction.wrong and not group.wrong
        match transaction.code:
            case "850":
                order, faults = read_order(transaction)
                if order is not None and not faults and sound:
                    self._take_order(order, (came.number, group.number, transaction.number))
            case "860":
                change, faults = read_change(transaction)
                if change is not None and not faults and sound:
                    self._take_change(change)
            case "820":
                remittance, faults = read_remittance(transaction)
                if remittance is not None and not faults and sound:
                    self._take_remittance(remittance)
            case _:
                transaction.wrong.append("1")
                faults = []
        return faults

    def _hear_997(self, transaction: Transaction) -> None:
        group, verdict = transaction.first("AK1") or [], transaction.first("AK9") or []
        self.memory.said.append(
            Said(kind="997", group=element(group, 1), number=element(group, 2), code=element(verdict, 1))
        )

    def _hear_ta1(self, segment: Segment) -> None:
        said = Said(kind="TA1", number=element(segment, 1), code=element(segment, 4), note=element(segment, 5))
        self.memory.said.append(said)

    # What the hospital asks for.

    def _take_order(self, read_as: OrderRead, numbers: tuple[str, str, str]) -> None:
        order = self.memory.orders.get(read_as.number)
        if order is None:
            order = OrderHeld(
                number=read_as.number,
                dated=read_as.dated,
                ship_to=read_as.ship_to,
                reference=f"SO{len(self.memory.orders) + 70001}",
                lines=[self._line(line) for line in read_as.lines],
            )
            self.memory.orders[order.number] = order
        else:
            order.times += 1
        order.numbers.append(numbers)
        behaviours = [self._trader.behaviour(line.catalogue) for line in order.lines]
        planned = any(plan.kind == "855" and plan.order == order.number for plan in self.memory.planned)
        if order.acknowledged or planned or order.times <= max(behaviour.silent for behaviour in behaviours):
            return
        self._plan("855", max(self._trader.delay("855", behaviour) for behaviour in behaviours), order.number)

    def _line(self, line: Line) -> LineHeld:
        behaviour = self._trader.behaviour(line.catalogue)
        asked = line.price or Decimal(0)
        code = behaviour.answer
        if self._trader.units.get(line.catalogue, line.unit) != line.unit:
            code = "R3"
        return LineHeld(
            number=line.number,
            catalogue=line.catalogue,
            quantity=line.quantity,
            unit=line.unit,
            ordered_price=asked,
            price=behaviour.price if behaviour.price is not None and code == "IP" else asked,
            code=code,
            offered=behaviour.substitute if code == "IS" else "",
            now=(line.quantity * behaviour.share).to_integral_value() if code == "IB" else line.quantity,
            ended=code in REFUSED,
            waits=code in WAIT_FOR_WORD or not behaviour.ships,
        )

    def _take_change(self, change: OrderRead) -> None:
        order = self.memory.orders.get(change.number)
        if order is None or change.sequence in order.changes:
            return  # the 997 said that we could read it; an unknown order's change is a matter for the telephone
        lines = {line.number: line for line in order.lines}
        named = [(lines[said.number], said) for said in change.lines if said.number in lines]
        if change.purpose == "01":
            named = [
                (line, Line(line.number, line.catalogue, Decimal(0), line.unit, None, "DI")) for line in order.lines
            ]
        verdicts = {self._trader.behaviour(line.catalogue).change for line, _ in named} or {"RJ"}
        code = "RJ" if "RJ" in verdicts else "AT"
        order.changes[change.sequence] = code
        if code == "AT":
            order.cancelled = change.purpose == "01"
            for line, said in named:
                self._change_line(line, said)
            self._after_change(order)
        answered = [(line, said.change) for line, said in named]
        detail = {"segments": writing.change_answer(order, change.sequence, code, answered)}
        self._plan("865", self._trader.delay("865"), order.number, detail=detail)

    def _change_line(self, line: LineHeld, said: Line) -> None:
        if said.change == "DI":
            line.ended = True
            return
        if said.quantity:
            line.quantity = said.quantity
        if said.price is not None:
            line.price = said.price
        if said.catalogue:
            line.offered = said.catalogue if said.catalogue != line.catalogue else ""
        line.waits = False
        line.now = line.open

    def _after_change(self, order: OrderHeld) -> None:
        """A cancelled order is not shipped and not billed any further; a confirmed line goes out."""
        if order.cancelled:
            self.memory.planned = [
                plan for plan in self.memory.planned if plan.order != order.number or plan.kind in ("997", "865")
            ]
        elif order.acknowledged and any(line.open and not line.waits for line in order.lines):
            self._plan_shipment(order)

    def _take_remittance(self, remittance: RemittanceRead) -> None:
        bills = {bill.number: bill for order in self.memory.orders.values() for bill in order.invoices}
        for number, amount in remittance.paid:
            known = number in bills
            if known:
                bills[number].paid += amount
            self.memory.remitted.append(
                Remitted(reference=remittance.reference, invoice=number, amount=amount, known=known)
            )

    # What the supplier sends of its own accord.

    def _plan(self, kind: str, after: float, order: str = "", *, detail: dict[str, Any] | None = None) -> None:
        self.memory.planned.append(Planned(due=self._clock() + after, kind=kind, order=order, detail=detail or {}))

    def _plan_shipment(self, order: OrderHeld) -> None:
        if any(plan.kind == "856" and plan.order == order.number for plan in self.memory.planned):
            return
        going = [line for line in order.lines if line.open and not line.waits]
        if going:
            after = max(self._trader.delay("856", self._behaviour(line)) for line in going)
            self._plan("856", after, order.number)

    def _behaviour(self, line: LineHeld) -> Behaviour:
        return self._trader.behaviour(line.catalogue)

    def _asked(self, wanted: dict[str, Any]) -> None:
        """Someone at the desk is told to send a document now: ``kind``, ``order``, how it is spoiled or whether it is early.

        A catalogue (832) is about no order: ``detail`` has its number and rows.
        """
        if wanted["kind"] == "832":
            self._plan("832", 0, detail={"segments": writing.catalogue(**wanted["detail"])})
            return
        order = self.memory.orders.get(str(wanted.get("order", "")))
        if order is None:
            return
        if wanted["kind"] == "856":
            for line in order.lines:
                line.waits, line.now = False, line.open
        self._plan(str(wanted["kind"]), 0, order.number, detail=wanted.get("detail", {}))

    def _send_due(self) -> bool:
        due = sorted((plan for plan in self.memory.planned if plan.due <= self._clock()), key=lambda plan: plan.due)
        for plan in due:
            if not plan.file:
                self._compose(plan)
                self._save()
            if plan.file:
                self._mailbox.leave(plan.file, plan.text.encode("latin-1"))
                self._sent(plan)
            self.memory.planned.remove(plan)
            self._save()
        return bool(due)

    def _compose(self, plan: Planned) -> None:
        order = self.memory.orders.get(plan.order)
        segments: list[Segment] | None
        match plan.kind, order:
            case (("997" | "865" | "832"), _):
                segments = plan.detail["segments"]
            case "855", OrderHeld() if plan.detail.get("spoil"):
                segments = writing.acknowledgement(order, detail_changed=False)
            case "855", OrderHeld():
                segments = self._acknowledge(order)
            case "856", OrderHeld():
                segments = self._ship(order)
            case "810", OrderHeld():
                segments = self._bill(order, plan.detail)
            case _:
                segments = None
        if segments is not None:
            self._seal(plan, segments)

    def _seal(self, plan: Planned, segments: list[Segment]) -> None:
        numbers = plan.numbers = self.memory.numbers()
        if plan.detail.get("spoil") == "headless":
            segments = segments[1:]
        plan.text = write(self._trader.envelope, plan.kind, segments, numbers).decode("latin-1")
        if plan.detail.get("spoil") == "cut":
            plan.text = plan.text[: len(plan.text) * 2 // 3]
        plan.file = f"{plan.kind}_{numbers[0]:09d}.x12"

    def _sent(self, plan: Planned) -> None:
        interchange, group, _ = plan.numbers
        self.memory.sent.append(
            Sent(
                file=plan.file,
                kind=plan.kind,
                order=plan.order,
                number=f"{interchange:09d}",
                group=str(group),
                spoiled=plan.detail.get("spoil", ""),
            )
        )

    def _send_ta1(self, came: Interchange) -> None:
        self.memory.interchange += 1
        number = self.memory.interchange
        text = write_ta1(self._trader.envelope, came, number).decode("latin-1")
        plan = Planned(due=self._clock(), kind="TA1", file=f"TA1_{number:09d}.x12", text=text)
        self.memory.planned.append(plan)

    def _acknowledge(self, order: OrderHeld) -> list[Segment]:
        order.acknowledged += 1
        if not order.cancelled and order.acknowledged == 1:
            self._plan_shipment(order)
        return writing.acknowledgement(order, detail_changed=any(line.code != "IA" for line in order.lines))

    def _ship(self, order: OrderHeld) -> list[Segment] | None:
        going = {line.number: min(line.now, line.open) for line in order.lines if line.open and not line.waits}
        going = {number: quantity for number, quantity in going.items() if quantity > 0}
        if not going:
            return None
        self.memory.shipments += 1
        shipment = Shipment(number=f"SH{self.memory.shipments:06d}", quantities=going)
        order.shipments.append(shipment)
        billing = []
        for line in order.lines:
            if line.number not in going:
                continue
            line.shipped += going[line.number]
            line.now = line.open
            if line.open:
                self._plan("856", self._behaviour(line).rest_after, order.number)
            if self._behaviour(line).bills and line.invoiced < line.shipped:  # else it was billed ahead
                billing.append(line)
        if billing:
            after = max(self._trader.delay("810", self._behaviour(line)) for line in billing)
            self._plan("810", after, order.number, detail={"shipment": shipment.number})
        return writing.ship_notice(order, shipment)

    def _bill(self, order: OrderHeld, detail: dict[str, Any]) -> list[Segment] | None:
        if again := detail.get("again"):
            bill = next(bill for bill in order.invoices if bill.number == again)
            bill.times += 1
            return bill.segments
        shipped = next((s for s in order.shipments if s.number == detail.get("shipment")), None)
        ahead = bool(detail.get("ahead"))  # billed before it ships
        whole = {line.number: line.quantity if ahead else line.shipped for line in order.lines}
        quantities = shipped.quantities if shipped else whole
        billed, wrong_number, again_after = [], False, None
        for line in order.lines:
            if quantity := quantities.get(line.number):
                billing = self._behaviour(line).billing
                price = billing.price if billing.price is not None else line.price
                billed.append((line, quantity + billing.extra, price))
                line.invoiced += quantity + billing.extra
                wrong_number = wrong_number or billing.wrong_order_number
                again_after = billing.again_after if billing.again_after is not None else again_after
        if not billed:
            return None
        self.memory.invoices += 1
        number, dated = f"{self._trader.id[:3]}{self.memory.invoices + 20260000}", f"{datetime.now(UTC):%Y%m%d}"
        percent, discount_days, net_days = self._trader.terms
        segments, total = writing.invoice(
            order,
            number,
            dated,
            billed,
            order_number=f"{order.number}X" if wrong_number else order.number,
            freight=self._trader.freight,
            terms=(percent, discount_days, net_days),
        )
        order.invoices.append(
            Billed(number=number, dated=dated, order=order.number, total=total, segments=segments, times=1)
        )
        if again_after is not None:
            self._plan("810", again_after, order.number, detail={"again": number})
        return segments
