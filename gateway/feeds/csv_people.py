"""Reads a row of a file of HR events (CSV): one thing said of one person. ``docs/files.md`` has the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from canonical.errors import Malformed
from canonical.people import MAY_BE_URGENT, ONLY_ENDS, DeaRegistration, HrEvent, Licence, stable
from canonical.senders import Sender
from gateway.csv_rows import Row
from gateway.mapping import Tongue
from gateway.people_codes import EMPLOYMENTS, KINDS, emergency, reason_of, role_of, scope_codes
from gateway.people_numbers import numbered

NAME: Final = ("family", "given", "middle", "suffix", "prefix")
COLUMNS: Final = frozenset(
    {"number", "person", "kind", "said_at", "effective", "emergency", "reason", *NAME, "former_family", "birth_date"}
    | {
        "national_id",
        "npi",
        "licences",
        "dea",
        "taxonomy",
        "email",
        "phone",
        "role",
        "title",
        "department",
        "cost_centre",
    }
    | {"service_line", "location", "practice_states", "employment", "fte", "pay_grade", "manager", "starts", "ends"}
    | {"site", "service", "privilege", "privilege_starts", "privilege_ends"}
)
REQUIRED: Final = (frozenset({"person"}), frozenset({"kind"}), frozenset({"said_at"}), frozenset({"effective"}))
TOTAL: Final = "fte"
YES: Final = frozenset({"y", "yes", "1", "true"})
_WHEN: Final = re.compile(r"(\d{4}-?\d\d-?\d\d)[T ](\d\d:?\d\d(?::?\d\d)?)(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_STATE: Final = re.compile(r"[A-Z]{2}")


def read(rows: Sequence[Row], tongue: Tongue) -> HrEvent:
    """The event of this row; without a number it is named by its person, kind, day and when it was said.

    Raises:
        Malformed: a value that cannot be read, or one that is missing; with its row and column.
    """
    (row,) = rows
    sender = tongue.sender
    kind = row.needed("kind").lower()
    if kind not in KINDS:
        raise row.wrong("kind", f"one of {', '.join(KINDS)}")
    effective = row.day("effective")
    if effective is None:
        row.needed("effective")
    said, person = _when(row, sender), _short(row, "person", 80)
    row.needed("person")
    reason = reason_of(tongue, row.text("reason"))
    flagged = row.text("emergency").lower() in YES
    if flagged and kind not in MAY_BE_URGENT:
        raise row.wrong("emergency", f"{ONLY_ENDS}, this is a {kind}")
    position = _position(row, tongue)
    if kind == "hire":
        row.needed("family")
        if not position["role"]:
            raise row.wrong("role", row.nothing("role"))
    event = HrEvent.model_validate(
        {
            "facility": sender.facility,
            "source": sender.source or sender.code,
            "number": _short(row, "number", 80) or stable(person, kind, str(effective), said.isoformat()),
            "person": person,
            "kind": kind,
            "said_at": said,
            "effective": effective,
            "record": _record(row),
            "position": position,
            "scope": _scope(row, tongue) if kind in ("grant", "revoke") else None,
            "emergency": kind in MAY_BE_URGENT and (flagged or emergency(reason)),
            "reason": reason,
        }
    )
    return numbered(event, lambda field, _: row.path(field.partition(".")[0]))


def _record(row: Row) -> dict[str, Any]:
    return {
        "name": {part: _short(row, part, 120) for part in NAME},
        "former_family": _short(row, "former_family", 120),
        "birth_date": row.day("birth_date"),
        "national_id": _short(row, "national_id", 64),
        "npi": _short(row, "npi", 20),
        "licences": tuple(
            Licence(state=state, number=number, expires=until) for number, state, until in _held(row, "licences")
        ),
        "dea": tuple(
            DeaRegistration(number=number, state=state, expires=until) for number, state, until in _held(row, "dea")
        ),
        "taxonomy": _short(row, "taxonomy", 20),
        "email": _short(row, "email", 254),
        "phone": _short(row, "phone", 60),
    }


def _held(row: Row, column: str) -> list[tuple[str, str, Any]]:
    """``IL 036123456 2027-07-31; WI 0712345``: state, number, and until when where that is known."""
    found = []
    for one in filter(None, (part.strip() for part in row.text(column).split(";"))):
        state, _, rest = one.partition(" ")
        number, _, until = rest.strip().partition(" ")
        if not _STATE.fullmatch(state) or not number or not number.isprintable() or len(number) > 120:
            raise row.wrong(
                column, "each is a state, a number and a day: IL 036123456 2027-07-31, several by semicolons"
            )
        day = Row(row.number, {column: until.strip()}, _PLAIN).day(column)
        found.append((number, state, day))
    return found


_PLAIN: Final = Sender(code="ANY", facility="ANY", dialect="file")


def _position(row: Row, tongue: Tongue) -> dict[str, Any]:
    states = tuple(row.text("practice_states").upper().replace(",", " ").replace(";", " ").split())
    if bad := [one for one in states if not _STATE.fullmatch(one)]:
        raise row.wrong("practice_states", f"{bad[0][:10]} is no state's code like IL")
    employment = row.text("employment")
    known = tongue.ours("employment", employment).lower()
    fte = row.number_of("fte")
    if fte is not None and not 0 <= fte <= Decimal(2):
        raise row.wrong("fte", "parts of a full position, from 0 to 2")
    return {
        "role": role_of(tongue, [row.text("role")]),
        "title": _short(row, "title", 120),
        "department": tongue.code("department", row.text("department"), row.path("department")),
        "cost_centre": tongue.code("cost_centre", row.text("cost_centre"), row.path("cost_centre")),
        "service_line": _short(row, "service_line", 40),
        "location": tongue.code("location", row.text("location"), row.path("location")),
        "practice_states": states,
        "employment": known if known in EMPLOYMENTS.values() else EMPLOYMENTS.get(employment.upper(), ""),
        "fte": fte,
        "pay_grade": _short(row, "pay_grade", 40),
        "manager": _short(row, "manager", 40),
        "starts": row.day("starts"),
        "ends": row.day("ends"),
    }


def _scope(row: Row, tongue: Tongue) -> dict[str, Any]:
    service, procedures = scope_codes(tongue, row.text("privilege"))
    service = _short(row, "service", 40) or service
    site = tongue.code("location", row.text("site"), row.path("site")) or ""
    if not (site or service or procedures):
        raise row.wrong("privilege", "a site, a service or a privilege says of what")
    starts, ends = row.day("privilege_starts"), row.day("privilege_ends")
    return {"site": site, "service": service, "procedures": procedures, "starts": starts, "ends": ends}


def _when(row: Row, sender: Sender) -> datetime:
    """``2026-11-21T08:30``, with its zone (``Z``, ``-05:00``) or in that of the sender's row; a day alone is its beginning."""
    text, zone = row.needed("said_at"), ZoneInfo(sender.time_zone)
    found = _WHEN.fullmatch(text)
    try:
        if found is None:
            day = row.day("said_at")
            assert day is not None
            return datetime.combine(day, time(), zone).astimezone(UTC)
        day_, clock = found[1].replace("-", ""), found[2].replace(":", "")
        at = datetime.fromisoformat(f"{day_}T{clock}{(found[3] or '').replace(':', '')}")
        return (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, Malformed):
        raise row.wrong("said_at", "this is no time like 2026-11-21T08:30 or 2026-11-21T08:30-05:00") from None


def _short(row: Row, column: str, most: int) -> str:
    text = row.text(column)
    if len(text) > most or not text.isprintable():
        raise row.wrong(column, f"at most {most} characters that can be printed")
    return text
