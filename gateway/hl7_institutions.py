"""Of which institution HL7 says a first or last day (STF-12, STF-13, data type DIN): ours, nobody's in particular, or another one.

HL7 v2.4 to 2.8 chapter 15.4.8 and 2.A (DIN): a day, and the institution it is of. One staff record may list several. Whether a code is
our facility is for its sender's table ``institution``; without a row there it is, where it is our own code.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from canonical.errors import Malformed
from canonical.people import HrKind
from formats.hl7 import Segment, place
from gateway.mapping import UNKNOWN, Tongue

BEGINS, ENDS = 12, 13  # fields of STF
SAYS_WHERE: Final[dict[HrKind, int]] = {
    "hire": BEGINS,
    "activate": BEGINS,
    "delete": BEGINS,
    "deactivate": ENDS,
    "terminate": ENDS,
}


def day_of_ours(stf: Segment, field: int, tongue: Tongue) -> date | None:
    """The day at our facility, else the one that names no institution; None where there is neither: another's day is not ours.

    Raises:
        Malformed: it is no day.
    """
    said = _said(stf, field, tongue)
    ours = [number for number, where in said if where == tongue.sender.facility]
    ours += [number for number, where in said if not where]
    return stf.day(field, 1, repetition=ours[0]) if ours else None


def refuse_elsewhere(stf: Segment, kind: HrKind, tongue: Tongue) -> None:
    """What begins or ends at other institutions alone neither begins nor ends at ours.

    ``kind``: as the event itself says it. Whether a leave is meant makes no difference.

    Raises:
        Malformed: STF-12 (hired, active again, entered in error) or STF-13 (not at work, ended) names institutions, and none is ours.
    """
    field = SAYS_WHERE.get(kind, 0)
    said = [where for _, where in _said(stf, field, tongue)] if field else []
    if said and all(where and where != tongue.sender.facility for where in said):
        path, facility = place(stf.name, stf.sequence, field, component=2), tongue.sender.facility
        shown = "".join(sign if sign.isprintable() else "?" for sign in said[0][:40])
        reason = (
            f"{path}: it is at {shown}, not at {facility}; where that is {facility}, give sender {tongue.sender.code} "
            "a table institution"
        )
        raise Malformed(reason, path=path, code=UNKNOWN)


def _said(stf: Segment, field: int, tongue: Tongue) -> list[tuple[int, str]]:
    """Repetitions that say anything, and the institution each is of, in our word for it where there is one."""
    found = []
    for number in range(1, len(stf.repetitions(field)) + 1):
        code = stf.value(field, 2, 1, repetition=number).strip() or stf.value(field, 2, 2, repetition=number).strip()
        if code or stf.value(field, 1, repetition=number).strip():
            found.append((number, tongue.ours("institution", code) if code else ""))
    return found
