"""What HL7 messages of use say alike (DFT, RDS, INU, OMS as stock use): what was used, when, where, of which lot, for which encounter.

A code, unit or place that the sender's tables do not know goes on as it was written, so that its event is parked for a person
of materials management; what has no number, no time or no readable quantity is refused with its place. Of PID and PV1 nothing is
read but the number of the account or visit, which leaves this process as a keyed hash alone (``gateway/usage.py``).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal, localcontext
from typing import Any, Final
from zoneinfo import ZoneInfo

from canonical.errors import Malformed
from canonical.senders import Sender
from canonical.udi import Udi
from canonical.usage import YEARS, UsageEvent
from formats import udi
from formats.hl7 import Message, Moment, Part, Segment, place
from gateway.mapping import Tongue

LONGEST_CODE: Final = 80
LONGEST_UNIT: Final = 20
LONGEST_LOT: Final = 40
MOST_DIGITS, MOST_DECIMALS = 15, 6

# How OBX-3 says what OBX-5 holds: LOINC, the NCI Thesaurus as C-CDA's UDI organizer has it (2.16.840.1.113883.10.20.22.4.311),
# and the plain words systems use that have neither.
OBSERVED: Final = {
    "74711-3": "udi",
    "UDI": "udi",
    "C101672": "lot",
    "LOT": "lot",
    "C101671": "serial",
    "SERIAL": "serial",
    "C101670": "expires",
    "EXPIRES": "expires",
    "WASTED": "wasted",
}
YES: Final = frozenset({"Y", "YES", "1", "TRUE"})
Sent = tuple[str, str]  # what was written, and where


@dataclass(frozen=True, slots=True)
class Production:
    """Which one of its kind: the barcode, and what else was said of it."""

    device: Udi | None = None
    unread: bool = False
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    wasted: bool = False


class Occasion:
    """What holds for everything in a message: whose it is, what its clock says, and the encounter it is about."""

    def __init__(self, message: Message, tongue: Tongue) -> None:
        self.message = message
        self.tongue = tongue
        self.encounter = encounter(message, tongue.sender)
        self.service_line = message.value("PV1-10.1").strip()[:40]
        self._zone = _zone_of(message)

    def event(self, number: str, path: str, **said: Any) -> UsageEvent:
        """An event of this message under its sender's number.

        Raises:
            Malformed: there is no number, or none that can be one.
        """
        sender = self.tongue.sender
        about: dict[str, Any] = {
            "facility": sender.facility,
            "source": sender.source or sender.code,
            "number": name(number, path),
            "encounter": self.encounter,
            "service_line": self.service_line,
        }
        return UsageEvent.model_validate(about | said)

    def at(self, segment: Segment, field: int, component: int = 1) -> datetime | None:
        """A time with its zone: its own, else that of MSH-7 (chapter 2.16.7: the zone of the message), else its sender's.

        Raises:
            Malformed: there is no such time, it is less exact than a day, or in a year nobody means.
        """
        found = segment.moment(field, component)
        if found is None:
            return None
        where = at(segment, field)
        if found.precision in ("year", "month"):
            raise Malformed(f"{where} is not exact to the day", path=where, code="data-invalid")
        if found.at.year not in YEARS:  # a program's smallest or largest time
            raise Malformed(f"{where} is in no year things are used", path=where, code="data-invalid")
        if found.at.tzinfo is not None:
            return found.at
        return found.at.replace(tzinfo=self._zone or ZoneInfo(self.tongue.sender.time_zone))


def _zone_of(message: Message) -> timezone | None:
    """The zone MSH-7 was written with."""
    msh = message.first("MSH")
    try:
        said = msh.moment(7) if msh is not None else None
    except Malformed:  # the door has judged it
        return None
    zone = said.at.tzinfo if said is not None else None
    return zone if isinstance(zone, timezone) else None


def encounter(message: Message, sender: Sender) -> str:
    """The visit (PV1-19), else the patient's account (PID-18), with who assigned it; empty where neither was sent.

    Numbers without an assigner are those of the sender's facility, so that all its systems mean one encounter by them.
    """
    for kind, name_, field in (("visit", "PV1", 19), ("account", "PID", 18)):
        segment = message.first(name_)
        number = segment.value(field, 1).strip() if segment is not None else ""
        if segment is not None and number:
            assigner = segment.value(field, 4, 1).strip() or sender.facility
            return f"{kind}|{assigner}|{number}"[:200]
    return ""


def name(text: str, path: str) -> str:
    """A number as events are named by.

    Raises:
        Malformed: nothing was sent, it is too long or cannot be printed.
    """
    text = text.strip()
    if not text or len(text) > LONGEST_CODE or not text.isprintable():
        what = "is required: it names the use" if not text else "can be no number of a use"
        raise Malformed(f"{path} {what}", path=path, code="data-invalid" if text else "field-missing")
    return text


def amount(segment: Segment, field: int, component: int = 1) -> Decimal:
    """A quantity exactly, above or below nothing; never zero, and never guessed.

    Raises:
        Malformed: nothing was sent, it is no number, zero, or more exact than we count.
    """
    found = segment.number(field, component)
    where = at(segment, field)
    if found is None:
        segment.required(field, component)
    if not found:
        raise Malformed(f"{where}: how many were used? It says none", path=where, code="data-invalid")
    return exactly(found, where)


def exactly(value: Decimal, where: str) -> Decimal:
    """A number without the zeros at its end.

    Raises:
        Malformed: it is more exact, or larger, than we count.
    """
    with localcontext(prec=100):
        plain = value.normalize()
        plain = plain.quantize(Decimal(1)) if plain == plain.to_integral_value() else plain
    _, digits, exponent = plain.as_tuple()
    decimals = -exponent if isinstance(exponent, int) else 0
    if decimals > MOST_DECIMALS or max(len(digits), decimals) > MOST_DIGITS - MOST_DECIMALS + decimals:
        raise Malformed(f"{where} is larger or more exact than we count", path=where, code="data-invalid")
    return plain


def item(tongue: Tongue, sent: Sequence[Sent]) -> Sent | None:
    """Our item and where it was named: the first code the sender's table has a row for, else the first that was sent, as written.

    None where the table says that it is no supply: its row for that code is empty.
    """
    codes = [(code, where) for code, where in sent if code.strip()]
    for code, where in codes:
        if tongue.knows("item", code):
            ours = tongue.ours("item", code)
            return (shown(ours), where) if ours else None
    return (shown(codes[0][0]), codes[0][1]) if codes else ("", "")


def unit(tongue: Tongue, code: str) -> str:
    """Our unit where the table knows it (an empty code has a row too), else as it was written; empty: the item's base unit."""
    return shown(tongue.ours("unit", code), LONGEST_UNIT)


def location(tongue: Tongue, by_table: Sequence[str], stated: Sequence[str] = (), guessed: Sequence[str] = ()) -> str:
    """The stock location: the first of ``by_table`` the sender's table has a row for; else what was ``stated``, as written; else
    the table's row for an empty code or ``deliver_to`` of the sender's row; else what can be ``guessed``, as written.
    """
    found = next((tongue.ours("location", code) for code in by_table if code and tongue.knows("location", code)), "")
    found = found or next(filter(None, stated), "")
    found = found or tongue.ours("location", "") or tongue.sender.deliver_to or ""
    return shown(found or next(filter(None, guessed), ""))


def places(segment: Segment | None, field: int) -> list[str]:
    """A PL as tables name it: point of care and room (``OR^3``), then the point of care alone."""
    if segment is None:
        return []
    care, room = segment.value(field, 1).strip(), segment.value(field, 2).strip()
    return [f"{care}^{room}", care] if care and room else [care] if care else []


def shown(text: str, most: int = LONGEST_CODE) -> str:
    """A code as written, for a person to see what it was: nothing but what can be printed."""
    return "".join(sign if sign.isprintable() else "?" for sign in text.strip())[:most]


def lot(text: str, where: str) -> str:
    """A lot or serial number, exactly.

    Raises:
        Malformed: it is too long or cannot be printed: half of one would be another one.
    """
    text = text.strip()
    if len(text) > LONGEST_LOT or not text.isprintable():
        raise Malformed(f"{where} can be no lot or serial number", path=where, code="data-invalid")
    return text


def last_day(found: Moment | None, where: str) -> date | None:
    """The last day something may be used: of a month its last.

    Raises:
        Malformed: a year alone.
    """
    if found is None:
        return None
    if found.precision == "year":
        raise Malformed(f"{where} is not exact to the month", path=where, code="data-invalid")
    if found.precision == "month":
        return found.day.replace(day=monthrange(found.day.year, found.day.month)[1])
    return found.day


def production(part: Part, said: Production | None = None) -> Production:
    """What barcode, OBX and PRT of a group say of the one that was used, and what its own segment ``said``.

    A barcode that cannot be read is ``unread``: the use it came with waits for a person, and none behind it does.

    Raises:
        Malformed: two say different things.
    """
    found: dict[str, tuple[Any, str]] = {}
    if said is not None:
        for kind in ("lot", "serial", "expires"):
            _note(found, kind, getattr(said, kind), kind)
    for obx in part.all("OBX"):
        _observed(found, obx)
    for prt in part.all("PRT"):
        _participated(found, prt)
    if "udi" in found:
        device, where = found["udi"]
        for kind in ("lot", "serial", "expires"):
            _note(found, kind, getattr(device, kind), where)
    one = {kind: value for kind, (value, _) in found.items()}
    wasted = one.get("wasted", False) or (said.wasted if said is not None else False)
    lot_, serial, expires = one.get("lot", ""), one.get("serial", ""), one.get("expires")
    unread = "unread" in one and "udi" not in one
    return Production(one.get("udi"), unread, lot_, serial, expires, wasted)


def _observed(found: dict[str, tuple[Any, str]], obx: Segment) -> None:
    kind = next((OBSERVED[code] for number in (1, 4) if (code := obx.value(3, number).strip().upper()) in OBSERVED), "")
    value = obx.value(5).strip()
    if not kind or not value:
        return
    where = at(obx, 5)
    if kind == "udi":
        _scanned(found, value, where)
    elif kind == "expires":
        _note(found, kind, last_day(obx.moment(5), where), where)
    elif kind == "wasted":
        _note(found, kind, value.upper() in YES, where)
    else:
        _note(found, kind, lot(value, where), where)


def _participated(found: dict[str, tuple[Any, str]], prt: Segment) -> None:
    """PRT-10 is the whole identifier of a device (v2.7 on), 18 to 20 its expiry, lot and serial (v2.8.2)."""
    if value := prt.value(10, 1).strip():
        _scanned(found, value, at(prt, 10))
    _note(found, "expires", last_day(prt.moment(18), at(prt, 18)), at(prt, 18))
    _note(found, "lot", lot(prt.value(19), at(prt, 19)), at(prt, 19))
    _note(found, "serial", lot(prt.value(20), at(prt, 20)), at(prt, 20))


def _scanned(found: dict[str, tuple[Any, str]], text: str, where: str) -> None:
    try:
        device = udi.read(text)
    except Malformed:
        found.setdefault("unread", (True, where))
    else:
        _note(found, "udi", device, where)


def _note(found: dict[str, tuple[Any, str]], kind: str, value: Any, where: str) -> None:
    if not value:
        return
    before, said_at = found.setdefault(kind, (value, where))
    if before != value:
        words = {"udi": "barcode", "expires": "expiry"}.get(kind, kind)
        raise Malformed(f"{where}: another {words} stands at {said_at}", path=where, code="data-invalid")


def at(segment: Segment, field: int) -> str:
    """Where a field stands."""
    return place(segment.name, segment.sequence, field)
