"""What a department's stock order (OMS^O05) and non-stock order (OMN^O07) say alike: which requisitions they hold, line by line.

HL7 v2.5.1 chapter 4.5.1 (ORC), 4.11 and 4.12 (OMS, OMN), 4.13 (RQD, RQ1). Each ORC is one order. Orders of one placer group
number (ORC-4), or repeating one placer order number (ORC-2), are the lines of one requisition. Nothing of PID, PV1, IN1 or GT1
is read, nor a note that belongs to a patient.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from canonical.base import Money, Quantity
from canonical.errors import Malformed
from canonical.purchasing import Requisition, RequisitionLine
from formats.hl7 import Message, Part, Segment, place
from gateway.mapping import CODE, Tongue

Line = tuple[Part, Segment]  # an order's segments, and its RQD
LONGEST_NOTE = 2000
# HL7 table 0119. A person decides on what changes an order that may be at the supplier already: nothing is guessed.
BY_A_PERSON = {
    "CA": "cancel",
    "DC": "discontinue",
    "XO": "change",
    "RP": "replace",
    "HD": "hold",
    "RL": "release",
}


def requisitions(message: Message, tongue: Tongue, *, stock: bool) -> tuple[Requisition, ...]:
    """Every requisition in the message, in the order their first lines stand.

    Raises:
        Malformed: an order control other than NW, or something that cannot be read or mapped, with its path.
    """
    for part in message.groups("ORC"):
        orc = part.all("ORC")[0]
        _only_new(orc, _number(orc), tongue)
    orders = orders_of(message)
    if not orders:
        raise _malformed("ORC is missing: nothing is asked for", "ORC")
    note = _notes(_before_orders(message))
    return tuple(_requisition(number, lines, note, tongue, stock=stock) for number, lines in orders.items())


def orders_of(message: Message) -> dict[str, list[Line]]:
    """The lines of each requisition by its number: each with its order's segments and its RQD.

    Raises:
        Malformed: an order without a number or without an RQD.
    """
    orders: dict[str, list[Line]] = {}
    for part in message.groups("ORC"):
        orc = part.all("ORC")[0]
        details = part.all("RQD")
        if not details:
            raise _malformed(f"{_at(orc)} has no RQD: what is asked for?", _at(orc))
        orders.setdefault(_number(orc), []).extend((_cut(part, rqd), rqd) for rqd in details)
    return orders


def _number(orc: Segment) -> str:
    """ORC-4, the placer's group number, else ORC-2, its order number."""
    return orc.value(4, 1).strip() or orc.required(2, 1).strip()


def _only_new(orc: Segment, number: str, tongue: Tongue) -> None:
    control = orc.required(1, 0).strip()
    if control == "NW":
        return
    path = _at(orc, 1)
    if control not in BY_A_PERSON:
        raise _malformed(f"{path}: {control[:10]} is no order control we take: NW asks for something new", path)
    source = tongue.sender.source or tongue.sender.code
    deed = BY_A_PERSON[control]
    reason = f"{path}: {control} asks to {deed} requisition {number[:80]} of {source}: a person decides it on its case"
    raise Malformed(reason, path=path, code="not-automatic")


def _cut(part: Part, rqd: Segment) -> Part:
    """The order's own segments with one of its RQD, and what follows that one."""
    common: list[Segment] = []
    own: list[Segment] = []
    into = common
    for one in part:
        if one.name == "RQD":
            into = own if one is rqd else []
        into.append(one)
    return Part([*common, *own])


def _requisition(number: str, lines: list[Line], note: str, tongue: Tongue, *, stock: bool) -> Requisition:
    sender = tongue.sender
    places = [tongue.code("location", rqd.value(9, 1), _at(rqd, 9)) for _, rqd in lines]
    deliver_to = next(iter(filter(None, places)), None) or sender.deliver_to
    ids = line_ids(number, lines)
    notes = [note, *(_notes(part, f"line {name}: ") for name, (part, _) in zip(ids, lines, strict=True))]
    return Requisition(
        facility=sender.facility,
        source=sender.source or sender.code,
        number=number,
        department=_one(_departments(lines, tongue), sender.department, "department", "ORC-17"),
        cost_centre=_one(_cost_centres(lines, tongue), sender.cost_centre, "cost centre", "RQD-7"),
        requester=_one(_requesters(lines), sender.requester, "requester", "ORC-10"),
        deliver_to=_one([], deliver_to, "place to deliver to", "RQD-9"),
        needed_by=_first_day(lines),
        emergency=True
        in [_urgent(part, tongue) for part, _ in lines],  # each is looked up: none unknown is passed over
        note=_fitted("\n".join(filter(None, notes))),
        lines=tuple(
            _line(name, part, rqd, to if to != deliver_to else None, tongue, stock=stock)
            for name, (part, rqd), to in zip(ids, lines, places, strict=True)
        ),
    )


def line_ids(number: str, lines: list[Line]) -> list[str]:
    """RQD-1; where orders of a group count from 1 each, their own placer numbers (ORC-2) tell them apart.

    Raises:
        Malformed: neither tells them apart.
    """
    counted = [rqd.whole(1) for _, rqd in lines]
    if None not in counted and len(set(counted)) == len(counted):
        return [str(one) for one in counted]
    placed = [part.value("ORC-2.1").strip() for part, _ in lines]
    if len(set(placed)) == len(placed) and all(map(CODE.fullmatch, placed)):
        return placed
    where = _at(lines[-1][1], 1)
    raise _malformed(f"{where}: the lines of {number[:80]} need line numbers that differ", where)


def _line(name: str, part: Part, rqd: Segment, to: str | None, tongue: Tongue, *, stock: bool) -> RequisitionLine:
    item, description = _item(rqd, tongue)
    vendor = part.first("RQ1")
    supplier_item = vendor.value(5).strip() if vendor else ""
    supplier = vendor.value(4, 1).strip() if vendor else ""
    if item is None and (stock or not (description or supplier_item)):
        raise _malformed(f"{_at(rqd, 2)}: one of RQD-2, RQD-3 and RQD-4 names the item", _at(rqd, 2))
    return RequisitionLine(
        id=name,
        item=item,
        description=description,
        quantity=_quantity(rqd, tongue),
        supplier=supplier or None,
        supplier_item=supplier_item,
        unit_price=_price(vendor, tongue) if vendor else None,
        deliver_to=to,
    )


def _item(rqd: Segment, tongue: Tongue) -> tuple[str | None, str]:
    """Our code and the description. RQD-4 is the whole hospital's code, RQD-3 the receiver's, RQD-2 the sender's own.

    Of several, the first that the sender's table has a row for counts; without a table, the first that was sent.
    """
    sent = [(field, rqd.value(field, 1).strip()) for field in (4, 3, 2)]
    codes = [(field, code) for field, code in sent if code]
    description = next((text for field in (4, 2, 3) if (text := rqd.value(field, 2).strip())), "")
    chosen = next((one for one in codes if tongue.knows("item", one[1])), codes[0] if codes else (2, ""))
    return tongue.code("item", chosen[1], _at(rqd, chosen[0])), description


def _quantity(rqd: Segment, tongue: Tongue) -> Quantity:
    """RQD-5 in RQD-6, exactly: a quantity without a unit is not guessed at."""
    amount = rqd.number(5)
    if amount is None:
        rqd.required(5)
    unit = tongue.unit(rqd.value(6, 1), _at(rqd, 6))
    if unit is None:
        raise _malformed(f"{_at(rqd, 6)}: in which unit? Give sender {tongue.sender.code} one for no unit", _at(rqd, 6))
    assert amount is not None
    if amount <= 0:
        raise _malformed(f"{_at(rqd, 5)}: more than nothing is asked for", _at(rqd, 5))
    return Quantity(value=amount, unit=unit)


def _price(rq1: Segment, tongue: Tongue) -> Money | None:
    """RQ1-1 is a text in the standard: a number per requested unit counts, anything else says nothing."""
    text = rq1.value(1).strip()
    try:
        amount = Decimal(text) if text.replace(".", "", 1).isdigit() and text.isascii() else None
    except ArithmeticError:
        amount = None
    return Money(amount=amount, currency=tongue.sender.currency) if amount is not None else None


def _departments(lines: list[Line], tongue: Tongue) -> list[str | None]:
    """ORC-17, the organisation that entered the order, else ORC-13, the place where."""
    found = []
    for part, _ in lines:
        orc = part.all("ORC")[0]
        field = 17 if orc.value(17, 1).strip() else 13
        found.append(tongue.code("department", orc.value(field, 1), _at(orc, field)))
    return found


def _cost_centres(lines: list[Line], tongue: Tongue) -> list[str | None]:
    return [tongue.code("cost_centre", rqd.value(7, 1), _at(rqd, 7)) for _, rqd in lines]


def _requesters(lines: list[Line]) -> list[str | None]:
    """Who entered the order (ORC-10), else who ordered (ORC-12): the id alone, never the name."""
    orcs = [part.all("ORC")[0] for part, _ in lines]
    return [orc.value(10, 1).strip() or orc.value(12, 1).strip() or None for orc in orcs]


def _urgent(part: Part, tongue: Tongue) -> bool:
    """The priority of TQ1-9, or of ORC-7 up to version 2.4."""
    orc = part.all("ORC")[0]
    sent = [(one.value(9, 1), _at(one, 9)) for one in part.all("TQ1") if one.value(9, 1).strip()]
    code, path = sent[0] if sent else (orc.value(7, 6), _at(orc, 7))
    return tongue.urgent(code, path)


def _first_day(lines: list[Line]) -> date | None:
    return min((day for _, rqd in lines if (day := rqd.day(10)) is not None), default=None)


def _one(found: Iterable[str | None], default: str | None, what: str, path: str) -> str:
    """The one value of all lines. A requisition has one department, cost centre and requester."""
    said = list(dict.fromkeys(one for one in found if one))
    if len(said) > 1:
        raise _malformed(f"{path}: one requisition names {len(said)} {what}s: {', '.join(said)[:120]}", path)
    value = said[0] if said else default
    if not value:
        raise _malformed(f"{path}: no {what} is named, and the sender's row has none", path)
    if not CODE.fullmatch(value):
        raise _malformed(f"{path}: this is no {what} of ours", path)
    return value


def _before_orders(message: Message) -> Part:
    """What stands before the first patient or order: notes there are of the message itself."""
    names = [one.name for one in message]
    end = min((names.index(name) for name in ("PID", "PV1", "ORC") if name in names), default=len(names))
    return Part(list(message)[:end])


def _notes(part: Part, begins: str = "") -> str:
    texts = [text for one in part.all("NTE") for text in [one.value(3, repetition=n) for n in _numbers(one)] if text]
    return begins + " ".join(texts) if texts else ""


def _numbers(note: Segment) -> range:
    return range(1, len(note.repetitions(3)) + 1)


def _fitted(note: str) -> str:
    return note if len(note) <= LONGEST_NOTE else f"{note[: LONGEST_NOTE - 30]} [more in the message]"


def _at(one: Segment, field: int = 0) -> str:
    return place(one.name, one.sequence, field)


def _malformed(reason: str, path: str) -> Malformed:
    return Malformed(reason, path=path, code="data-invalid")
